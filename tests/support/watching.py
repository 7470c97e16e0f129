"""Somebody who watches a gateway: reads its server-sent events in a thread and makes a picture of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self

import httpx
import msgspec

from llmgw.domain.pulse import Beat, History
from llmgw.rules.picture import Picture

DECODER = msgspec.json.Decoder(Beat)


class Watching:
    """Runs inside ``with``; ``picture`` is as new as the last beat, ``beats`` holds all of them."""

    def __init__(self, url: str, headers: dict[str, str], window: str = "1h") -> None:
        self._url = f"{url}/admin/pulse?window={window}"
        self._headers = headers
        self.beats: list[Any] = []
        self.picture = Picture()
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._end = False

    def _read(self) -> None:
        try:
            with httpx.stream("GET", self._url, headers=self._headers, timeout=20) as reply:
                for line in reply.iter_lines():
                    if self._end:
                        break
                    if line.startswith("data: "):
                        beat = DECODER.decode(line[6:])
                        self.picture.take(beat)
                        self.beats.append(beat)
        except httpx.HTTPError:
            pass
        finally:
            self.over.set()

    @property
    def histories(self) -> list[History]:
        return [beat for beat in self.beats if isinstance(beat, History)]

    def wait(self, until: Callable[[Self], bool], seconds: float = 10) -> None:
        """Until the picture is so; AssertionError when that takes too long."""
        end = time.monotonic() + seconds
        while not until(self):
            assert time.monotonic() < end, "it was never told"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait(lambda each: bool(each.beats))
        return self

    def __exit__(self, *exc: object) -> None:
        self._end = True  # it ends with the next beat, which need not be waited for
