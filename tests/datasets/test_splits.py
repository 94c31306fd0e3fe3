import pytest

from nimbus.datasets._splits import assign_groups

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
TEN = [f"patient {k}" for k in range(10)]


def test_every_group_is_in_one_part_and_parts_have_their_shares():
    parts = assign_groups({"d": TEN}, SHARES, random_state=0)

    assert sorted(name for _, name in parts) == TEN
    assert [list(parts.values()).count(part) for part in SHARES] == [8, 1, 1]


def test_the_order_of_the_groups_does_not_matter_and_the_seed_does():
    draws = [
        assign_groups({"d": names}, SHARES, random_state=seed)
        for names, seed in ((TEN, 3), (TEN[::-1] + TEN, 3), (TEN, 4))
    ]

    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_small_parts_get_one_group_each_and_every_data_set_is_split():
    parts = assign_groups({"d": ["a", "b", "c"], "e": ["a", "b", "c"]}, SHARES, random_state=0)

    for dataset in "de":
        own = [part for (name, _), part in parts.items() if name == dataset]
        assert sorted(own) == ["test", "train", "validation"]


def test_named_groups_are_taken_from_whichever_data_set_has_them():
    named = {"train": ["a"], "test": ["z"]}

    parts = assign_groups({"d": ["a", "b"], "e": ["z"]}, named, random_state=0)

    assert parts == {("d", "a"): "train", ("e", "z"): "test"}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": 0.8, "test": 0.1}, "add up to 1"),
        ({"train": 1.2, "test": -0.2}, "above 0"),
        ({"train": 0.5, "test": ["a"]}, "add up to 1"),
        ({"train": ["a"], "test": ["a"]}, "'a' in 'train' and in 'test'"),
        ({"train": ["patient 11"]}, "patient 1'"),
        ({}, "names no part"),
    ],
)
def test_impossible_splits_are_refused(split, message):
    with pytest.raises(ValueError, match=message):
        assign_groups({"d": [*TEN, "a"]}, split, random_state=0)


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="2 groups .* are too few"):
        assign_groups({"d": ["a", "b"]}, SHARES, random_state=0)


def test_a_name_instead_of_a_list_is_refused():
    with pytest.raises(TypeError, match="lists of names"):
        assign_groups({"d": TEN}, {"train": "patient 1"}, random_state=0)
