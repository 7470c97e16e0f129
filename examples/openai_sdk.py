"""OpenAI's Python SDK through the gateway: plain, streamed, with a tool, and what it cost.

    pip install openai
    llmgw exec -- python openai_sdk.py [MODEL]

`llmgw exec` sets OPENAI_BASE_URL and OPENAI_API_KEY, which the SDK reads by itself.
"""

import json
import sys

from openai import OpenAI

MODEL = sys.argv[1] if len(sys.argv) > 1 else "gateway-auto"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}

client = OpenAI()


def plain() -> None:
    """A plain call; the raw response also has the gateway's headers."""
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "Say hello in one word."}]
    )
    print(raw.parse().choices[0].message.content)
    print(f"{raw.headers['x-llmgw-target']} took it for {raw.headers['x-llmgw-cost']} dollars")


def streamed() -> None:
    """The same as a stream."""
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Count to five."}], stream=True
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="", flush=True)
    print()


def with_tool() -> None:
    """A tool the model may call."""
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "What is the weather in Oslo?"}], tools=[WEATHER]
    )
    for call in answer.choices[0].message.tool_calls or ():
        print(f"wants {call.function.name}({json.loads(call.function.arguments)})")


if __name__ == "__main__":
    plain()
    streamed()
    with_tool()
