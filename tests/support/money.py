"""A gateway whose built-in echo costs money, and a way to call it without a client library."""

import json
import urllib.request
from typing import Any

PRICES = '[prices."echo/*"]\ninput = 2.0\noutput = 6.0\n'
PRICES += '[cache.exact]\nenabled = false\n[cache.semantic]\nmode = "off"\n'  # equal calls are each meant


def ask(
    url: str, key: str, text: str = "hello there", path: str = "/v1/chat/completions", **more: Any
) -> Any:
    """The answer to one question, or to a GET of another path; HTTPError when it is refused."""
    body = None
    if path.startswith("/v1/"):
        message = {"role": "user", "content": text}
        body = json.dumps({"model": "echo", "messages": [message], "max_tokens": 100} | more).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"{url}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
