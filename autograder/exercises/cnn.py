"""Chapter 04: what is checked of the exercises on a network from the pieces."""

import numpy as np

from autograder.compare import Tolerance
from autograder.exercise import Written, case, exercise, only_exercises

# ---- 4.1 ----


@exercise(
    reference="course_lib.cnn:softmax",
    points=2,
    hints=(
        "What does the result become when the same number is added to every score of a row? Which number would you "
        "add so that no exponential can overflow?",
        "Subtract z.max(axis=1, keepdims=True), take np.exp, divide by .sum(axis=1, keepdims=True). With keepdims both "
        "have shape (N, 1), so each row gets its own.",
    ),
)
def softmax(rng):
    """Turn scores into probabilities, row by row."""
    yield case("the worked example", np.log([[1.0, 2.0, 5.0]]))
    yield case("two rows", np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 6.0]]))
    yield case("three rows, three classes", rng.normal(size=(3, 3)))
    yield case("large scores", np.array([[1000.0, 1001.0]]))
    yield case("rows of very different size", np.array([[900.0, 901.0, 899.0], [-900.0, -901.0, -900.0]]))
    yield case("a larger batch", 3 * rng.normal(size=(int(rng.integers(4, 8)), int(rng.integers(9, 12)))))


@softmax.mistake("np.exp overflows: exp(1000) is infinite. Subtract each row's maximum first; the result is the same.")
def unstable(reference, z):
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(z)
        return e / e.sum(axis=1, keepdims=True)


@softmax.mistake("One maximum of the whole batch is subtracted. A row far below becomes 0/0: each row needs its own.")
def one_maximum_for_all(reference, z):
    with np.errstate(invalid="ignore"):
        e = np.exp(z - z.max())
        return e / e.sum(axis=1, keepdims=True)


@softmax.mistake("The probabilities of a column sum to 1. Each row is one image: sum along axis 1.")
def over_the_batch(reference, z):
    return reference(z.T).T


@softmax.mistake("Everything is divided by one sum over the batch. Each row must sum to 1: axis=1, keepdims=True.")
def one_sum_for_all(reference, z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum()


@softmax.mistake("The sums lie along the wrong axis: without keepdims=True, (N,) is laid along the columns.")
def keepdims_missing(reference, z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1)


@softmax.mistake("These are the logarithms of the probabilities. Softmax itself is asked for.")
def logarithms(reference, z):
    return z - z.max(axis=1, keepdims=True) - np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(1, keepdims=True))


@softmax.mistake("That is the sigmoid of each score on its own. Softmax divides by the sum over the classes.")
def sigmoid(reference, z):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


# ---- 4.2 ----


@exercise(
    reference="course_lib.cnn:cross_entropy",
    points=3,
    hints=(
        "Write log(softmax) by hand and let the logarithm and the exponential meet. What is left of -log p for the "
        "right class?",
        "m = z.max(axis=1); the loss of row n is m[n] + log(sum_k exp(z[n, k] - m[n])) - z[n, y[n]]. "
        "z[np.arange(N), y] picks one score from each row. At the end: the mean.",
    ),
)
def cross_entropy(rng):
    """Mean negative log-probability of the right class."""
    yield case("the worked example", np.log([[1.0, 2.0, 5.0]]), np.array([2]))
    yield case("two rows", np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 6.0]]), np.array([0, 1]))
    yield case("equal scores: log K", np.zeros((3, 10)), np.array([7, 0, 4]))
    yield case("sure and wrong", np.array([[0.0, 1000.0]]), np.array([0]))
    yield case("sure and right", np.array([[0.0, 800.0], [-800.0, 1.0]]), np.array([1, 1]))
    N, K = int(rng.integers(4, 9)), int(rng.integers(4, 9))
    yield case("a random batch", 2 * rng.normal(size=(N, K)), rng.integers(0, K, size=N))


@cross_entropy.mistake(
    "The logarithm of a probability that was rounded to 0 is infinite. Take the logarithm before that: log-sum-exp."
)
def log_of_zero(reference, z, y):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        return -np.log(p[np.arange(len(y)), y]).mean()


@cross_entropy.mistake("A small number is added inside the logarithm. A sure and wrong answer then costs too little.")
def small_number_added(reference, z, y):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y] + 1e-7).mean()


@cross_entropy.mistake("np.exp overflows: subtract each row's maximum before, and add it again after the logarithm.")
def unstable_log_sum(reference, z, y):
    with np.errstate(over="ignore", divide="ignore"):
        return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]).mean()


@cross_entropy.mistake("The mean over the batch is missing: this is the sum, which grows with the number of images.")
def sum_of_batch(reference, z, y):
    return reference(z, y) * len(y)


@cross_entropy.mistake("Divided by the batch twice: .mean() already divides by N.")
def mean_twice(reference, z, y):
    return reference(z, y) / len(y)


@cross_entropy.mistake("The sign is wrong. The logarithm of a probability is negative; the loss is not.")
def sign(reference, z, y):
    return -reference(z, y)


@cross_entropy.mistake("The highest score is taken, whatever the label. The loss asks about the right class, y[n].")
def highest_score(reference, z, y):
    return reference(z, z.argmax(axis=1))


@cross_entropy.mistake("The logarithm has base 2. This course, like PyTorch, uses the natural one.")
def base_two(reference, z, y):
    return reference(z, y) / np.log(2)


@cross_entropy.mistake("z[:, y] pairs every row with every label. Give both indices: z[np.arange(N), y].")
def every_pair(reference, z, y):
    m = z.max(axis=1, keepdims=True)
    log_sum = m + np.log(np.exp(z - m).sum(axis=1, keepdims=True))
    return (log_sum - z[:, y]).mean()


# ---- 4.3 ----


def drive_loss(answer, z, y):
    """Forward, then backward twice: asking again must give the same."""
    loss = answer()
    E = loss.forward(z, y)
    dz = np.array(loss.backward())
    return {"loss": E, "dz": dz, "dz, asked for again": loss.backward()}


why_p_minus_y = Written("why_p_minus_y", points=3)


@exercise(
    reference="course_lib.cnn:SoftmaxCrossEntropy",
    points=3,
    hints=(
        "For one row and three classes: what is dz when p = (1/8, 1/4, 5/8) and the right class is the last? "
        "What must its entries sum to?",
        "Copy self.p, subtract 1 at [np.arange(N), self.y], divide by N.",
    ),
    drive=drive_loss,
)
def SoftmaxCrossEntropy(rng):
    """The gradient of the loss with respect to the scores."""
    yield case("the worked example", z=np.log([[1.0, 2.0, 5.0]]), y=np.array([2]))
    yield case("two rows", z=np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 6.0]]), y=np.array([0, 1]))
    yield case("the same class twice", z=rng.normal(size=(3, 3)), y=np.array([1, 1, 0]))
    yield case("sure and wrong", z=np.array([[0.0, 1000.0], [0.0, 0.0]]), y=np.array([0, 1]))
    N, K = int(rng.integers(4, 7)), int(rng.integers(4, 7))
    yield case("a random batch", z=rng.normal(size=(N, K)), y=rng.integers(0, K, size=N))


@SoftmaxCrossEntropy.mistake("The mean over the batch is missing. The loss is a mean, so its gradient has 1/N.")
def no_mean(reference):
    class Wrong(reference):
        def backward(self):
            dz = np.array(super().backward())
            return dz * len(dz)

    return Wrong()


@SoftmaxCrossEntropy.mistake("The gradient is divided by the batch twice.")
def mean_twice_backward(reference):
    class Wrong(reference):
        def backward(self):
            dz = np.array(super().backward())
            return dz / len(dz)

    return Wrong()


@SoftmaxCrossEntropy.mistake("The sign is wrong: it is p minus y. With y - p the loss would be driven up.")
def y_minus_p(reference):
    class Wrong(reference):
        def backward(self):
            return -np.array(super().backward())

    return Wrong()


@SoftmaxCrossEntropy.mistake(
    "dz[:, y] -= 1 takes 1 from whole columns. Only the right class of each row: dz[np.arange(N), y]."
)
def whole_columns(reference):
    class Wrong(reference):
        def forward(self, z, y):
            self.scores, self.labels = np.array(z), np.array(y)
            return super().forward(z, y)

        def backward(self):
            e = np.exp(self.scores - self.scores.max(axis=1, keepdims=True))
            dz = e / e.sum(axis=1, keepdims=True)
            dz[:, self.labels] -= 1
            return dz / len(dz)

    return Wrong()


@SoftmaxCrossEntropy.mistake("The label is not subtracted: this is p / N. At the right class it must be (p - 1) / N.")
def only_p(reference):
    class Wrong(reference):
        def forward(self, z, y):
            self.labels = np.array(y)
            return super().forward(z, y)

        def backward(self):
            dz = np.array(super().backward())
            dz[np.arange(len(dz)), self.labels] += 1 / len(dz)
            return dz

    return Wrong()


@SoftmaxCrossEntropy.mistake(
    "The probabilities that forward kept are overwritten, so a second backward gives something else. Copy them first."
)
def p_overwritten(reference):
    class Wrong(reference):
        def forward(self, z, y):
            self.labels, self.kept = np.array(y), None
            return super().forward(z, y)

        def backward(self):
            if self.kept is None:
                self.kept = np.array(super().backward()) * len(self.labels)
            else:
                self.kept[np.arange(len(self.labels)), self.labels] -= 1
            return self.kept / len(self.labels)

    return Wrong()


# ---- 4.4 ----


def drive_linear(answer, W, b, x, dy, earlier_x=None, earlier_dy=None):
    """Forward and backward, after an earlier mini-batch if there is one."""
    layer = answer(W, b)
    if earlier_x is not None:
        layer.forward(earlier_x)
        layer.backward(earlier_dy)
    y = layer.forward(x)
    dx = layer.backward(dy)
    return {"y": y, "dx": dx, "dW": layer.grads["W"], "db": layer.grads["b"]}


@exercise(
    reference="course_lib.cnn:Linear",
    points=3,
    hints=(
        "x is (N, D), dy is (N, K), dW must be (K, D). Which product of two of these, one of them transposed, has that "
        "shape? And which one gives dx, (N, D)?",
        "dW = dy.T @ x sums over the batch; db = dy.sum(axis=0); dx = dy @ W. Put dW and db into a new self.grads.",
    ),
    drive=drive_linear,
)
def Linear(rng):
    """The fully connected layer, forward and backward."""

    def layer(N, D, K, **more):
        return dict(W=rng.normal(size=(K, D)), b=rng.normal(size=K), x=rng.normal(size=(N, D)),
                    dy=rng.normal(size=(N, K)), **more)  # fmt: skip

    small = {"W": np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]]), "b": np.array([0.0, 1.0, 0.0])}
    yield case("the worked example", **small, x=np.array([[1.0, 2.0]]), dy=np.array([[1.0, 0.0, -1.0]]))
    yield case("two images", **layer(2, 3, 2))
    yield case("as many images as inputs as outputs", **layer(3, 3, 3))
    yield case("a second mini-batch", **layer(2, 3, 2), earlier_x=rng.normal(size=(2, 3)),
               earlier_dy=rng.normal(size=(2, 2)))  # fmt: skip
    N, D, K = (int(n) for n in rng.permutation([4, 5, 6]))
    yield case("random sizes", **layer(N, D, K))


@Linear.mistake("The gradient is added to that of the mini-batch before. Each backward starts anew.")
def accumulated(reference, W, b):
    class Wrong(reference):
        def backward(self, dy):
            before = dict(self.grads)
            dx = super().backward(dy)
            self.grads = {name: g + before[name] if name in before else g for name, g in self.grads.items()}
            return dx

    return Wrong(W, b)


@Linear.mistake("The gradients are averaged over the batch here. The loss has divided by N already: sum.")
def averaged(reference, W, b):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {name: g / len(dy) for name, g in self.grads.items()}
            return dx

    return Wrong(W, b)


@Linear.mistake("dW is transposed. A gradient has the shape of its parameter, (K, D).")
def dW_transposed(reference, W, b):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {"W": self.grads["W"].T, "b": self.grads["b"]}
            return dx

    return Wrong(W, b)


@Linear.mistake("dx goes through W transposed. Forward multiplies by W.T, so backward multiplies by W.")
def dx_through_W_transposed(reference, W, b):
    class Wrong(reference):
        def backward(self, dy):
            super().backward(dy)
            return dy @ self.params["W"].T

    return Wrong(W, b)


@Linear.mistake("db is summed over the outputs. Each output has its own bias: sum over the batch, axis 0.")
def db_over_outputs(reference, W, b):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {"W": self.grads["W"], "b": dy.sum(axis=1)}
            return dx

    return Wrong(W, b)


@Linear.mistake("db is not summed over the batch: dy has a row for each image, b only one.")
def db_not_summed(reference, W, b):
    class Wrong(reference):
        def backward(self, dy):
            dx = super().backward(dy)
            self.grads = {"W": self.grads["W"], "b": dy}
            return dx

    return Wrong(W, b)


@Linear.mistake("The bias is forgotten in forward.")
def bias_forgotten(reference, W, b):
    class Wrong(reference):
        def forward(self, x):
            return super().forward(x) - self.params["b"]

    return Wrong(W, b)


# ---- 4.5 ----


class _Times:
    """A layer that multiplies by a matrix; what Sequential is tried on."""

    def __init__(self, W):
        self.params, self.grads = {"W": W}, {}

    def forward(self, x):
        self._x = x
        return x @ self.params["W"].T

    def backward(self, dy):
        self.grads = {"W": dy.T @ self._x}
        return dy @ self.params["W"]


class _Square:
    """A layer without parameters: every entry squared."""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        self._x = x
        return x**2

    def backward(self, dy):
        return 2 * self._x * dy


def drive_sequential(answer, x, dy, matrices, squares=False):
    """Layers that multiply by the given matrices, with squares between them if asked."""
    layers = []
    for W in matrices:
        layers += [_Times(W)] + [_Square()] * squares
    network = answer(layers)
    y = network.forward(x)
    dx = network.backward(dy)
    return {"y": y, "dx": dx, **{f"the gradient {name}": g for name, g in network.grads.items()}}


@exercise(
    reference="course_lib.cnn:Sequential",
    points=3,
    hints=(
        "y = f3(f2(f1(x))). Which of the three layers is the only one whose output's gradient you know at the "
        "beginning of backward?",
        "forward: for layer in self.layers: x = layer.forward(x). backward: the same loop over reversed(self.layers) "
        "with dy = layer.backward(dy). Return the last one.",
    ),
    drive=drive_sequential,
)
def Sequential(rng):
    """Layers in a row, forward and backward."""

    def network(N, *widths, **more):
        matrices = [rng.normal(size=(K, D)) for D, K in zip(widths, widths[1:], strict=False)]
        return dict(x=rng.normal(size=(N, widths[0])), dy=rng.normal(size=(N, widths[-1])), matrices=matrices, **more)

    A, B = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    yield case("one layer", **network(1, 2, 3))
    yield case("the worked example", x=np.array([[1.0, 2.0]]), dy=np.array([[1.0, 0.0]]), matrices=[A, B])
    yield case("three square layers", **network(2, 3, 3, 3, 3))
    yield case("layers of different widths", **network(2, 3, 5, 2))
    yield case("with squares between", **network(3, 2, 4, 3, squares=True))


@Sequential.mistake("Backward runs through the layers in forward order. The chain rule starts at the last one.")
def backward_in_forward_order(reference, layers):
    class Wrong(reference):
        def backward(self, dy):
            for layer in self.layers:
                dy = layer.backward(dy)
            return dy

    return Wrong(layers)


@Sequential.mistake("Every layer gets the gradient of the loss. Each must get what the layer after it returned.")
def gradient_not_passed_on(reference, layers):
    class Wrong(reference):
        def backward(self, dy):
            for layer in reversed(self.layers):
                dx = layer.backward(dy)
            return dx

    return Wrong(layers)


@Sequential.mistake("Every layer gets the network's input. Each must get the output of the layer before it.")
def output_not_passed_on(reference, layers):
    class Wrong(reference):
        def forward(self, x):
            for layer in self.layers:
                y = layer.forward(x)
            return y

    return Wrong(layers)


@Sequential.mistake("Backward returns nothing. The gradient at the input, dx, is asked for.")
def backward_returns_nothing(reference, layers):
    class Wrong(reference):
        def backward(self, dy):
            super().backward(dy)

    return Wrong(layers)


@Sequential.mistake("Backward returns the gradient that came in. What the first layer returns is asked for.")
def backward_returns_dy(reference, layers):
    class Wrong(reference):
        def backward(self, dy):
            super().backward(dy)
            return dy

    return Wrong(layers)


# ---- 4.6, 4.7 ----


def drive_optimizer(answer, p, gradients, **settings):
    """Two parameters, and where each of them is after every step."""
    optimizer = answer(**settings)
    params = {"p": np.array(p), "q": np.array(p[::-1])}
    path = {"p": [], "q": []}
    for g in gradients:
        optimizer.step(params, {"p": np.array(g), "q": -2 * g[::-1]})
        for name, values in path.items():
            values.append(np.array(params[name]))
    return {f"{name}, a row for each step": np.array(values) for name, values in path.items()}


@exercise(
    reference="course_lib.cnn:Momentum",
    points=2,
    hints=(
        "The same gradient of 1 comes three times, and mu = 0.5. What is the velocity after each step?",
        "self.v[name] = self.mu * self.v.get(name, 0.0) + grads[name], then p -= self.lr * self.v[name]. The -= "
        "changes the array itself.",
    ),
    drive=drive_optimizer,
)
def Momentum(rng):
    """Gradient descent with a velocity."""
    yield case("one step", p=np.array([1.0, -2.0]), gradients=np.array([[1.0, 3.0]]), lr=0.1, mu=0.5)
    yield case("the worked example", p=np.zeros(2), gradients=np.ones((3, 2)), lr=1.0, mu=0.5)
    yield case(
        "the gradient turns", p=np.array([0.0, 1.0]), gradients=np.array([[1.0, 2.0], [-1.0, 0.5]]), lr=0.1, mu=0.9
    )
    yield case("no memory", p=rng.normal(size=2), gradients=rng.normal(size=(3, 2)), lr=0.1, mu=0.0)
    yield case("nothing given: the usual settings", p=rng.normal(size=2), gradients=rng.normal(size=(3, 2)))
    n = int(rng.integers(2, 5))
    yield case("five steps", p=rng.normal(size=n), gradients=rng.normal(size=(5, n)), lr=0.3, mu=0.9)


@Momentum.mistake("The parameters did not change. p = p - ... makes a new array; p -= ... changes the one in params.")
def not_in_place(reference, lr=0.1, mu=0.9):
    class Wrong(reference):
        def step(self, params, grads):
            super().step({name: p.copy() for name, p in params.items()}, grads)

    return Wrong(lr=lr, mu=mu)


@Momentum.mistake("The gradient is weighted with 1 - mu: an average. Here v = mu v + g, as in PyTorch.")
def averaging(reference, lr=0.1, mu=0.9):
    return reference(lr=lr * (1 - mu), mu=mu)


@Momentum.mistake("The velocity is forgotten after each step, so this is plain gradient descent. Keep it in self.v.")
def no_memory(reference, lr=0.1, mu=0.9):
    return reference(lr=lr, mu=0.0)


@Momentum.mistake("The step goes uphill: subtract lr times the velocity.")
def uphill(reference, lr=0.1, mu=0.9):
    return reference(lr=-lr, mu=mu)


@Momentum.mistake("All parameters share one velocity. Each name needs its own: self.v[name].")
def one_velocity(reference, lr=0.1, mu=0.9):
    class Wrong:
        def __init__(self):
            self.v = 0.0

        def step(self, params, grads):
            for name, p in params.items():
                self.v = mu * self.v + grads[name]
                p -= lr * self.v

    return Wrong()


@Momentum.mistake("That is Nesterov's variant: the step already contains mu v. Here p -= lr * v.")
def looks_ahead(reference, lr=0.1, mu=0.9):
    class Wrong:
        def __init__(self):
            self.v = {}

        def step(self, params, grads):
            for name, p in params.items():
                self.v[name] = mu * self.v.get(name, 0.0) + grads[name]
                p -= lr * (grads[name] + mu * self.v[name])

    return Wrong()


@Momentum.mistake("The old velocity is used for the step: update v first, then move p.")
def old_velocity(reference, lr=0.1, mu=0.9):
    class Wrong:
        def __init__(self):
            self.v = {}

        def step(self, params, grads):
            for name, p in params.items():
                before = self.v.get(name, np.zeros_like(p))
                p -= lr * before
                self.v[name] = mu * before + grads[name]

    return Wrong()


@exercise(
    reference="course_lib.cnn:Adam",
    points=4,
    hints=(
        "In the first step m = (1 - beta1) g and v = (1 - beta2) g². What are m_hat and v_hat then, and how long is "
        "the step?",
        "Once per step: self.t += 1. For each name: m and v as running means (0 at the start), m_hat = m / (1 - "
        "beta1**t), v_hat = v / (1 - beta2**t), p -= lr * m_hat / (np.sqrt(v_hat) + eps).",
    ),
    drive=drive_optimizer,
)
def Adam(rng):
    """Adam, with both corrections."""
    yield case("one step", p=np.array([1.0, -2.0]), gradients=np.array([[4.0, 0.5]]), lr=0.1)
    yield case("two steps", p=np.zeros(2), gradients=np.array([[1.0, 1.0], [1.0, -1.0]]), lr=0.1, beta1=0.5, beta2=0.75)
    yield case("a large epsilon", p=np.zeros(2), gradients=np.array([[1.0, -2.0], [3.0, 0.0]]), lr=0.1, eps=0.5)
    yield case("nothing given: the usual settings", p=rng.normal(size=2), gradients=rng.normal(size=(3, 2)))
    n = int(rng.integers(2, 5))
    yield case("six steps", p=rng.normal(size=n), gradients=rng.normal(size=(6, n)), lr=0.05, beta1=0.8, beta2=0.95)


@Adam.mistake("The bias correction is missing: m and v start at 0, so the first steps have the wrong length.")
def no_bias_correction(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    class Wrong:
        def __init__(self):
            self.m, self.v = {}, {}

        def step(self, params, grads):
            for name, p in params.items():
                self.m[name] = beta1 * self.m.get(name, 0.0) + (1 - beta1) * grads[name]
                self.v[name] = beta2 * self.v.get(name, 0.0) + (1 - beta2) * grads[name] ** 2
                p -= lr * self.m[name] / (np.sqrt(self.v[name]) + eps)

    return Wrong()


@Adam.mistake("Epsilon stands inside the root. It is added after: sqrt(v_hat) + eps.")
def epsilon_inside(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    class Wrong:
        def __init__(self):
            self.m, self.v, self.t = {}, {}, 0

        def step(self, params, grads):
            self.t += 1
            for name, p in params.items():
                self.m[name] = beta1 * self.m.get(name, 0.0) + (1 - beta1) * grads[name]
                self.v[name] = beta2 * self.v.get(name, 0.0) + (1 - beta2) * grads[name] ** 2
                m_hat, v_hat = self.m[name] / (1 - beta1**self.t), self.v[name] / (1 - beta2**self.t)
                p -= lr * m_hat / np.sqrt(v_hat + eps)

    return Wrong()


@Adam.mistake("t is raised for every parameter. All of them take the same step: raise it once, before the loop.")
def t_for_each_parameter(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    class Wrong:
        def __init__(self):
            self.m, self.v, self.t = {}, {}, 0

        def step(self, params, grads):
            for name, p in params.items():
                self.t += 1
                self.m[name] = beta1 * self.m.get(name, 0.0) + (1 - beta1) * grads[name]
                self.v[name] = beta2 * self.v.get(name, 0.0) + (1 - beta2) * grads[name] ** 2
                m_hat, v_hat = self.m[name] / (1 - beta1**self.t), self.v[name] / (1 - beta2**self.t)
                p -= lr * m_hat / (np.sqrt(v_hat) + eps)

    return Wrong()


@Adam.mistake("t is 0 in the first step, so the correction divides by 0. Steps count from 1: raise t before using it.")
def t_from_zero(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    class Wrong:
        def __init__(self):
            self.m, self.v, self.t = {}, {}, 0

        def step(self, params, grads):
            for name, p in params.items():
                self.m[name] = beta1 * self.m.get(name, 0.0) + (1 - beta1) * grads[name]
                self.v[name] = beta2 * self.v.get(name, 0.0) + (1 - beta2) * grads[name] ** 2
                with np.errstate(divide="ignore", invalid="ignore"):
                    m_hat = self.m[name] / np.float64(1 - beta1**self.t)
                    v_hat = self.v[name] / np.float64(1 - beta2**self.t)
                    p -= lr * m_hat / (np.sqrt(v_hat) + eps)
            self.t += 1

    return Wrong()


@Adam.mistake("The corrected values are kept as the running means. Correct a copy: m and v go on uncorrected.")
def correction_kept(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    class Wrong:
        def __init__(self):
            self.m, self.v, self.t = {}, {}, 0

        def step(self, params, grads):
            self.t += 1
            for name, p in params.items():
                self.m[name] = beta1 * self.m.get(name, 0.0) + (1 - beta1) * grads[name]
                self.v[name] = beta2 * self.v.get(name, 0.0) + (1 - beta2) * grads[name] ** 2
                self.m[name] = self.m[name] / (1 - beta1**self.t)
                self.v[name] = self.v[name] / (1 - beta2**self.t)
                p -= lr * self.m[name] / (np.sqrt(self.v[name]) + eps)

    return Wrong()


@Adam.mistake("The two betas are exchanged: beta1 belongs to m, beta2 to v.")
def betas_exchanged(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    return reference(lr=lr, beta1=beta2, beta2=beta1, eps=eps)


@Adam.mistake("The root is missing: the step is divided by sqrt(v_hat), not by v_hat.")
def no_root(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    class Wrong:
        def __init__(self):
            self.m, self.v, self.t = {}, {}, 0

        def step(self, params, grads):
            self.t += 1
            for name, p in params.items():
                self.m[name] = beta1 * self.m.get(name, 0.0) + (1 - beta1) * grads[name]
                self.v[name] = beta2 * self.v.get(name, 0.0) + (1 - beta2) * grads[name] ** 2
                m_hat, v_hat = self.m[name] / (1 - beta1**self.t), self.v[name] / (1 - beta2**self.t)
                p -= lr * m_hat / (v_hat + eps)

    return Wrong()


@Adam.mistake("The parameters did not change. p = p - ... makes a new array; p -= ... changes the one in params.")
def adam_not_in_place(reference, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    class Wrong(reference):
        def step(self, params, grads):
            super().step({name: p.copy() for name, p in params.items()}, grads)

    return Wrong(lr=lr, beta1=beta1, beta2=beta2, eps=eps)


# ---- 4.8 ----


@exercise(
    reference="course_lib.cnn:count_parameters",
    points=3,
    hints=(
        "How many numbers does one output of a convolution see, and how many outputs have weights of their own? "
        "What shape does the next layer receive?",
        "Keep the current shape. conv: OC * (C * K * K + 1) parameters, then (OC, output_size(H, K, S, P), ...). "
        "pool: 0, the size shrinks. flatten: 0, (C * H * W,). linear: OUT * (D + 1), then (OUT,).",
    ),
)
def count_parameters(rng):
    """Weights and biases of every layer of a described network."""
    yield case("one linear layer", [("linear", 3)], (4,))
    yield case("one filter", [("conv", 1, 3, 1, 0)], (1, 5, 5))
    yield case("filters for three channels", [("conv", 6, 5, 1, 2)], (3, 8, 9))
    yield case("a ReLU has none", [("linear", 5), ("relu",), ("linear", 2)], (3,))
    yield case("flatten, then linear", [("flatten",), ("linear", 10)], (2, 3, 4))
    yield case("two convolutions", [("conv", 4, 3, 1, 1), ("conv", 2, 5, 1, 0)], (1, 6, 7))
    yield case("a stride", [("conv", 3, 3, 2, 1), ("flatten",), ("linear", 2)], (1, 8, 6))
    yield case("pooling", [("pool", 2, 2), ("relu",), ("flatten",), ("linear", 2)], (3, 6, 9))
    C, H, W = (int(n) for n in rng.integers((1, 12, 12), (4, 20, 20)))
    a, b, K, out = (int(n) for n in rng.integers((2, 2, 2, 2), (9, 9, 6, 12)))
    layers = [("conv", a, K, 1, 1), ("relu",), ("pool", 3, 2), ("conv", b, 3, 2, 1), ("relu",), ("flatten",),
              ("linear", out)]  # fmt: skip
    yield case("a random network", layers, (C, H, W))


@count_parameters.mistake("The biases are missing: one for each filter, one for each output of a linear layer.")
def no_biases(reference, layers, input_shape):
    counts = reference(layers, input_shape)
    return [n - layer[1] if layer[0] in ("conv", "linear") else n for n, layer in zip(counts, layers, strict=True)]


@count_parameters.mistake("The channels are forgotten: a filter covers all C channels of its input.")
def channels_forgotten(reference, layers, input_shape):
    counts = reference(layers, input_shape)
    return [
        layer[1] * (layer[2] ** 2 + 1) if layer[0] == "conv" else n for n, layer in zip(counts, layers, strict=True)
    ]


@count_parameters.mistake("Every position is given weights of its own. All positions of a filter share them.")
def not_shared(reference, layers, input_shape):
    counts, shape = [], input_shape
    for n, layer in zip(reference(layers, input_shape), layers, strict=True):
        if layer[0] == "conv":
            _, OC, K, S, P = layer
            shape = (OC, *((length + 2 * P - K) // S + 1 for length in shape[1:]))
            n = n * shape[1] * shape[2]
        elif layer[0] == "pool":
            shape = (shape[0], *((length - layer[1]) // layer[2] + 1 for length in shape[1:]))
        counts.append(n)
    return counts


@count_parameters.mistake("A bias is counted for every output pixel. There is one for each filter.")
def bias_for_each_pixel(reference, layers, input_shape):
    counts, shape = [], input_shape
    for n, layer in zip(reference(layers, input_shape), layers, strict=True):
        if layer[0] == "conv":
            _, OC, K, S, P = layer
            shape = (OC, *((length + 2 * P - K) // S + 1 for length in shape[1:]))
            n = n - OC + OC * shape[1] * shape[2]
        elif layer[0] == "pool":
            shape = (shape[0], *((length - layer[1]) // layer[2] + 1 for length in shape[1:]))
        counts.append(n)
    return counts


@count_parameters.mistake("Flatten keeps only the channels. It makes one axis of all: C * H * W.")
def flatten_keeps_channels(reference, layers, input_shape):
    counts, C, before = [], input_shape[0], None
    for n, layer in zip(reference(layers, input_shape), layers, strict=True):
        if layer[0] == "conv":
            C = layer[1]
        counts.append(layer[1] * (C + 1) if layer[0] == "linear" and before == "flatten" else n)
        before = layer[0]
    return counts


@count_parameters.mistake("Stride and pooling do not shrink the image, so the linear layer gets too many inputs.")
def nothing_shrinks(reference, layers, input_shape):
    same = [("conv", layer[1], layer[2], 1, layer[4]) if layer[0] == "conv" else layer for layer in layers]
    return reference([("relu",) if layer[0] == "pool" else layer for layer in same], input_shape)


@count_parameters.mistake("This is the sum over the layers. A list is asked for, with one number for each layer.")
def summed(reference, layers, input_shape):
    return sum(reference(layers, input_shape))


# ---- 4.9 ----


class _Scores:
    """A network of one matrix that keeps a record of what it was shown."""

    def __init__(self, features, classes):
        self.params, self.grads = {"W": np.zeros((classes, features))}, {}
        self.sizes = []

    def forward(self, x):
        self._x = x
        self.sizes.append(len(x))
        return x @ self.params["W"].T

    def backward(self, dy):
        self.grads = {"W": dy.T @ self._x}
        return dy @ self.params["W"]


class _SquaredError:
    """The mean over the batch of the squared distance between scores and labels in one-hot form."""

    def forward(self, z, y):
        self._error = z - (y[:, None] == np.arange(z.shape[1]))
        return float((self._error**2).sum(axis=1).mean())

    def backward(self):
        return 2 * self._error / len(self._error)


class _Steps:
    """Gradient descent that counts its steps."""

    def __init__(self, lr):
        self.lr, self.taken = lr, 0

    def step(self, params, grads):
        self.taken += 1
        for name, p in params.items():
            p -= self.lr * grads[name]


def drive_epoch(answer, x, y, batch_size, seed):
    """One epoch with a small network, a record of the mini-batches, and where the weights end."""
    network, optimizer = _Scores(x.shape[1], 3), _Steps(0.1)
    mean_loss = answer(network, _SquaredError(), optimizer, x, y, batch_size, np.random.default_rng(seed))
    return {
        "images in each mini-batch": np.array(network.sizes, dtype=int),
        "steps taken": optimizer.taken,
        "the weights afterwards": network.params["W"],
        "the mean loss": mean_loss,
    }


@exercise(
    reference="course_lib.cnn:train_epoch",
    points=3,
    hints=(
        "order holds the numbers of all images in random order. Which part of it is the second mini-batch, and what "
        "must happen to x and y alike?",
        "batch = order[start : start + batch_size]. Forward through the network, then the loss; backward through the "
        "loss, then the network; one step. Add loss * len(batch), divide by len(x) at the end.",
    ),
    drive=drive_epoch,
)
def train_epoch(rng):
    """One pass over the training images, a step after each mini-batch."""

    def images(N, D, **more):
        return dict(x=rng.normal(size=(N, D)), y=rng.permutation(np.arange(N) % 3), **more)

    yield case("one mini-batch", **images(4, 2, batch_size=4, seed=1))
    yield case("two mini-batches", **images(6, 2, batch_size=3, seed=2))
    yield case("the last mini-batch is smaller", **images(7, 2, batch_size=3, seed=3))
    yield case("larger than the set", **images(5, 3, batch_size=8, seed=4))
    N, B = int(rng.integers(20, 30)), int(rng.integers(4, 8))
    yield case("random sizes", **images(N, 4, batch_size=B, seed=int(rng.integers(1000))))


@train_epoch.mistake("Images and labels are in different orders: take x[batch] and y[batch] with the same numbers.")
def labels_not_shuffled(reference, network, loss, optimizer, x, y, batch_size, rng):
    order = rng.permutation(len(x))
    total = 0.0
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        total += loss.forward(network.forward(x[batch]), y[start : start + batch_size]) * len(batch)
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return total / len(x)


@train_epoch.mistake("The images are shown in their own order. Take them in the drawn order, another in every epoch.")
def not_shuffled(reference, network, loss, optimizer, x, y, batch_size, rng):
    total = 0.0
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        total += loss.forward(network.forward(x[part]), y[part]) * len(x[part])
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return total / len(x)


@train_epoch.mistake("The last, smaller mini-batch is left out. Every image is shown once.")
def last_batch_dropped(reference, network, loss, optimizer, x, y, batch_size, rng):
    order = rng.permutation(len(x))
    total, seen = 0.0, 0
    for k in range(len(x) // batch_size):
        batch = order[k * batch_size : (k + 1) * batch_size]
        total += loss.forward(network.forward(x[batch]), y[batch]) * len(batch)
        seen += len(batch)
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return total / seen


@train_epoch.mistake("One step is taken for the whole epoch. Take one after each mini-batch.")
def one_step_an_epoch(reference, network, loss, optimizer, x, y, batch_size, rng):
    order = rng.permutation(len(x))
    total = 0.0
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        total += loss.forward(network.forward(x[batch]), y[batch]) * len(batch)
        network.backward(loss.backward())
    optimizer.step(network.params, network.grads)
    return total / len(x)


@train_epoch.mistake("No step is taken: the weights are where they were. Call optimizer.step(params, grads).")
def no_step(reference, network, loss, optimizer, x, y, batch_size, rng):
    order = rng.permutation(len(x))
    total = 0.0
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        total += loss.forward(network.forward(x[batch]), y[batch]) * len(batch)
        network.backward(loss.backward())
    return total / len(x)


@train_epoch.mistake("The losses are averaged over mini-batches. The last one is smaller: weight each by its images.")
def mean_of_means(reference, network, loss, optimizer, x, y, batch_size, rng):
    order = rng.permutation(len(x))
    losses = []
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        losses.append(loss.forward(network.forward(x[batch]), y[batch]))
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return np.mean(losses)


@train_epoch.mistake("This is the loss of the last mini-batch only. The mean over all images is asked for.")
def last_loss(reference, network, loss, optimizer, x, y, batch_size, rng):
    order = rng.permutation(len(x))
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        last = loss.forward(network.forward(x[batch]), y[batch])
        network.backward(loss.backward())
        optimizer.step(network.params, network.grads)
    return last


# ---- 4.10 ----

RIGHT_SHARE = 0.8


@exercise(
    reference="course_lib.cnn:classify",
    points=5,
    hints=(
        "Does the loss of the last epoch come down to about 0.1? If not: is the learning rate too small, or are there "
        "too few steps?",
        "One convolution with 16 filters, ReLU, pooling and a linear layer are enough. Adam with lr = 0.01, "
        "mini-batches of 32, about ten epochs; then the argmax of the scores of x_new along axis 1.",
    ),
    tolerance=Tolerance(share=RIGHT_SHARE),
)
def classify(rng):
    """Train a network on the digits given and classify others."""
    from sklearn.datasets import load_digits

    source = load_digits()
    x, y = source.images[:, None] / 16, source.target

    def digits(name, classes, n):
        """``n`` digits of some classes to learn from, 100 others to classify."""
        drawn = rng.permutation(10)[:classes]
        order = rng.permutation(np.flatnonzero(np.isin(y, drawn)))[: n + 100]
        # The classes are numbered anew, so that only what is learned from x_train helps.
        number = np.zeros(10, dtype=np.int64)
        number[drawn] = np.arange(classes)
        learn, new = order[:n], order[n:]
        seed = int(rng.integers(1000))
        return case(name, x[learn], number[y[learn]], x[new], seed).expecting(number[y[new]])

    yield digits("two kinds of digits", 2, 80)
    yield digits("four kinds of digits", 4, 160)
    yield digits("all ten", 10, 300)
    yield digits("all ten, other digits", 10, 300)


# Only mistakes whose result needs no training are listed: a check that fails must not train five networks more.


@classify.mistake("Every digit gets class 0. Have the scores become nan? A smaller learning rate keeps them finite.")
def diverged(reference, x_train, y_train, x_new, seed):
    return np.zeros(len(x_new), dtype=int)


@classify.mistake("This is what the network says of the training digits. Those in x_new are asked about.")
def of_the_training_digits(reference, x_train, y_train, x_new, seed):
    return y_train.copy()


__dir__ = only_exercises(globals())
