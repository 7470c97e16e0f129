"""``GET /docs`` (E-27): a page that reads /openapi.json and lets one try each operation; it loads nothing else."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from llmgw.api.operations import Access, Operation

if TYPE_CHECKING:
    from starlette.requests import Request

    from llmgw.domain.identity import Key

PAGE = Path(__file__).with_name("docs.html")


def operation() -> Operation:
    """The page as an operation."""

    async def docs(_request: Request, _key: Key | None) -> Response:
        text, policy = _page()
        headers = {
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        return HTMLResponse(text, headers=headers)

    return Operation(
        "GET", "/docs", "Show this document as a page", Access.OPEN, docs, name="Docs", media="text/html"
    )


@cache
def _page() -> tuple[str, str]:
    """The page, and a policy that lets it run and look like itself, ask this gateway, and do nothing else."""
    text = PAGE.read_text(encoding="utf-8")

    def hashes(tag: str) -> str:
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        return " ".join(f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'" for part in parts)

    policy = (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')};"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy
