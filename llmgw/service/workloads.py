"""A workload to replay: one question a line, as a text, a request body, or a record of one with its label or answer."""

from __future__ import annotations

import gzip
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmgw.errors import BadRequest, NotFound
from llmgw.rules import caching
from llmgw.rules.estimating import estimate_tokens
from llmgw.rules.fingerprint import Asked, Unclear, fingerprint, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmgw.rules.caching import Rules

Json = dict[str, Any]

LABELS = ("cls", "label")
ANSWERS = ("answer", "response", "completion")
DIALECT = "openai_chat"
JSON_BEGINS = (b'"', b"{", b"[")


class Question(Struct, frozen=True, kw_only=True):
    """One request of a workload.

    Two with the same ``label`` have the same right answer (None: nobody has said); ``answer`` is what was answered
    then. ``passes_by`` says why the caches must not be asked, ``cost_usd`` what it cost, where the line tells;
    ``input_tokens`` is an estimate.
    """

    asked: Asked
    passes_by: str
    model: str
    label: str | None
    answer: str | None
    cost_usd: str | None
    input_tokens: int


def load(path: Path, rules: Rules, limit: int | None = None) -> list[Question]:
    """Read a file of JSON lines or plain ones, which may be gzipped; BadRequest with the line that is no question."""
    questions: list[Question] = []
    for number, line in enumerate(_lines(path), 1):
        if limit is not None and len(questions) >= limit:
            break
        if not line.strip():
            continue
        try:
            questions.append(_question(_record(line), rules))
        except (msgspec.DecodeError, Unclear, TypeError, KeyError, ValueError) as error:
            raise BadRequest(
                f"line {number} of `{path}` is no question: {error}",
                hint='write a text, {"prompt": ..., "cls": ...} or the body of a chat completion',
            ) from None
    if not questions:
        raise BadRequest(f"`{path}` holds no question")
    return questions


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for line in lines:
                yield line.removeprefix(BOM_UTF8)
    except FileNotFoundError:
        raise NotFound(f"there is no file `{path}`") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise BadRequest(f"`{path}` is damaged: {error}") from None
    except OSError as error:
        raise BadRequest(f"cannot read `{path}`: {(error.strerror or str(error)).lower()}") from None


def _record(line: bytes) -> Any:
    """What a line says: JSON, or itself where it begins like none."""
    return msgspec.json.decode(line) if line.lstrip()[:1] in JSON_BEGINS else line.decode().strip()


def _question(record: Any, rules: Rules) -> Question:
    if isinstance(record, str):
        record = {"prompt": record}
    if not isinstance(record, dict):
        raise TypeError("neither a text nor an object")
    inner = record.get("body")  # as files for OpenAI's batches have it
    body: Json = inner if isinstance(inner, dict) else record
    label = next((str(record[name]) for name in LABELS if record.get(name) is not None), None)
    answer = next((record[name] for name in ANSWERS if isinstance(record.get(name), str)), None)
    cost = record.get("cost_usd")
    own = {*LABELS, *ANSWERS, "cost_usd", "src"}
    if isinstance(record.get("prompt"), str):
        body = {"model": record.get("model", ""), "messages": [{"role": "user", "content": record["prompt"]}]}
    elif not isinstance(body.get("messages"), list):
        raise TypeError("it has neither `prompt` nor `messages`")
    tree = read(msgspec.json.encode({name: value for name, value in body.items() if name not in own}))
    tree.setdefault("model", "")
    return Question(
        asked=fingerprint(DIALECT, tree, ()),
        passes_by=caching.passes_by(tree, rules),
        model=str(tree["model"]),
        label=label,
        answer=answer,
        cost_usd=None if cost is None else str(cost),
        input_tokens=sum(map(estimate_tokens, _texts(tree["messages"]))),
    )


def _texts(value: Any) -> Iterator[str]:
    """Everything that is said in messages."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from _texts([value.get("content"), value.get("text")])
