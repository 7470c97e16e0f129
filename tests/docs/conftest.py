"""The documentation under test."""

from __future__ import annotations

import importlib
import sys

import pytest
from support.program import ROOT


@pytest.fixture(scope="session")
def generator():
    """`docs/generate.py` as a module."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield importlib.import_module("generate")
    finally:
        sys.path.remove(str(ROOT / "docs"))
