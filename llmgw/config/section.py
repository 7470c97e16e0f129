"""What every table of ``llmgw.toml`` is made of: a section that knows its keys, and types of values with their words."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Positive = Annotated[float, Meta(gt=0)]
Dollars = Annotated[float, Meta(ge=0)]
TargetName = Annotated[str, Meta(pattern=r"^[^/\s]+/\S.*$", title="`provider/model`")]
AliasTarget = Annotated[
    str,
    Meta(
        pattern=r"^(gateway-(auto|local|cheap|premium)|[^/\s]+/\S.*)$",
        title="`provider/model` or `gateway-auto`",
    ),
]
Duration = Annotated[str, Meta(pattern=r"^([1-9][0-9]*[smhdw])?$", title="a duration such as 90d")]
Url = Annotated[str, Meta(pattern=r"^(https?://[^\s/?#]+[^\s]*)?$", title="an http:// or https:// address")]
RuleTarget = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Weekday = Annotated[
    Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], Meta(title="mon, tue, wed, thu, fri, sat, sun")
]
"""Titles are how error messages call a value of the type."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; a key it does not know is an error."""
