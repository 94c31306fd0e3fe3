"""What the controls of edits show."""

import numpy as np
import pytest

from nimbus.cluster.clustermap import ClusterMap
from nimbus.gui.state import State

pytest.importorskip("panel")

editing = pytest.importorskip("nimbus.gui.editing")


def test_what_is_chosen_after_a_click_stays_chosen_though_the_click_is_shown_later():
    start = State.of(ClusterMap.of([0, 1, 1, 2]), markers=["CD3"])
    made = editing.Editing(lambda step: True, lambda n: None, np.array([5, 3, 2, 4]))
    made.refresh(start)
    clicked = start.click_metacluster(2)
    made.follow(clicked)
    made.refresh(clicked)
    assert made.who.value == 2, "proves nothing: a click does not choose"

    again = start.click_metacluster(1)
    made.follow(again)
    made.who.value = 0  # before the click is shown
    made.refresh(again)
    assert (made.who.value, made.name.value) == (0, "0")
