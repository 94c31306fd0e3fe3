import json

import pytest

from nimbus.core.scalerule import ScaleRule
from nimbus.model import CardError, ModelCard


def card(**changes):
    values = {"name": "tiny", "depth": 4, "root_filters": 8, "pixel_size_um": 1.0}
    return ModelCard(**{**values, "scale": ScaleRule(0.999, "positive", "image_mean"), **changes})


def test_card_survives_json():
    full = card(metrics={"auroc": 0.94}, sha256="ab" * 32, aggregate="interior", clip=2.0)

    assert ModelCard.from_json(full.to_json()) == full


@pytest.mark.parametrize(("depth", "multiple", "halo"), [(3, 4, 24), (4, 8, 48), (5, 16, 96)])
def test_multiple_and_halo_follow_from_depth(depth, multiple, halo):
    assert (card(depth=depth).multiple, card(depth=depth).halo) == (multiple, halo)


def edited(**changes):
    values = json.loads(card().to_json())
    values.update(changes)
    return json.dumps({key: value for key, value in values.items() if value != "gone"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (edited(format_version=2), "format_version is 2"),
        (edited(format_version="gone"), "format_version is None"),
        (edited(colour="red"), "unknown fields 'colour'"),
        (edited(depth="gone", scale="gone"), "missing fields 'depth', 'scale'"),
        (edited(aggregate="nucleus"), "aggregate must be one of 'cell', 'interior'"),
        (edited(pixel_size_um=0), "pixel_size_um must be above 0"),
        (edited(depth=1), "depth must be from 2 to 12"),
        (edited(scale={"quantile": 2.0}), "quantile must be in"),
        (edited(scale={"percentile": 0.5}), "percentile"),
        (edited(scale=0.5), "scale"),
        ("[]", "a list, not an object"),
        ("{", "not a JSON card"),
    ],
)
def test_card_that_cannot_be_used_is_refused_by_name(text, message):
    with pytest.raises(CardError, match=message) as caught:
        ModelCard.from_json(text, where="here.json")
    assert "here.json" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantile": 0.0}, "quantile"),
        ({"quantile": 0.5, "pixels": "negative"}, "pixels"),
        ({"quantile": 0.5, "pool": "image"}, "pool"),
    ],
)
def test_scale_rule_refuses_what_it_does_not_know(changes, message):
    with pytest.raises(ValueError, match=message):
        ScaleRule(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 2**31}, "depth must be from 2 to 12"),
        ({"root_filters": 10**6}, "root_filters must be from 1 to 4096"),
        ({"patch": 0}, "patch must be from 1 to 16, not 0"),
        ({"patch": "2"}, "patch is str '2'"),
        ({"depth": 4.0}, "depth is float '4.0'"),
        ({"depth": True}, "depth is bool 'True'"),
        ({"pixel_size_um": "1"}, "pixel_size_um is str '1'"),
        ({"clip": float("inf")}, "clip must be above 0, not inf"),
        ({"exponent": 0.0}, "exponent must be above 0, not 0.0"),
        ({"exponent": True}, "exponent is bool 'True'"),
        ({"metrics": []}, r"metrics is list '\[\]'"),
    ],
)
def test_values_that_json_can_hold_and_a_card_cannot(changes, message):
    with pytest.raises(CardError, match=message):
        card(**changes)


@pytest.mark.parametrize("text", ['{"depth": ' + "9" * 5000 + "}", "[" * 200_000])
def test_json_that_python_does_not_take_is_told_as_such(text):
    with pytest.raises(CardError, match="not a JSON card"):
        ModelCard.from_json(text)
