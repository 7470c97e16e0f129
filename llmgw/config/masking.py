"""Secrets as they may be shown: recognisable to their owner, useless to anybody else."""

from __future__ import annotations

import re

PREFIX = re.compile(r"(?:sk-(?:ant-|proj-|or-)?|gsk_|lgw_|xai-|AIza|hf_)")
USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def mask(secret: str) -> str:
    """``sk-ant-…1f3a``: how it begins by convention and its last four, or only dots when it is short."""
    if len(secret) < 20:
        return "…" if secret else ""
    match = PREFIX.match(secret)
    return f"{match[0] if match else ''}…{secret[-4:]}"


def mask_url(url: str) -> str:
    """An address without the name and password it may hold."""
    return USERINFO.sub("…@", url)
