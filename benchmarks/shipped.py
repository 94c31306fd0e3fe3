"""The shipped model beside the published network, in this engine: from files to table.

    python benchmarks/shipped.py
    python benchmarks/shipped.py --side 512 --depth 4 --root-filters 8    (seconds; for a look)

The field and the random weights of the published size are those of published.py. Each model runs
in a process of its own, on a small field first, which is not timed (imports, weights made ready,
memory taken), then on the field; models take turns. The published network sees pixels of 1 um, the
shipped one patches of 2 x 2 pixels of 0.4 um.
"""

from __future__ import annotations

import sys

import pandas as pd
import torch
from environments import machine, markdown
from published import HERE, MARKERS, arguments, make_field, run

REPEATS = 2


def main() -> None:
    given = arguments()
    field = make_field(given)
    models = {
        "published network": str(field / "random.pt"),
        "nimbus-s": "nimbus-s",
    }
    rows = []
    for tta in (False, True):
        seconds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(REPEATS):
            for name, weights in models.items():
                task = {
                    "folder": str(field),
                    "weights": weights,
                    "channels": list(MARKERS[: given.channels]),
                    "magnification": 20,
                    "threads": given.threads,
                    "scales": dict.fromkeys(MARKERS[: given.channels], 5000.0),
                    "precision": "float32",
                    "tta": tta,
                    "warm_up": True,
                }
                done = run(sys.executable, HERE / "published_ours.py", task, given)
                seconds[name].append(done["seconds"])
        published, small = (min(seconds[name]) for name in models)
        rows.append(
            {
                "field": f"{given.side} x {given.side} at 0.5 um",
                "channels": given.channels,
                "views": 8 if tta else 1,
                "published_network_s": round(published, 1),
                "nimbus-s_s": round(small, 2),
                "ratio": round(published / small, 1),
            }
        )
        print(rows[-1], flush=True)
    print(f"\n{machine()}, PyTorch {torch.__version__}\n\n{markdown(pd.DataFrame(rows))}")


if __name__ == "__main__":
    main()
