"""Anthropic's Python SDK through the gateway, whoever answers: plain, streamed, tokens counted beforehand.

    pip install anthropic
    llmgw exec -- python anthropic_sdk.py [MODEL]

`llmgw exec` sets ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY, which the SDK reads by itself.
"""

import sys

from anthropic import Anthropic

MODEL = sys.argv[1] if len(sys.argv) > 1 else "gateway-auto"

client = Anthropic()


def plain() -> None:
    """A plain call; the raw response also has the gateway's headers."""
    raw = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=200, messages=[{"role": "user", "content": "Say hello in one word."}]
    )
    print("".join(block.text for block in raw.parse().content if block.type == "text"))
    print(f"{raw.headers['x-llmgw-target']} took it for {raw.headers['x-llmgw-cost']} dollars")


def streamed() -> None:
    """The same as a stream."""
    question = [{"role": "user", "content": "Count to five."}]
    with client.messages.stream(model=MODEL, max_tokens=200, messages=question) as stream:
        for text in stream.text_stream:
            print(text, end="", flush=True)
    print()


def counted() -> None:
    """How long a prompt is, without asking a model."""
    count = client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "Count to five."}]
    )
    print(f"{count.input_tokens} tokens")


if __name__ == "__main__":
    plain()
    streamed()
    counted()
