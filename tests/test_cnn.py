"""Chapter 04: the library against torch, step by step, and the ledger against numbers from the literature."""

import math

import numpy as np
import pytest
import torch

from course_lib import cnn as library
from course_lib.cnn.ledger import output_shape
from course_lib.conv_layer import Conv2D, MaxPool2D, ReLU, gradient_check, numerical_gradient, relative_error
from course_lib.recorded import Recorded, reached

DRAWS = range(20)
DIGITS_WITH_ONE_HIDDEN_LAYER = [("flatten",), ("linear", 32), ("relu",), ("linear", 10)]


# ---- softmax and cross-entropy ----


def test_the_worked_example_has_the_numbers_of_the_text():
    z = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(library.softmax(z), [[0.125, 0.25, 0.625]], atol=1e-15)
    assert math.isclose(library.cross_entropy(z, np.array([2])), math.log(8 / 5))
    loss = library.SoftmaxCrossEntropy()
    loss.forward(z, np.array([2]))
    np.testing.assert_allclose(loss.backward(), [[0.125, 0.25, -0.375]], atol=1e-15)


@pytest.mark.parametrize("draw", DRAWS)
def test_loss_and_gradient_equal_torch(draw):
    rng = np.random.default_rng(draw)
    N, K = (int(n) for n in rng.integers(1, 12, size=2))
    z, y = 10 * rng.normal(size=(N, K)), rng.integers(0, K, size=N)
    theirs = torch.tensor(z, requires_grad=True)
    E = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(y))
    E.backward()
    loss = library.SoftmaxCrossEntropy()
    assert math.isclose(loss.forward(z, y), E.item(), rel_tol=1e-12, abs_tol=1e-14)
    np.testing.assert_allclose(loss.backward(), theirs.grad.numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(library.softmax(z), torch.softmax(theirs, 1).detach().numpy(), rtol=0, atol=1e-14)


def test_scores_of_a_thousand_overflow_nowhere():
    z = np.array([[1000.0, 0.0], [-1000.0, -1e4]])
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(library.softmax(z), [[1, 0], [1, 0]])
        assert library.cross_entropy(z, np.array([1, 0])) == 500


def test_the_gradient_of_the_loss_is_the_measured_one(rng):
    z, y = rng.normal(size=(4, 5)), rng.integers(0, 5, size=4)
    loss = library.SoftmaxCrossEntropy()
    loss.forward(z, y)
    measured = numerical_gradient(lambda v: library.cross_entropy(v, y), z)
    assert relative_error(loss.backward(), measured).max() < 1e-6


# ---- layers and networks ----


def twin(network):
    """The same network in torch, with the same weights."""
    modules = []
    for layer in network.layers:
        if isinstance(layer, Conv2D):
            module = torch.nn.Conv2d(1, 1, 1, stride=layer.stride, padding=layer.padding)
        elif isinstance(layer, library.Linear):
            module = torch.nn.Linear(1, 1)
        elif isinstance(layer, MaxPool2D):
            module = torch.nn.MaxPool2d(layer.size, layer.stride)
        else:
            module = {ReLU: torch.nn.ReLU, library.Flatten: torch.nn.Flatten}[type(layer)]()
        if layer.params:
            module.weight = torch.nn.Parameter(torch.tensor(layer.params["W"]))
            module.bias = torch.nn.Parameter(torch.tensor(layer.params["b"]))
        modules.append(module)
    return torch.nn.Sequential(*modules)


@pytest.mark.parametrize("draw", DRAWS)
def test_linear_equals_torch_and_its_measured_gradient(draw):
    rng = np.random.default_rng(draw)
    N, D, K = (int(n) for n in rng.integers(1, 6, size=3))
    layer = library.Linear(rng.normal(size=(K, D)), rng.normal(size=K))
    x, dy = rng.normal(size=(N, D)), rng.normal(size=(N, K))
    theirs = torch.nn.functional.linear(*map(torch.from_numpy, (x, layer.params["W"], layer.params["b"])))
    np.testing.assert_allclose(layer.forward(x), theirs.numpy(), rtol=0, atol=1e-14)
    assert all(error.max() < 1e-6 for error in gradient_check(layer, x, dy).values())


@pytest.mark.parametrize("draw", range(8))
def test_a_whole_network_equals_torch_forward_and_backward(draw):
    rng = np.random.default_rng(draw)
    C, H, W = (int(n) for n in rng.integers((1, 9, 9), (4, 14, 14)))
    a, b, K, S, P = (int(n) for n in rng.integers((1, 1, 1, 1, 0), (5, 5, 4, 3, 2)))
    described = [("conv", a, K, S, P), ("relu",), ("pool", 2, 2), ("conv", b, 2, 1, 1), ("relu",), ("flatten",)]
    described += [("linear", 7), ("relu",), ("linear", 4)]
    network = library.build(described, (C, H, W), rng)
    for name, p in network.params.items():
        if name.endswith("b"):
            p += rng.normal(size=p.shape)
    x, y = rng.normal(size=(3, C, H, W)), rng.integers(0, 4, size=3)
    loss = library.SoftmaxCrossEntropy()
    E = loss.forward(network.forward(x), y)
    dx = network.backward(loss.backward())

    theirs, x_theirs = twin(network), torch.tensor(x, requires_grad=True)
    E_theirs = torch.nn.functional.cross_entropy(theirs(x_theirs), torch.from_numpy(y))
    E_theirs.backward()
    assert math.isclose(E, E_theirs.item(), rel_tol=1e-12)
    np.testing.assert_allclose(dx, x_theirs.grad.numpy(), rtol=0, atol=1e-12)
    named = {name.replace("weight", "W").replace("bias", "b"): p.grad.numpy() for name, p in theirs.named_parameters()}
    assert set(named) == set(network.params) == set(network.grads)
    for name, gradient in network.grads.items():
        np.testing.assert_allclose(gradient, named[name], rtol=0, atol=1e-12, err_msg=name)


def test_he_keeps_the_size_of_a_signal_through_many_layers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 400))
    for _ in range(20):
        x = np.maximum(x @ library.he(rng, (400, 400)).T, 0)
    assert 0.5 < np.sqrt((x**2).mean()) < 2
    assert library.he(rng, (3, 4, 5, 5), np.float32).dtype == np.float32
    assert abs(library.he(rng, (100, 4, 5, 5)).std() - math.sqrt(2 / 100)) < 0.003


# ---- optimisers, step by step ----

RULES = {
    "SGD": (library.SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (library.Momentum(0.1, 0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "Nesterov": (library.Nesterov(0.1, 0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    "AdaGrad": (library.AdaGrad(0.05), lambda p: torch.optim.Adagrad(p, lr=0.05)),
    "RMSProp": (library.RMSProp(0.02, 0.9), lambda p: torch.optim.RMSprop(p, lr=0.02, alpha=0.9)),
    "RMSProp as it comes": (library.RMSProp(), lambda p: torch.optim.RMSprop(p)),
    "Adam": (library.Adam(0.03, 0.8, 0.95, 1e-3), lambda p: torch.optim.Adam(p, 0.03, (0.8, 0.95), 1e-3)),
    "Adam as it comes": (library.Adam(), lambda p: torch.optim.Adam(p)),
}


@pytest.mark.parametrize("rule", RULES)
def test_an_optimiser_equals_torch_in_every_one_of_fifty_steps(rule):
    ours, make = RULES[rule]
    rng = np.random.default_rng(7)
    params = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    theirs = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    torch_rule = make(list(theirs.values()))
    for _ in range(50):
        grads = {name: rng.normal(size=p.shape) * 10.0 ** rng.integers(-4, 3) for name, p in params.items()}
        ours.step(params, grads)
        for name, p in theirs.items():
            p.grad = torch.tensor(grads[name])
        torch_rule.step()
        for name, p in theirs.items():
            np.testing.assert_allclose(params[name], p.detach().numpy(), rtol=0, atol=1e-10, err_msg=name)


def test_training_equals_torch_for_an_epoch():
    rng = np.random.default_rng(3)
    x, y = rng.random(size=(40, 1, 8, 8)), rng.integers(0, 10, size=40)
    network = library.build(library.DIGIT_NETWORK, (1, 8, 8), rng)
    theirs = twin(network)
    torch_rule = torch.optim.Adam(theirs.parameters(), lr=0.01)
    order = np.random.default_rng(11).permutation(40)
    for start in range(0, 40, 16):
        batch = torch.from_numpy(order[start : start + 16])
        torch_rule.zero_grad()
        scores = theirs(torch.from_numpy(x)[batch])
        torch.nn.functional.cross_entropy(scores, torch.from_numpy(y)[batch]).backward()
        torch_rule.step()
    library.train_epoch(network, library.SoftmaxCrossEntropy(), library.Adam(0.01), x, y, 16, np.random.default_rng(11))
    for p, q in zip(network.params.values(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p, q.detach().numpy(), rtol=0, atol=1e-10)


# ---- the ledger ----


def test_lenet_alexnet_and_vgg_have_their_numbers():
    lenet = library.ledger(library.LENET5, (1, 32, 32))
    assert [row.parameters for row in lenet.rows if row.parameters] == [156, 2416, 48120, 10164, 850]
    assert lenet.parameters == 61_706
    (count,) = library.count_parameters(library.ALEXNET_FIRST, (3, 227, 227))
    assert count == 34_944
    (OC, OH, OW) = output_shape(library.ALEXNET_FIRST[0], (3, 227, 227))
    assert (OC, OH, OW) == (96, 55, 55)
    assert OC * OH * OW * (3 * 11 * 11 + 1) == 105_705_600
    vgg = library.ledger(library.VGG16, (3, 224, 224))
    assert vgg.parameters == 138_357_544
    assert vgg.multiply_adds == 15_470_264_320
    assert vgg.values == 15_237_608


@pytest.mark.parametrize("draw", range(8))
def test_the_ledger_counts_what_is_built(draw):
    rng = np.random.default_rng(draw)
    C, H, W = (int(n) for n in rng.integers((1, 9, 9), (4, 14, 14)))
    described = [("conv", 3, 3, 2, 1), ("relu",), ("pool", 2, 1), ("flatten",), ("linear", 5)]
    network = library.build(described, (C, H, W), rng)
    book = library.ledger(described, (C, H, W))
    x = np.zeros((1, C, H, W))
    for layer, row in zip(network.layers, book.rows[1:], strict=True):
        assert sum(p.size for p in layer.params.values()) == row.parameters
        x = layer.forward(x)
        assert x.shape[1:] == row.shape
        assert row.values == (0 if isinstance(layer, library.Flatten) else x.size)
    assert "sum" in str(book) and "<table" in book._repr_html_()


# ---- training ----


def test_the_recorded_means_are_reached_and_shown_by_the_notebook():
    recorded = Recorded("cnn")
    assert recorded.mean("test accuracy, Adam, 30 epochs") >= 0.98
    assert len(recorded.result["metrics"][0]["seeds"]) == 3
    assert "0.98" in recorded._repr_html_()
    with pytest.raises(FileNotFoundError, match="make metrics"):
        Recorded("no such chapter")


def test_a_result_outside_its_band_stops_the_notebook(capsys):
    reached("accuracy", 0.9, at_least=0.9)
    reached("error", 0.1, at_most=0.2)
    reached("parameters", 10)
    assert capsys.readouterr().out.splitlines()[0] == "reached: accuracy 0.9 (expected: at least 0.9)"
    for value, band in ((0.89, {"at_least": 0.9}), (0.21, {"at_most": 0.2}), (float("nan"), {"at_most": 1.0})):
        with pytest.raises(ValueError, match="expected"):
            reached("it", value, **band)


def test_confusion_matrix_counts_pairs():
    table = library.confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), 3)
    np.testing.assert_array_equal(table, [[1, 1, 0], [0, 1, 0], [0, 1, 0]])


def test_cosine_falls_from_one_to_zero():
    assert library.cosine(0) == 1
    assert math.isclose(library.cosine(0.5), 0.5)
    assert library.cosine(1) == 0


def test_a_fresh_network_knows_nothing_and_then_twenty_images_by_heart():
    from course_lib.datasets import digits

    train = digits().train
    x, y = train.x[:20] / 16, train.y[:20]
    rng = np.random.default_rng(0)
    network = library.build(library.DIGIT_NETWORK, (1, 8, 8), rng)
    first = library.cross_entropy(network.forward(x), y)
    assert 0.5 * math.log(10) < first < 2 * math.log(10)
    seen = []
    optimizer = library.Adam(lr=0.01)
    history = library.fit(network, optimizer, (x, y), (x, y), 60, 20, rng, schedule=lambda t: 1.0, watch=seen.append)
    assert history["training loss"][-1] < 0.02
    assert history["validation accuracy"][-1] == 1
    assert len(seen) == 60 and optimizer.lr == 0.01


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: library.cross_entropy(np.zeros((2, 3)), np.zeros(3, int)), r"need labels \(N,\)"),
        (lambda: library.cross_entropy(np.zeros((1, 3)), np.array([3])), r"labels must be 0\.\.2"),
        (lambda: library.cross_entropy(np.zeros((1, 3)), np.array([-1])), r"labels must be 0\.\.2"),
        (lambda: library.SoftmaxCrossEntropy().backward(), "call forward"),
        (lambda: library.Linear(np.zeros((2, 3)), np.zeros(3)), "b .K,., not"),
        (lambda: library.Linear(np.zeros((2, 3)), np.zeros(2)).forward(np.zeros((1, 3, 1, 1))), "Flatten missing"),
        (lambda: library.Linear(np.zeros((2, 3)), np.zeros(2)).backward(np.zeros((1, 2))), "call forward"),
        (lambda: library.SGD().step({"W": np.zeros(2)}, {}), "'W' has no gradient"),
        (lambda: library.Adam().step({"W": np.zeros(2)}, {"W": np.zeros(3)}), "its gradient"),
        (lambda: library.count_parameters([("linear", 3)], (1, 2, 2)), "put .'flatten',. before"),
        (lambda: library.count_parameters([("flatten",), ("conv", 1, 1, 1, 0)], (1, 2, 2)), "needs an input"),
        (lambda: library.count_parameters([("norm",)], (1, 2, 2)), "no layer 'norm'"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# ---- different right answers, for test_exercises.py ----


def softmax_by_loops(z):
    rows = []
    for row in z:
        e = [math.exp(value - max(row)) for value in row]
        rows.append([value / sum(e) for value in e])
    return np.array(rows)


def softmax_by_scipy(z):
    from scipy.special import softmax

    return softmax(z, axis=1)


def cross_entropy_by_loops(z, y):
    losses = []
    for row, label in zip(z, y, strict=True):
        losses.append(math.log(sum(math.exp(value - max(row)) for value in row)) + max(row) - row[label])
    return sum(losses) / len(losses)


def cross_entropy_by_scipy(z, y):
    from scipy.special import log_softmax

    return -np.take_along_axis(log_softmax(z, axis=1), y[:, None], axis=1).mean()


class LossByOneHot:
    def forward(self, z, y):
        self.p, self.one_hot = softmax_by_loops(z), np.eye(z.shape[1])[y]
        return cross_entropy_by_loops(z, y)

    def backward(self):
        return (self.p - self.one_hot) / self.p.shape[0]


class LossByTorch:
    def forward(self, z, y):
        self.z = torch.tensor(z, requires_grad=True)
        self.E = torch.nn.functional.cross_entropy(self.z, torch.from_numpy(y))
        return self.E.item()

    def backward(self):
        (dz,) = torch.autograd.grad(self.E, self.z, retain_graph=True)
        return dz.numpy()


class LinearByEinsum:
    def __init__(self, W, b):
        self.params = {"W": W, "b": b}

    def forward(self, x):
        self.x = x
        return np.einsum("nd,kd->nk", x, self.params["W"]) + self.params["b"]

    def backward(self, dy):
        self.grads = {"W": np.einsum("nk,nd->kd", dy, self.x), "b": np.einsum("nk->k", dy)}
        return np.einsum("nk,kd->nd", dy, self.params["W"])


class LinearByLoops(LinearByEinsum):
    def backward(self, dy):
        self.grads = {"W": np.zeros_like(self.params["W"]), "b": np.zeros_like(self.params["b"])}
        dx = np.zeros_like(self.x)
        for n in range(len(dy)):
            self.grads["W"] += np.outer(dy[n], self.x[n])
            self.grads["b"] += dy[n]
            dx[n] = self.params["W"].T @ dy[n]
        return dx


class SequentialByRecursion:
    def __init__(self, layers):
        self.layers = layers
        self.rest = SequentialByRecursion(layers[1:]) if layers else None

    def forward(self, x):
        return self.rest.forward(self.layers[0].forward(x)) if self.layers else x

    def backward(self, dy):
        return self.layers[0].backward(self.rest.backward(dy)) if self.layers else dy

    @property
    def grads(self):
        return {f"{k}.{name}": g for k, layer in enumerate(self.layers) for name, g in layer.grads.items()}


class SequentialByIndex(SequentialByRecursion):
    def forward(self, x):
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer.forward(outputs[-1]))
        return outputs[-1]

    def backward(self, dy):
        for k in range(len(self.layers) - 1, -1, -1):
            dy = self.layers[k].backward(dy)
        return dy


class MomentumWithRateInside:
    def __init__(self, lr=0.1, mu=0.9):
        self.lr, self.mu, self.v = lr, mu, None

    def step(self, params, grads):
        if self.v is None:
            self.v = {name: np.zeros_like(p) for name, p in params.items()}
        for name in params:
            self.v[name] *= self.mu
            self.v[name] -= self.lr * grads[name]
            params[name] += self.v[name]


class MomentumFromAllGradients:
    """v is a sum over the past; the whole past is kept."""

    def __init__(self, lr=0.1, mu=0.9):
        self.lr, self.mu, self.past = lr, mu, []

    def step(self, params, grads):
        self.past.append(grads)
        for name, p in params.items():
            p[...] = p - self.lr * sum(self.mu**k * g[name] for k, g in enumerate(reversed(self.past)))


class AdamInTorchsOrder:
    """The corrections moved into the step's length, as the paper's efficient form and torch have it."""

    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps, self.t, self.state = lr, beta1, beta2, eps, 0, {}

    def step(self, params, grads):
        self.t += 1
        for name, p in params.items():
            m, v = self.state.setdefault(name, (np.zeros_like(p), np.zeros_like(p)))
            m += (1 - self.beta1) * (grads[name] - m)
            v += (1 - self.beta2) * (grads[name] ** 2 - v)
            root = np.sqrt(v) / math.sqrt(1 - self.beta2**self.t) + self.eps
            p -= self.lr / (1 - self.beta1**self.t) * m / root


class AdamByTorch:
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.settings, self.rule = {"lr": lr, "betas": (beta1, beta2), "eps": eps}, None

    def step(self, params, grads):
        if self.rule is None:
            self.tensors = {name: torch.from_numpy(p).requires_grad_() for name, p in params.items()}
            self.rule = torch.optim.Adam(self.tensors.values(), **self.settings)
        for name, tensor in self.tensors.items():
            tensor.grad = torch.from_numpy(np.ascontiguousarray(grads[name]))
        self.rule.step()  # the tensors share the memory of the arrays


def count_by_formula(layers, input_shape):
    counts, shape = [], tuple(input_shape)
    for layer in layers:
        n = 0
        if layer[0] == "conv":
            n = layer[1] * shape[0] * layer[2] ** 2 + layer[1]
            shape = (layer[1], *(1 + (length + 2 * layer[4] - layer[2]) // layer[3] for length in shape[1:]))
        if layer[0] == "pool":
            shape = (shape[0], *(1 + (length - layer[1]) // layer[2] for length in shape[1:]))
        if layer[0] == "flatten":
            shape = (int(np.prod(shape)),)
        if layer[0] == "linear":
            n, shape = layer[1] * shape[0] + layer[1], (layer[1],)
        counts.append(n)
    return counts


def count_by_building(layers, input_shape):
    network = library.build(layers, input_shape, np.random.default_rng(0))
    return [sum(p.size for p in layer.params.values()) for layer in network.layers]


def epoch_by_splitting(network, loss, optimizer, x, y, batch_size, rng):
    order, losses = rng.permutation(len(x)), []
    for batch in np.split(order, range(batch_size, len(x), batch_size)):
        losses += [loss.forward(network.forward(x[batch]), y[batch])] * len(batch)
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return np.mean(losses)


def epoch_by_reordering_first(network, loss, optimizer, x, y, batch_size, rng):
    order = rng.permutation(len(x))
    x, y, total = x[order], y[order], 0.0
    while len(x):
        now, x = x[:batch_size], x[batch_size:]
        labels, y = y[:batch_size], y[batch_size:]
        total += len(now) * loss.forward(network.forward(now), labels)
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return total / len(order)


def classify_without_convolution(x_train, y_train, x_new, seed):
    rng = np.random.default_rng(seed)
    network = library.build(DIGITS_WITH_ONE_HIDDEN_LAYER, x_train.shape[1:], rng)
    loss, rule = library.SoftmaxCrossEntropy(), library.Momentum(0.05)
    for _ in range(30):
        library.train_epoch(network, loss, rule, x_train, y_train, 16, rng)
    return library.predict(network, x_new)


def classify_with_one_convolution(x_train, y_train, x_new, seed):
    rng = np.random.default_rng(seed)
    layers = [("conv", 16, 3, 1, 1), ("relu",), ("pool", 2, 2), ("flatten",), ("linear", 10)]
    network = library.build(layers, x_train.shape[1:], rng)
    loss, rule = library.SoftmaxCrossEntropy(), library.Adam(0.01)
    for _ in range(10):
        library.train_epoch(network, loss, rule, x_train, y_train, 32, rng)
    return network.forward(x_new).argmax(axis=1)


RIGHT = {
    "softmax": [softmax_by_loops, softmax_by_scipy],
    "cross_entropy": [cross_entropy_by_loops, cross_entropy_by_scipy],
    "SoftmaxCrossEntropy": [LossByOneHot, LossByTorch],
    "Linear": [LinearByEinsum, LinearByLoops],
    "Sequential": [SequentialByRecursion, SequentialByIndex],
    "Momentum": [MomentumWithRateInside, MomentumFromAllGradients],
    "Adam": [AdamInTorchsOrder, AdamByTorch],
    "count_parameters": [count_by_formula, count_by_building],
    "train_epoch": [epoch_by_splitting, epoch_by_reordering_first],
    "classify": [classify_without_convolution, classify_with_one_convolution],
}
EQUIVALENT = {
    "classify": {
        "10  ->  11": "another epoch learns the digits as well",
        "32  ->  33": "another size of mini-batch learns them as well",
        "epoch / epochs  ->  epoch * epochs": "the learning rate does not fall, which learns them as well",
    },
}
