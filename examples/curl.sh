#!/bin/sh
# Both surfaces with nothing but curl: `llmgw exec -- sh curl.sh [MODEL]`.
set -eu
model=${1:-gateway-auto}

echo "# the models this key may ask for"
curl --fail --silent --show-error "$OPENAI_BASE_URL/models" -H "authorization: Bearer $OPENAI_API_KEY"

echo "
# OpenAI, plain; -i shows the x-llmgw headers"
curl --fail --silent --show-error -i "$OPENAI_BASE_URL/chat/completions" \
  -H "authorization: Bearer $OPENAI_API_KEY" -H "content-type: application/json" -H "x-llmgw-tag: example" \
  -d "{\"model\": \"$model\", \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}"

echo "
# Anthropic, streamed; the key is the same"
curl --fail --silent --show-error --no-buffer "$ANTHROPIC_BASE_URL/v1/messages" \
  -H "x-api-key: $OPENAI_API_KEY" -H "anthropic-version: 2023-06-01" -H "content-type: application/json" \
  -d "{\"model\": \"$model\", \"max_tokens\": 200, \"stream\": true,
       \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}"
