"""The log: one line an event, as text or JSON, every secret masked before it is written (D-33)."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

import msgspec

from llmgw.rules.redacting import SECRETS

if TYPE_CHECKING:
    from io import TextIOWrapper

MAX_BYTES = 10 * 1_048_576
KEPT_FILES = 3


def mask(text: str) -> str:
    """The text with every secret cut to its harmless beginning."""
    return SECRETS.sub(lambda found: (found[1] or "Bearer ") + "***", text)


class PrivateFile(RotatingFileHandler):
    """Rotated by size; each new file is for its owner alone."""

    def _open(self) -> TextIOWrapper:
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_WRONLY, 0o600))
        return super()._open()


class TextLines(logging.Formatter):
    """``2026-11-21T10:00:00.123Z warning llmgw.dispatch: message``."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_moment(record)} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return mask(line)


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time level logger message`` and ``exception`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = mask(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


def _moment(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def configure(path: str, level: str, form: str) -> None:
    """Send every log record of the process to ``path`` (rotated by size), or to stderr when it is empty."""
    handler: logging.Handler
    if path:
        handler = PrivateFile(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
