"""Measure a model on all that there is, and write the figures into its card.

    python benchmarks/card.py runs/nimbus-s/nimbus-s.safetensors --data ../shared

Runs accuracy.py, simulated.py, everywhere.py and stability.py on the model (a quarter of an hour on
two cores) and replaces the metrics of the JSON file beside the weights, except those of its own
training.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from types import SimpleNamespace

# The three programs lie beside this file.
import accuracy
import everywhere
import simulated
import stability

from nimbus.model.card import ModelCard, read_card

SEEDS = [1000, 1001, 1002]
OF_TRAINING = "held-out tiles"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help=".safetensors with its card beside it")
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--fields", type=int, default=55, help="fields of dcis_mibi")
    parser.add_argument("--no-tta", action="store_true", help="dcis_mibi in one view")
    given = parser.parse_args()
    path = given.model.with_suffix(".json")
    card = read_card(path)
    card = dataclasses.replace(card, metrics=measured(card, given))
    path.write_text(card.to_json(), encoding="utf-8")
    print(card.to_json())


def measured(card: ModelCard, given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All measures by name of what they were taken on."""
    model = str(given.model)
    asked = SimpleNamespace(
        model=model, data=given.data, quantile=None, aggregate=None, no_tta=False,
        fields=given.fields, seeds=SEEDS, side_um=250.0,
    )  # fmt: skip
    fresh = simulated.simulated(asked)[list(simulated.MEASURES)].mean()
    gold = accuracy.gold(asked)
    asked.no_tta = given.no_tta
    silver = accuracy.dcis(asked)[["AUROC", "AUROC integrated"]].mean()
    changes = stability.stability(model)
    metrics = {
        OF_TRAINING: dict(card.metrics.get(OF_TRAINING, {})),
        "fresh simulated tissue, mean over markers": fresh.to_dict(),
        **{
            f"gold.csv, hard pairs, {name}": gold.loc[(name, "score")].to_dict()
            for name in gold.index.get_level_values(0).unique()
        },
        "dcis_mibi, silver labels, mean over markers": silver.to_dict(),
        "stains of all cells: share called": {
            name: row["called"] for name, row in everywhere.called(model, given.data, 3).iterrows()
        },
        "share of scores in 0.2-0.8": {"share": changes.iloc[0]["change"]},
        **{
            f"stability: {name}": {"mean change": row["change"], "calls turned": row["turned"]}
            for name, row in changes.iloc[1:].iterrows()
        },
    }
    return {
        name: {key: round(float(value), 4) for key, value in values.items()}
        for name, values in metrics.items()
    }


if __name__ == "__main__":
    main()
