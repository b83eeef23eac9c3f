"""Chapter 03's layers, forward and backward, against PyTorch on one thread. ``python -m benchmarks.conv_layer``

Prints ratios (below 1: faster than torch). The runs alternate and each time is the median, so that what else the
machine does meets both alike.
"""

import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from course_lib.conv_layer import AvgPool2D, Conv2D, MaxPool2D, ReLU

N, C, H, W, OC, F = 64, 16, 32, 32, 32, 3
ROUNDS = 15


def milliseconds(function):
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def ours(layer, x, dy):
    def run():
        layer.forward(x)
        layer.backward(dy)

    return run


def theirs(layer, x, dy):
    x, dy = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

    def run():
        x.grad = None
        layer.zero_grad()
        layer(x).backward(dy)

    return run


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, C, H, W)).astype(np.float32)
    weight = rng.normal(size=(OC, C, F, F)).astype(np.float32)
    pairs = {
        "Conv2D 3x3, padding 1": (
            Conv2D(weight, np.zeros(OC, np.float32), padding=1),
            torch.nn.Conv2d(C, OC, F, padding=1),
        ),
        "Conv2D 3x3, stride 2": (
            Conv2D(weight, np.zeros(OC, np.float32), stride=2, padding=1),
            torch.nn.Conv2d(C, OC, F, stride=2, padding=1),
        ),
        "MaxPool2D 2x2": (MaxPool2D(2), torch.nn.MaxPool2d(2)),
        "AvgPool2D 2x2": (AvgPool2D(2), torch.nn.AvgPool2d(2)),
        "ReLU": (ReLU(), torch.nn.ReLU()),
    }
    print(f"forward + backward, N={N} C={C} {H}x{W} OC={OC}, float32, 1 thread, median of {ROUNDS}")
    for name, (mine, torchs) in pairs.items():
        dy = rng.normal(size=mine.forward(x).shape).astype(np.float32)
        runs = ours(mine, x, dy), theirs(torchs, x, dy)
        times = np.array([[milliseconds(run) for run in runs] for _ in range(ROUNDS + 2)])[2:]
        a, b = np.median(times, axis=0)
        print(f"{name:24} {a:8.2f} ms   torch {b:8.2f} ms   ratio {a / b:5.2f}")


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
