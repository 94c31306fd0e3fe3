"""A person labels some cells in a real browser."""

import pytest
import spatialdata

from nimbus.io import read_gold
from support.person import LIMIT_S

pytest.importorskip("panel")
pytest.importorskip("playwright.sync_api")


SHOWN = """() => {
  for (const document of Bokeh.documents) {
    for (const model of document._all_models.values()) {
      const shown = model.attributes.data?.attributes?.shown
      if (shown != null) return shown
    }
  }
}"""


def test_a_person_labels_with_keys_and_buttons_goes_back_and_reloads(chromium, store, serve):
    file = store.with_name("tissue.zarr.table.gold") / "ada.csv"
    options = ["--review", "--annotator", "ada", "--cells", "5", "--markers", "CD8"]
    served = serve(store, *options)
    complaints = []
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    page.set_default_timeout(1000 * LIMIT_S)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    seen = [""]

    def left(n):
        """Until so many are left, and the next cell can be judged: that is told last."""
        page.locator(".left-text").get_by_text(f"{n} left of CD8").wait_for()
        while (shown := page.evaluate(SHOWN)) == seen[-1]:
            page.wait_for_timeout(20)
        seen.append(shown)

    page.goto(served.url)
    page.locator("button.positive").wait_for()  # from here on keys are heard
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
    page.locator(".left-text").get_by_text("2 left of CD8").wait_for()
    assert complaints == []
    assert page.locator("#nimbus-lost").count() == 0
    rest = served.stop()
    page.get_by_role("alert").get_by_text("what you do here is not kept").wait_for()
    assert "layer 'gold'" in rest
    gold = spatialdata.read_zarr(store).tables["table"].layers["gold"]
    assert [(gold == value).sum() for value in (1, 0)] == [1, 1]


def test_keys_mean_the_same_with_caps_lock_and_after_the_box_of_the_score(chromium, store, serve):
    file = store.with_name("tissue.zarr.table.gold") / "ada.csv"
    served = serve(store, "--review", "--annotator", "ada", "--cells", "5", "--markers", "CD8")
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    page.set_default_timeout(1000 * LIMIT_S)

    seen = [""]

    def left(n):
        page.locator(".left-text").get_by_text(f"{n} left of CD8").wait_for()
        while (shown := page.evaluate(SHOWN)) == seen[-1]:
            page.wait_for_timeout(20)
        seen.append(shown)

    def press(key, **more):
        page.evaluate(
            "([key, more]) => document.dispatchEvent(new KeyboardEvent('keydown', {key, ...more}))",
            [key, more],
        )

    page.goto(served.url)
    page.locator("button.positive").wait_for()
    left(5)
    press("P")  # Caps Lock
    left(4)
    press("n", shiftKey=True)  # Caps Lock and Shift
    left(3)
    press("Z", shiftKey=True, ctrlKey=True)  # elsewhere: do it again; not another step back
    page.locator(".score input").click()
    page.locator(".cell-text").get_by_text("score").wait_for()
    page.keyboard.press("u")
    left(2)
    assert read_gold(file)["label"].tolist() == ["positive", "likely negative", "undetermined"]
