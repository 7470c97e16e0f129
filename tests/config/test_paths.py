"""Where files lie."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from llmgw.config.paths import locate


def test_one_folder_holds_everything(tmp_path: Path) -> None:
    """LLMGW_HOME and --home put every file under one folder."""
    paths = locate(environ={"LLMGW_HOME": str(tmp_path)})
    assert paths == locate(home=tmp_path, environ={})
    every = (
        paths.config,
        paths.database,
        paths.credentials,
        paths.log,
        paths.lock,
        paths.run,
        paths.keys,
    )
    assert all(path.is_relative_to(tmp_path) for path in every)


def test_the_systems_own_folders(tmp_path: Path, monkeypatch) -> None:
    """Without a home the XDG folders are used, each file where its kind belongs."""
    for name in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    if sys.platform != "linux":
        return
    paths = locate(environ={})
    assert paths.config == tmp_path / "CONFIG_HOME/llmgw/llmgw.toml"
    assert paths.database == tmp_path / "DATA_HOME/llmgw/llmgw.db"
    assert paths.log == tmp_path / "STATE_HOME/llmgw/gateway.log"


def test_a_named_file_is_used_beside_the_home(tmp_path: Path) -> None:
    """--config goes before LLMGW_CONFIG, both leave the other files where they are."""
    paths = locate(home=tmp_path, config="a.toml", environ={"LLMGW_CONFIG": "b.toml"})
    assert paths.config == Path("a.toml").absolute()
    assert paths.data == tmp_path
    assert paths.chosen
    assert locate(environ={"LLMGW_CONFIG": "b.toml", "LLMGW_HOME": "/x"}).config == Path("b.toml").absolute()


def test_the_folders_are_private(tmp_path: Path) -> None:
    """Folders are made for their owner alone."""
    paths = locate(home=tmp_path / "a" / "b", environ={})
    paths.create()
    assert paths.state.stat().st_mode & 0o777 == 0o700


def test_paths_are_cheap_to_import() -> None:
    """Every command needs them, so they pull in nothing heavy."""
    code = "import sys; import llmgw.config.paths; print([m for m in ('msgspec', 'tomlkit', 'platformdirs') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
