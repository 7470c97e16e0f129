"""Send every recorded exchange through a real gateway and print how many passed, failed or are not supported.

    python tests/replay/recorded.py [DIR] [--provider P] [--failures]

DIR holds ``PROVIDER.jsonl.gz`` files and is the shared folder of recordings unless named. Exit code 1 when one failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    from replay.recordings import FOLDER, load
    from replay.running import run

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, metavar="DIR")
    parser.add_argument("--provider", help="only the file of this provider")
    parser.add_argument(
        "--failures", action="store_true", help="tell what went wrong with each failed exchange"
    )
    options = parser.parse_args()
    records = [each for each in load(options.folder) if options.provider in {None, each.provider}]
    if not records:
        parser.error(f"there are no such recordings in {options.folder}")
    report = run(records, every_cut=True)
    if options.failures:
        for name, way, wrong in report.failures:
            print(f"{name} ({way})", *(f"    {line}" for line in wrong), sep="\n")
    print(report.table())
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(main())
