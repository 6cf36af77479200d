"""A short look against numpy's own gradient descent, and what it promises whatever the network is."""

import numpy as np
import pytest
import torch
from torch import nn

from methods import look
from methods.look import DECAY, EPOCHS, MOMENTUM, Plan

N, CHANNELS, SIDE, C = 64, 2, 3, 3
D = CHANNELS * SIDE * SIDE


class Recorded:
    """Images that remember which of them were asked for, and whether crops were to be drawn."""

    def __init__(self, inputs: np.ndarray, recipe: dict | None = None):
        self.inputs, self.recipe, self.asked, self.drawn = inputs, recipe, [], []

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, rows, generator=None) -> torch.Tensor:
        self.asked.append(np.asarray(rows))
        self.drawn.append(generator is not None)
        return torch.from_numpy(self.inputs[rows])


def made(n: int = N, separation: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 2, 3, 3) in float64, and their classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % C
    return rng.normal(size=(n, CHANNELS, SIDE, SIDE)) + separation * rng.normal(size=(C, CHANNELS, SIDE, SIDE))[
        labels
    ], labels


def linear(outputs: int = C) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(D, outputs)).double()


class Small(nn.Module):
    """A convolution, a normalisation, dropout and a head: what real networks are made of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(CHANNELS, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(8, C)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(torch.relu(self.norm(self.conv(x))).mean((2, 3))))


def descent(w: np.ndarray, b: np.ndarray, x: np.ndarray, hot: np.ndarray, batches: list, plan: Plan) -> list[float]:
    """Losses of softmax regression by gradient descent with Nesterov's momentum, each before its update.

    The gradient of the mean cross-entropy is (p − y)/n times the inputs; decay on the matrix alone; v ← μv + g and
    w ← w − r(g + μv), which is PyTorch's form of the momentum.
    """
    losses, velocity = [], [np.zeros_like(w), np.zeros_like(b)]
    for step, rows in enumerate(batches):
        z = x[rows] @ w.T + b
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        losses.append(-np.log((p * hot[rows]).sum(1)).mean())
        error = (p - hot[rows]) / len(rows)
        gradients = [error.T @ x[rows] + DECAY * w, error.sum(0)]
        velocity = [MOMENTUM * v + g for v, g in zip(velocity, gradients, strict=True)]
        w, b = (
            t - plan.rate_at(step) * (g + MOMENTUM * v) for t, g, v in zip((w, b), gradients, velocity, strict=True)
        )
    return losses


def test_it_is_the_mean_loss_of_numpys_own_descent():
    inputs, labels = made()
    network, images = linear(), Recorded(inputs)
    w, b = (p.detach().numpy().copy() for p in network.parameters())
    found = look(network, images, labels, seed=3, steps=20, batch=16, rate=0.1, skip=4)
    plan = Plan(steps=20, batch=16, skip=4, rate=0.1)
    losses = descent(w, b, inputs.reshape(N, D), np.eye(C)[labels], images.asked, plan)
    assert float(found) == pytest.approx(-np.mean(losses[4:]), rel=1e-12)
    assert found.reason == "20 steps of 16 images"
    assert all(images.drawn)


def test_several_labels_are_a_binary_loss_each():
    inputs, labels = made()
    hot = np.eye(C, dtype=np.int64)[labels]
    hot[::4, 0] = 1
    network = linear()
    weights = network[1].weight.detach().numpy().copy()
    images = Recorded(inputs)
    found = look(network, images, hot, steps=1, batch=32, skip=0)  # before any update
    order = np.lexsort(hot[::-1])
    (rows,) = images.asked
    z = inputs.reshape(N, D)[rows] @ weights.T + linear()[1].bias.detach().numpy()
    y = hot[rows][:, order]
    expected = -(y * -np.log1p(np.exp(-z)) + (1 - y) * -np.log1p(np.exp(z))).mean()
    assert float(found) == pytest.approx(-expected, rel=1e-6)  # targets are float32


def test_the_rate_rises_over_a_tenth_and_falls_to_zero():
    plan = Plan(steps=40, batch=32, skip=5, rate=0.05)
    rates = np.array([plan.rate_at(step) for step in range(41)])
    np.testing.assert_allclose(rates[:5], [0.0125, 0.025, 0.0375, 0.05, 0.05])
    assert rates[22] == pytest.approx(0.025)  # halfway down: cos(π/2)
    assert rates[40] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("n", "steps", "batch", "skip"),
    [
        (1000, 40, 32, 5),
        (64, 20, 32, 2),  # two batches an epoch, ten epochs; an eighth of the steps is skipped, rounded
        (40, 20, 20, 2),
        (9, 20, 4, 2),
        (4, 20, 2, 2),
        (200, 40, 32, 5),
    ],
)
def test_few_images_make_smaller_batches_and_fewer_steps(n, steps, batch, skip):
    assert Plan.of(n, 40, 32, 5, 0.05) == (steps, batch, skip, 0.05)
    assert n < 4 or steps * batch <= EPOCHS * n


@pytest.mark.parametrize(("n", "steps"), [(N, 20), (200, 40)])
def test_it_takes_so_many_steps_and_sees_each_image_once_an_epoch(n, steps):
    inputs, labels = made(n)
    images = Recorded(inputs)
    look(linear(), images, labels)
    assert [len(rows) for rows in images.asked] == [32] * steps
    per_epoch = n // 32
    for first in range(0, steps, per_epoch):
        seen = np.concatenate(images.asked[first : first + per_epoch])
        assert len(set(seen)) == len(seen)


def test_equal_inputs_give_equal_bits_in_any_number_of_threads_and_nothing_stays_changed():
    inputs, labels = made()
    before = torch.get_num_threads()
    found = set()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            found.add(repr(look(Small(), inputs, labels, seed=1)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1
    assert repr(look(Small(), inputs, labels, seed=2)) not in found
    assert not torch.are_deterministic_algorithms_enabled()
    network = Small()  # its dropout draws
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    look(network, inputs, labels)
    assert torch.equal(torch.rand(3), expected)


def test_names_of_classes_do_not_matter():
    inputs, labels = made()
    plain = look(linear(), inputs, labels)
    for names in ([7, 3, 5], ["rose", "daisy", "tulip"]):
        assert float(look(linear(), inputs, np.array(names)[labels])) == float(plain)
    assert float(look(linear(), inputs, np.eye(C)[labels])) == float(plain)
    hot = np.eye(C, dtype=int)[labels]
    hot[::4, 0] = 1
    columns = [float(look(linear(), inputs, hot[:, order])) for order in ([0, 1, 2], [2, 0, 1])]
    assert columns[0] == columns[1]


def test_classes_further_apart_score_higher():
    for seed in range(5):
        near, far = (look(Small(), *made(separation=s, seed=seed)) for s in (0.2, 2.0))
        assert far > near


def test_the_network_is_trained_in_place_and_the_images_stay():
    inputs, labels = made()
    before = inputs.copy()
    inputs.flags.writeable = labels.flags.writeable = False
    network = Small()
    look(network, inputs, labels)
    np.testing.assert_array_equal(inputs, before)
    assert all(not torch.equal(p, q) for p, q in zip(network.parameters(), Small().parameters(), strict=True))


def test_head_and_norms_alone():
    inputs, labels = made()
    network, fresh = Small(), Small()
    found = look(network, inputs, labels, trainable="head_and_norms")
    moved = {n for (n, p), q in zip(network.named_parameters(), fresh.parameters(), strict=True) if not p.equal(q)}
    assert moved == {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert found != look(Small(), inputs, labels)


def test_a_head_that_the_network_names_is_the_one():
    from methods.look import _head

    network = Small()
    assert _head(network) == (network.head,)
    network.features_from = "conv"
    assert _head(network) == (network.conv,)
    named = Small()
    named.get_classifier = lambda: named.conv
    assert _head(named) == (named.conv,)


def test_held_out_images_are_never_trained_on_and_judged_as_they_are():
    inputs, labels = made()
    network, images = linear(), Recorded(inputs)
    found = look(network, images, labels, loss="held_out")
    trained = np.concatenate([rows for rows, drawn in zip(images.asked, images.drawn, strict=True) if drawn])
    held = np.concatenate([rows for rows, drawn in zip(images.asked, images.drawn, strict=True) if not drawn])
    assert len(held) == round(N / 5)
    assert not set(trained) & set(held)
    with torch.no_grad():
        z = network.eval()(torch.from_numpy(inputs[held])).numpy()  # trained in place: what it says now
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert float(found) == pytest.approx(np.log(p[np.arange(len(held)), labels[held]]).mean(), rel=1e-12)


def test_a_share_of_the_recipes_own_run():
    inputs, labels = made(400)
    images = Recorded(inputs, {"steps": 120})
    look(linear(), images, labels, share=0.25)
    assert len(images.asked) == 30
    with pytest.raises(ValueError, match="images must say the recipe's steps where share is given"):
        look(linear(), inputs, labels, share=0.25)
    with pytest.raises(ValueError, match=r"share must be above 0 and at most 1\. Got 1\.5"):
        look(linear(), images, labels, share=1.5)


def test_what_cannot_be_looked_at_has_a_name():
    inputs, labels = made()
    diverged = look(linear(), 1e200 * inputs, labels)
    assert (diverged.status, np.isnan(diverged)) == ("degenerate", True)
    assert "the loss is not finite at step" in diverged.reason
    same = look(linear(), np.ones_like(inputs), labels)
    assert (same.status, same.reason) == ("degenerate", "the network says the same of every image")
    assert look(linear(), inputs, np.zeros(N, int)).status == "insufficient"
    assert look(linear(), inputs[:3], labels[:3]).status == "insufficient"
    assert look(linear(), inputs[:4], labels[:4], loss="held_out").status == "insufficient"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": np.arange(N - 1) % C}, "labels must be as many as the images, 64. Got 63"),
        ({"network": linear(2)}, "network must have an output a class, 3. Got 2"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"batch": 1}, "batch must be a whole number of at least 2"),
        ({"loss": "test"}, "loss must be one of 'training', 'held_out'"),
        ({"trainable": "head"}, "trainable must be one of"),
    ],
)
def test_wrong_arguments_are_refused(changed, said):
    inputs, labels = made()
    with pytest.raises(ValueError, match=said):
        look(**{"network": linear(), "images": inputs, "labels": labels, **changed})
