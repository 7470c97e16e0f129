"""The pictures of the dashboard can be made, are whole, and load nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

ASSETS = Path(__file__).resolve().parents[2] / "docs" / "assets"


@pytest.fixture(scope="module")
def screens() -> ModuleType:
    """The script, with a month of few requests."""
    spec = importlib.util.spec_from_file_location("dash_pictures", ASSETS / "screens.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    some = tuple(module._placed(each) for each in module.rows(module.AT - module.HOUR, module.AT, 4 * 10**9))
    module.month = lambda: some
    return module


def words(svg: str) -> str:
    """What a picture says."""
    root = ET.fromstring(svg)
    return " ".join(
        "".join(each.itertext()).replace("\xa0", " ")
        for each in root.iter("{http://www.w3.org/2000/svg}text")
    )


def test_each_screen_can_be_drawn(screens: ModuleType):
    """Every screen that has a picture still draws one, of its own name."""
    for name in screens.SCREENS:
        svg = asyncio.run(screens.screen(name))
        assert name.capitalize() in words(svg)
        assert "127.0.0.1:8000" in words(svg)


def test_the_tour_shows_a_frame_at_a_time(screens: ModuleType):
    """As many frames as steps, each visible for its part of the whole, one after the other."""
    svg = asyncio.run(screens.tour())
    ET.fromstring(svg)
    spans = re.findall(r"([\d.]+)%,([\d.]+)%\{visibility:visible\}", svg)
    assert len(spans) == len(screens.TOUR) == len(re.findall(r'<g class="f\d+">', svg))
    assert float(spans[0][0]) == 0
    assert float(spans[-1][1]) == 100
    for (_, end), (begin, _) in pairwise(spans):
        assert float(begin) == pytest.approx(float(end), abs=0.01)


def test_pictures_are_here_and_load_nothing():
    """Every picture that a page shows lies in the folder; none of them names another host but for XML's own names."""
    pages = [*ASSETS.parents[1].glob("*.md"), *ASSETS.parent.rglob("*.md")]
    shown = {
        (page.parent / target).resolve()
        for page in pages
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    assert shown
    for path in shown:
        assert path.exists(), path
    for path in ASSETS.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        ET.fromstring(text)
        assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org", "http://127.0.0.1"}, path
        assert "<script" not in text
