"""Every key of the dashboard, once: bindings, footer, help, palette and the names that a keymap takes follow from it."""

from __future__ import annotations

import difflib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textual.binding import Binding

from llmgw.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import BindingType

EVERYWHERE, TABLES = "everywhere", "tables"
FOLDER = Path(__file__).parent / "screens"
_PLACE = re.compile(r"^PLACE = (\d)$", re.MULTILINE)


class Action(NamedTuple):
    """``id`` names its method and its place in a keymap, ``where`` the screens that have it.

    ``writes`` marks what needs ``--write``; ``shown`` what the footer tells where it can be done.
    """

    id: str
    keys: str
    label: str
    does: str
    where: tuple[str, ...] = (EVERYWHERE,)
    shown: bool = False
    writes: bool = False

    @property
    def method(self) -> str:
        """How Textual calls it."""
        return f"go({self.id!r})" if self.id in places().values() else self.id


@cache
def places() -> dict[int, str]:
    """The screens that have a digit, by it."""
    found = {path.stem: _PLACE.search(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.py")}
    return dict(sorted((int(match[1]), name) for name, match in found.items() if match))


_ACTIONS = (
    Action("drill", "enter", "Detail", "open what is behind the row", (TABLES,), shown=True),
    Action("pause", "space", "Pause", "hold the picture; what comes meanwhile is counted", shown=True),
    Action("filter", "slash", "Filter", "show only some requests, find words", shown=True),
    Action("sort", "s", "Sort", "sort by the next column", (TABLES,), shown=True),
    Action("reverse", "S", "Reverse", "turn the order round", (TABLES,)),
    Action("down", "j,down", "Down", "next row", (TABLES,)),
    Action("up", "k,up", "Up", "row before", (TABLES,)),
    Action("page_down", "pagedown,ctrl+d", "Page down", "a page down", (TABLES,)),
    Action("page_up", "pageup,ctrl+u", "Page up", "a page up", (TABLES,)),
    Action("first", "g,home", "First", "first row", (TABLES,)),
    Action("last", "G,end", "Last", "last row", (TABLES,)),
    Action("left", "h,left", "Left", "pane to the left", (TABLES,)),
    Action("right", "l,right", "Right", "pane to the right", (TABLES,)),
    Action("next_match", "n", "Next", "next match of the words looked for", ("requests",)),
    Action("previous_match", "N", "Previous", "match before", ("requests",)),
    Action("follow", "f", "Follow", "keep the newest request in sight", ("requests",), shown=True),
    Action("close_filter", "escape", "All", "show all requests again", ("requests",), shown=True),
    Action("doctor", "d", "Doctor", "what prompt caching does for each conversation", ("requests",), shown=True),
    Action("end_call", "x", "End call", "end this call; what was written is billed", ("requests", "request"), writes=True),
    Action("raise_budget", "B", "Raise budget", "raise the budget that concerns this request",
           ("requests", "request"), writes=True),
    Action("dial", "d", "Dial", "what other settings of the quality dial would have cost", ("routing",), shown=True),
    Action("answers", "a", "Answers", "every remembered answer", ("cache",), shown=True),
    Action("clear_cache", "x", "Clear", "forget remembered answers", ("cache", "answers"), shown=True, writes=True),
    Action("export", "e", "Export", "write what is shown as CSV", ("spend",), shown=True),
    Action("set_budget", "B", "Set budget", "set the budget under the cursor, or one for what stands there",
           ("spend", "keys"), shown=True, writes=True),
    Action("pause_key", "x", "Pause", "throw the kill switch of the key under the cursor, or lift it", ("keys",),
           shown=True, writes=True),
    Action("group", "b", "Group by", "by another property", ("overview", "spend"), shown=True),
    Action("why", "r", "Why", "how the route was decided", ("request",), shown=True),
    Action("window", "w", "Window", "how far back: 5m 1h 24h 7d 30d", shown=False),
    Action("units", "u", "Units", "dollars, tokens or requests"),
    Action("slower", "plus", "Slower", "paint less often; in a replay: faster time"),
    Action("faster", "minus", "Faster", "paint more often; in a replay: slower time"),
    Action("copy", "y", "Copy", "copy as a command or as curl", shown=True),
    Action("show_command", "c", "Command", "show the command that prints the same"),
    Action("zoom", "z", "Zoom", "one pane over the whole screen, and back"),
    Action("theme", "t", "Theme", "next theme"),
    Action("screenshot", "ctrl+s", "Screenshot", "write the screen as SVG into the state folder"),
    Action("palette", "ctrl+p,colon", "Palette", "find an action by name"),
    Action("seek_back", "left_square_bracket", "Back 1 min", "go back a minute; from what is live into the past"),
    Action("seek_on", "right_square_bracket", "On 1 min", "go on a minute, at the end back to what is live"),
    Action("serve", "s", "Start", "run llmgw serve where the gateway is down"),
    Action("suspend_process", "ctrl+z", "Suspend", "to the shell, `fg` comes back"),
    Action("back", "escape", "Back", "where you came from", shown=True),
    Action("help", "question_mark", "Help", "what can be pressed here", shown=True),
    Action("quit", "q", "Quit", "leave; the gateway goes on", shown=True),
)  # fmt: skip


@cache
def actions() -> tuple[Action, ...]:
    """All of them, the screens first."""
    screens = (
        Action(name, str(digit), name.capitalize(), f"the screen {name}", shown=True)
        for digit, name in places().items()
    )
    return (*screens, *_ACTIONS)


def find(name: str) -> Action | None:
    """The action of that id."""
    return next((action for action in actions() if action.id == name), None)


def bindings(where: str) -> list[BindingType]:
    """What Textual binds for a screen, for tables or everywhere."""
    return [
        Binding(action.keys, action.method, action.label, show=False, tooltip=action.does, id=action.id)
        for action in actions()
        if where in action.where
    ]


def check_keymap(keymap: Mapping[str, str]) -> None:
    """ConfigInvalid for an action that there is not."""
    known = [action.id for action in actions()]
    for name, keys in keymap.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise ConfigInvalid(
                f"`dash.keymap.{name}`: there is no such action",
                hint=f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}",
            )
        if not (isinstance(keys, str) and keys):
            raise ConfigInvalid(
                f"`dash.keymap.{name}` names no key", hint='write one or more keys, as "ctrl+q,q"'
            )
