"""Measure a model on all that there is, and write the figures into its card.

    python benchmarks/card.py runs/nimbus-s/nimbus-s.safetensors --data ../shared

Runs accuracy.py, simulated.py, everywhere.py, spoiled.py and stability.py on the model (a quarter
of an hour on two cores) and replaces the metrics of the JSON file beside the weights, except those
of its own training.
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
import spoiled
import stability

from nimbus.model.card import read_card

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
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    path = given.model.with_suffix(".json")
    card = read_card(path)
    kept = card.metrics if given.parts != list(PARTS) else {OF_TRAINING: card.metrics[OF_TRAINING]}
    card = dataclasses.replace(card, metrics={**kept, **measured(given)})
    path.write_text(card.to_json(), encoding="utf-8")
    print(card.to_json())


def measured(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measures of the wanted parts by name of what they were taken on."""
    asked = SimpleNamespace(
        model=str(given.model), data=given.data, quantile=None, aggregate=None, no_tta=False,
        fields=given.fields, seeds=SEEDS, side_um=250.0, one_view=given.no_tta,
    )  # fmt: skip
    found = {name: row for part in given.parts for name, row in PARTS[part](asked).items()}
    return {
        name: {key: round(float(value), 4) for key, value in values.items()}
        for name, values in found.items()
    }


def of_simulated(asked: SimpleNamespace) -> dict[str, dict[str, float]]:
    fresh = simulated.simulated(asked)[list(simulated.MEASURES)].mean()
    return {"fresh simulated tissue, mean over markers": fresh.to_dict()}


def of_gold(asked: SimpleNamespace) -> dict[str, dict[str, float]]:
    gold = accuracy.gold(asked)
    return {
        f"gold.csv, hard pairs, {name}": gold.loc[(name, "score")].to_dict()
        for name in gold.index.get_level_values(0).unique()
    }


def of_silver(asked: SimpleNamespace) -> dict[str, dict[str, float]]:
    one_or_all = SimpleNamespace(**{**vars(asked), "no_tta": asked.one_view})
    silver = accuracy.dcis(one_or_all)[["AUROC", "AUROC integrated"]].mean()
    return {"dcis_mibi, silver labels, mean over markers": silver.to_dict()}


def of_everywhere(asked: SimpleNamespace) -> dict[str, dict[str, float]]:
    called = everywhere.called(asked.model, asked.data, 3)["called"]
    return {"stains of all cells: share called": called.to_dict()}


def of_spoiled(asked: SimpleNamespace) -> dict[str, dict[str, float]]:
    table = spoiled.of_gold(asked.model, asked.data)[["AUROC", "AP", "F1 at 0.5"]]
    return {f"gold.csv, spoiled: {name}": row.to_dict() for name, row in table.iterrows()}


def of_stability(asked: SimpleNamespace) -> dict[str, dict[str, float]]:
    changes = stability.stability(asked.model)
    return {
        "share of scores in 0.2-0.8": {"share": changes.iloc[0]["change"]},
        **{
            f"stability: {name}": {"mean change": row["change"], "calls turned": row["turned"]}
            for name, row in changes.iloc[1:].iterrows()
        },
    }


PARTS = {
    "simulated": of_simulated,
    "gold": of_gold,
    "silver": of_silver,
    "everywhere": of_everywhere,
    "spoiled": of_spoiled,
    "stability": of_stability,
}


if __name__ == "__main__":
    main()
