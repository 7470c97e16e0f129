"""A gateway in the background, as ``llmgw serve`` starts it: told what to do on stdin, telling once how it began."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Any

import msgspec

from llmgw.errors import GatewayError, Internal
from llmgw.service.launch import Launch
from llmgw.service.logs import configure
from llmgw.service.run import run

log = logging.getLogger("llmgw")


def main() -> int:
    """A background gateway: a ``Launch`` comes in on stdin, one line of JSON goes out on stdout, then the log is all.

    The line is ``{"ready": true, "running": {...}}`` or ``{"ready": false, "error": {code, message, hint, exit_code}}``.
    """
    launch = msgspec.json.decode(sys.stdin.buffer.read(), type=Launch)
    told = threading.Event()

    def tell(line: dict[str, Any]) -> None:
        if not told.is_set():
            told.set()
            os.write(1, msgspec.json.encode(line) + b"\n")
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)

    configure(launch.log_file, launch.log_level, launch.log_format)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(launch, lambda running, _: tell({"ready": True, "running": running}))
    except Exception as error:
        known = error if isinstance(error, GatewayError) else Internal(f"{type(error).__name__}: {error}")
        log.exception("the gateway stopped: %s", known.message)
        tell(
            {
                "ready": False,
                "error": {
                    "code": known.code,
                    "message": known.message,
                    "hint": known.hint,
                    "exit_code": known.exit_code,
                },
            }
        )
        return known.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # the HTTP client's threads abort when the interpreter ends under them
