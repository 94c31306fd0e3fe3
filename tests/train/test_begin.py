import pytest

torch = pytest.importorskip("torch")

from nimbus.model import UNet  # noqa: E402
from nimbus.train import FitSettings  # noqa: E402
from nimbus.train.begin import fresh_network  # noqa: E402

SMALL = FitSettings(depth=2, root_filters=2, seed=7)


def test_weights_are_those_of_the_seed_and_the_random_state_of_the_user_stays():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        wanted = UNet(depth=2, root_filters=2).state_dict()
    before = torch.get_rng_state()
    net = fresh_network(SMALL, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)
    assert net.state_dict().keys() == wanted.keys()
    for name, weights in net.state_dict().items():
        assert torch.equal(weights, wanted[name]), name


def test_generators_of_gpus_are_not_seeded(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.mps, "manual_seed", seeded.append)
    fresh_network(SMALL, torch.device("cpu"))
    assert seeded == []
