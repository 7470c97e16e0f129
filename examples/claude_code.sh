#!/bin/sh
# Claude Code through the gateway, for one run: `sh claude_code.sh "explain this repository"`.
# For good instead of once: `llmgw connect claude-code`.
set -eu

# With a model of your own choosing (any that the gateway knows), the small one for titles and summaries too:
#   export ANTHROPIC_MODEL=ollama/qwen3-coder ANTHROPIC_DEFAULT_HAIKU_MODEL=ollama/qwen3:8b

exec llmgw exec --key claude-code -- claude -p "${1:-say hello}"
