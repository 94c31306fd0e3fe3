"""Mean of the weights of models of one architecture, measured on held-out tiles.

    python benchmarks/mean.py OUT.safetensors A.safetensors=0.6 B.safetensors=0.4 --config C.toml

A mean of weights from several trainings that began alike holds better on other images than each
(Wortsman et al., *Model soups*, 2022). Name, pixel size and `about` of the card are those of the
configuration, as are the tiles (its last shards were never learned from).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from nimbus.cli._trainconfig import read_config
from nimbus.cli._training import held_out_metrics
from nimbus.model import load_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("parts", nargs="+", metavar="WEIGHTS=SHARE")
    parser.add_argument("--config", type=Path, required=True)
    given = parser.parse_args()
    config = read_config(given.config)
    models, shares = [], []
    for part in given.parts:
        path, _, share = part.rpartition("=")
        models.append(load_checkpoint(path))
        shares.append(float(share))
    net, card = models[0]
    states = [model.state_dict() for model, _ in models]
    total = sum(shares)
    net.load_state_dict(
        {
            name: sum(s / total * state[name] for s, state in zip(shares, states, strict=True))
            if value.is_floating_point()
            else value
            for name, value in states[0].items()
        }
    )
    card = dataclasses.replace(
        card,
        name=config.name,
        pixel_size_um=config.pixel_size_um,
        training_data=config.about,
        metrics=held_out_metrics(net, config),
    )
    save_checkpoint(given.out, net, card)
    print(card.to_json())


if __name__ == "__main__":
    main()
