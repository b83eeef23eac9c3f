"""Chapter 01 against PyTorch, on one thread, as ratios within one run. ``python -m benchmarks.convolution``

Set OMP_NUM_THREADS=1 (``make bench`` does), so that NumPy's matrix product uses one thread as well.
"""

import os
import time

import numpy as np
import torch

from autograder.exercise import exercises_of
from autograder.notebooks import exercise_module
from course_lib import convolution as library
from course_lib.syllabus import CHAPTERS


def best(function, repeats=7):
    """Seconds of the fastest of some runs, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def convolution():
    """N=64, C=16, 32×32, OC=32, 3×3, padding 1, float32."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 16, 32, 32)).astype(np.float32)
    w = rng.normal(size=(32, 16, 3, 3)).astype(np.float32)
    b = rng.normal(size=32).astype(np.float32)
    row = w.reshape(32, -1)
    ways = {
        "conv2d_nchw (im2col by tap)": lambda: library.conv2d_nchw(x, w, b, padding=1),
        "im2col by strided windows + GEMM": lambda: row @ library.im2col_by_windows(x, (3, 3), padding=1),
        "im2col by position + GEMM": lambda: row @ library.im2col_by_position(x, (3, 3), padding=1),
    }
    x_, w_, b_ = map(torch.from_numpy, (x, w, b))
    yardstick = best(lambda: torch.nn.functional.conv2d(x_, w_, b_, padding=1))
    print(f"forward pass, torch = 1 ({1000 * yardstick:.1f} ms)")
    for name, way in ways.items():
        print(f"  {name:36} {best(way) / yardstick:6.2f}")


def checks():
    """How long a student waits for a check."""
    print("seconds until a check answers (the slowest of a right answer and of each mistake)")
    for chapter in CHAPTERS:
        for name, exercise in exercises_of(exercise_module(chapter)).items():
            answers = [exercise.reference, *(mistake.wrong for mistake in exercise.mistakes)]
            slowest = max(best(lambda a=answer: exercise.judge(a), repeats=1) for answer in answers)  # noqa: B023
            print(f"  {chapter.name + '.' + name:36} {slowest:6.3f}")


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("note: OMP_NUM_THREADS is not 1, so NumPy may use more threads than torch here")
    torch.set_num_threads(1)
    convolution()
    checks()
