#!/bin/sh
# aider through the gateway, for one run: `sh aider.sh src/app.py`. For good instead: `llmgw connect aider`.
# `openai/` tells aider how to speak; what follows is the gateway's name of the model.
set -eu

exec llmgw exec --key aider -- aider --model openai/gateway-auto --weak-model openai/gateway-auto "$@"
