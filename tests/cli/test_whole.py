"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import pytest

from nimbus.cli._whole import remove, written_whole


def tree(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "old").touch()
    with written_whole(target) as part:
        part.mkdir()
        (part / "new").touch()
        assert tree(target) == ["old"], "untouched until the end"
    assert tree(target) == ["new"]
    assert tree(tmp_path) == ["a.zarr"]


def test_after_an_error_all_is_as_it_was(tmp_path):
    target = tmp_path / "a.csv"
    target.write_text("old")

    def write_half():
        with written_whole(target) as part:
            part.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert target.read_text() == "old"
    assert tree(tmp_path) == ["a.csv"]


def test_the_ending_is_kept_for_writers_that_look_at_it(tmp_path):
    with written_whole(tmp_path / "t.h5ad") as part:
        assert part.suffix == ".h5ad"
        part.touch()


def test_removing_what_is_not_there_does_nothing(tmp_path):
    remove(tmp_path / "nothing")
