"""A checksum over values, which tells that what lies on the disk is what was written."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

_encode = msgspec.msgpack.Encoder().encode


def seal(*values: Any) -> bytes:
    """16 bytes that follow from the values and their types."""
    return blake2b(_encode(values), digest_size=16).digest()
