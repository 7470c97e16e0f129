"""Embeddings from a configured provider: OpenAI's ``/embeddings``, which most speak, or Ollama's ``/api/embed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from llmgw.domain.usage import Usage
from llmgw.errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmgw.providers.base import Upstream

OLLAMA = "ollama"


def url(upstream: Upstream) -> str:
    path = "/api/embed" if upstream.provider.dialect == OLLAMA else "/embeddings"
    return upstream.base_url.rstrip("/") + path


def request(model: str, texts: Sequence[str]) -> bytes:
    """The body, which both forms read alike."""
    return msgspec.json.encode({"model": model, "input": list(texts)})


def answer(upstream: Upstream, body: bytes, count: int) -> tuple[NDArray[np.float32], Usage]:
    """``count`` vectors of length one and what they took; UpstreamFailed when the reply holds anything else."""
    try:
        reply: dict[str, Any] = msgspec.json.decode(body)
        if upstream.provider.dialect == OLLAMA:
            rows, tokens = reply["embeddings"], reply.get("prompt_eval_count")
        else:
            rows = [
                each["embedding"] for each in sorted(reply["data"], key=lambda each: each.get("index", 0))
            ]
            tokens = (reply.get("usage") or {}).get("prompt_tokens")
        vectors = np.array(rows, np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        good = (
            vectors.ndim == 2 and len(vectors) == count and bool(np.isfinite(lengths).all() and lengths.all())
        )
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, AttributeError, np.exceptions.AxisError):
        good = False
    if not good:
        raise UpstreamFailed(f"{upstream.name} sent something that is no embedding")
    told = tokens if isinstance(tokens, int) else 0
    return vectors / lengths, Usage(input_tokens=told, estimated=told <= 0)
