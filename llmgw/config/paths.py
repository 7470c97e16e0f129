"""Where every file of the gateway lies; the only place that knows.

The operating system's own folders hold them, unless ``LLMGW_HOME`` (or ``--home``) puts all under one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Paths(NamedTuple):
    """One file the operator writes, and the folders the gateway writes to."""

    config: Path
    data: Path
    state: Path
    chosen: bool = False
    """Whether the operator named the config file, so that its absence is an error."""

    @property
    def database(self) -> Path:
        return self.data / "llmgw.db"

    @property
    def cache(self) -> Path:
        """Remembered answers; losing them loses no money."""
        return self.data / "cache.db"

    @property
    def credentials(self) -> Path:
        """Provider credentials of those who chose a plain file over the OS keyring."""
        return self.data / "credentials.toml"

    @property
    def log(self) -> Path:
        return self.state / "gateway.log"

    @property
    def prices(self) -> Path:
        """A price list newer than the shipped one, where `llmgw model sync` fetched one."""
        return self.data / "prices.toml"

    @property
    def lock(self) -> Path:
        """Held by the running gateway for as long as it lives."""
        return self.state / "gateway.lock"

    @property
    def run(self) -> Path:
        """What the running gateway says of itself: pid, address, start."""
        return self.state / "gateway.json"

    @property
    def glance(self) -> Path:
        """Figures for the status line, which the running gateway keeps fresh while somebody reads them."""
        return self.state / "statusline"

    @property
    def keys(self) -> Path:
        """Tokens of the keys that this machine's own programs use (0600 each); the database holds only hashes."""
        return self.state / "keys"

    @property
    def connections(self) -> Path:
        """Backups of other programs' settings, for `connect --undo`."""
        return self.state / "connect"

    def create(self) -> None:
        """Make the folders, readable by their owner alone; OSError when that cannot be."""
        for folder in (self.config.parent, self.data, self.state):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def locate(
    home: str | Path | None = None,
    config: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Paths:
    """The paths for ``--home`` and ``--config``, else for ``LLMGW_HOME``, ``LLMGW_CONFIG`` and ``CONFIG_PATH``.

    ``CONFIG_PATH`` counts only where it names a ``.toml`` file: elsewhere it belongs to another program.
    """
    chosen = config or environ.get("LLMGW_CONFIG")
    legacy = environ.get("CONFIG_PATH", "")
    if not chosen and legacy.endswith(".toml"):
        chosen = legacy
    if one := home or environ.get("LLMGW_HOME"):
        folder = Path(one).expanduser().absolute()
        paths = Paths(folder / "llmgw.toml", folder, folder)
    else:
        paths = _platform_paths()
    if chosen:
        return paths._replace(config=Path(chosen).expanduser().absolute(), chosen=True)
    return paths


def _platform_paths() -> Paths:
    from platformdirs import PlatformDirs  # noqa: PLC0415  LLMGW_HOME does without it

    dirs = PlatformDirs("llmgw", appauthor=False)
    return Paths(dirs.user_config_path / "llmgw.toml", dirs.user_data_path, dirs.user_state_path)
