import pytest

torch = pytest.importorskip("torch")

from nimbus.train.loss import cell_loss, cell_losses, cell_means  # noqa: E402


def one_row(*values, dtype=torch.float32):
    return torch.tensor([[list(values)]], dtype=dtype)


def ids_of(*values):
    return torch.tensor([[list(values)]])


def test_undecided_cells_and_background_get_no_gradient():
    #            cell   1    1    2    2    3   background
    logits = torch.zeros(1, 1, 1, 6, requires_grad=True)
    ids = ids_of(1, 1, 2, 2, 3, 0)
    labels = torch.tensor([[1, -1, 0]])

    cell_loss(logits, torch.ones(1, 1, 6), ids, labels).backward()

    gradient = logits.grad.flatten()
    assert (gradient[[0, 1]] < 0).all(), "a positive cell is pulled up"
    assert gradient[4] > 0, "a negative cell is pulled down"
    assert gradient[[2, 3, 5]].tolist() == [0, 0, 0]


def test_the_loss_is_that_of_a_slow_loop():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 3, 4)
    ids = torch.randint(0, 4, (2, 3, 4))
    masks = torch.randint(0, 2, (2, 3, 4)).float()
    labels = torch.tensor([[1, 0, -1], [0, 1, 1]])

    losses = []
    for sample in range(2):
        for cell in (1, 2, 3):
            truth = labels[sample, cell - 1].item()
            here = ids[sample] == cell
            if truth < 0 or not here.any():
                continue
            logit = logits[sample, 0][here]
            weight = torch.where(masks[sample][here] > 0, 1.0, 0.3)
            p = logit.sigmoid()
            own = -torch.log(p) if truth else -torch.log(1 - p)
            mean = (weight * p).sum() / weight.sum()
            of_mean = -torch.log(mean) if truth else -torch.log(1 - mean)
            losses.append(((weight * own).sum() / weight.sum() + of_mean) / 2)

    found = cell_loss(logits, masks, ids, labels, border_weight=0.3)
    assert float(found) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)


def test_a_large_cell_counts_as_much_as_a_small_one():
    logits = one_row(3.0, 3.0, 3.0, 3.0, 3.0, -3.0)[None, 0]
    ids = ids_of(1, 1, 1, 1, 1, 2)
    both_wrong = cell_loss(logits, torch.ones(1, 1, 6), ids, torch.tensor([[0, 1]]))
    one_wrong = cell_loss(logits, torch.ones(1, 1, 6), ids, torch.tensor([[1, 1]]))

    assert float(one_wrong) == pytest.approx(float(both_wrong) / 2, rel=0.05)


def test_without_decided_cells_the_loss_is_zero():
    loss = cell_loss(
        torch.ones(1, 1, 1, 2), torch.ones(1, 1, 2), ids_of(1, 0), torch.tensor([[-1]])
    )

    assert float(loss) == 0


def test_cell_means_are_weighted_and_nan_without_weight():
    ids = ids_of(1, 1, 2, 0)[0][None]
    means = cell_means(
        torch.tensor([[[1.0, 5.0, 2.0, 9.0]]]), torch.tensor([[[1.0, 3.0, 0.0, 1.0]]]), ids[0], 2
    )

    assert means[0, 0] == 4.0
    assert torch.isnan(means[0, 1])


def test_a_target_of_its_own_mixes_the_losses_of_both_labels():
    torch.manual_seed(0)
    logits, ids = torch.randn(1, 1, 3, 4), torch.arange(12).reshape(1, 3, 4) % 4
    masks, targets = torch.ones(1, 3, 4), torch.tensor([[0.25, 0.5, 0.75]])

    def losses(label, **given):
        return cell_losses(logits, masks, ids, torch.tensor([[label, label, -1]]), **given)

    found = losses(0, targets=targets)

    expected = targets * losses(1) + (1 - targets) * losses(0)
    torch.testing.assert_close(found[:, :2], expected[:, :2])
    assert bool(found[0, 2].isnan()), "an undecided cell stays undecided"
