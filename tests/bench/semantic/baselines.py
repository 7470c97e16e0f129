"""Fixed thresholds and vCache on the development streams, over the same vectors as the product.

    python tests/bench/semantic/baselines.py --streams bank,clinc --embedder minilm

Needs scipy, for the research's own simulator.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from streams import DATA, EMBEDDERS

sys.path.insert(0, str(DATA))
from simulate import Static, VPolicy, earlier_neighbors, read, simulate

POLICIES = {
    "fixed 0.92": lambda: Static(0.92),
    "fixed 0.95": lambda: Static(0.95),
    "fixed 0.98": lambda: Static(0.98),
    "vCache 1 %": lambda: VPolicy(0.01),
    "vCache 2 %": lambda: VPolicy(0.02),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--streams", default="bank,clinc,tmpl,qqp,mix")
    parser.add_argument("--embedder", choices=list(EMBEDDERS), default="minilm")
    asked = parser.parse_args()
    embed = EMBEDDERS[asked.embedder]()
    for name in asked.streams.split(","):
        items = read(DATA / "dev" / f"stream_{name}.jsonl.gz")
        near, cosines = earlier_neighbors(np.stack([embed(item["prompt"]) for item in items]))
        for policy, make in POLICIES.items():
            figures, _ = simulate(items, near, cosines, make())
            print(
                f"{name:6} {policy:11} hits {figures['hit']:6.1%}  wrong {figures['err_hit']:6.2%}",
                flush=True,
            )
