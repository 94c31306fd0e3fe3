"""A person labels some cells in a real browser."""

import pytest
import spatialdata

from nimbus.io import read_gold

pytest.importorskip("panel")
pytest.importorskip("playwright.sync_api")


def test_a_person_labels_with_keys_and_buttons_goes_back_and_reloads(chromium, store, serve):
    file = store.with_name("tissue.zarr.table.gold") / "ada.csv"
    options = ["--review", "--annotator", "ada", "--cells", "5", "--marker", "CD8"]
    served = serve(store, *options)
    complaints = []
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def left(n):
        page.locator(".left-text").get_by_text(f"{n} left of CD8").wait_for()

    page.goto(served.url)
    left(5)
    page.keyboard.press("p")
    left(4)
    assert read_gold(file)["label"].tolist() == ["positive"]
    page.locator("button.likely-negative").click()
    left(3)
    page.keyboard.press("Backspace")
    left(4)
    page.keyboard.press("u")
    left(3)
    # two keys at once: the second one came before its cell was seen
    page.evaluate(
        """() => ["n", "n"].forEach(
          (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key})))"""
    )
    left(2)
    page.wait_for_timeout(300)
    assert read_gold(file)["label"].tolist() == ["positive", "undetermined", "negative"]
    page.reload()
    left(2)
    assert complaints == []
    rest = served.stop()
    assert "layer 'gold'" in rest
    gold = spatialdata.read_zarr(store).tables["table"].layers["gold"]
    assert [(gold == value).sum() for value in (1, 0)] == [1, 1]
