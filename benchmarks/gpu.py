"""Chapter 05 on a GPU: ``python -m benchmarks.gpu`` prints, ``--record`` also writes benchmarks/results/gpu.json.

The notebook shows what that file says, with the machine it came from. Without a GPU nothing is measured or written.
"""

import argparse
import datetime
import json
import platform
import sys

import numpy as np

from course_lib.gpu import DEVICES, RECORDED, conv2d_xp, max_pool_raw, measure, scale_shift_leaky


def common(xp, synchronize, largest=1 << 26):
    """Timings that mean the same on host and device.

    Parameters
    ----------
    xp : module
    synchronize : callable
    largest : int
        Numbers in the largest array.

    Returns
    -------
    dict of list of dict
        Each point has ``size``, ``seconds``, and ``flops`` or ``bytes``.
    """
    sizes = [1 << k for k in range(8, 27, 2) if 1 << k <= largest]
    elementwise, matmul, conv = [], [], []
    for size in sizes:
        x = xp.ones(size, dtype=np.float32)
        seconds = measure(lambda x=x: x * 2.0, synchronize)
        elementwise.append({"size": size, "seconds": seconds, "bytes": 8 * size})
    for n in [1 << k for k in range(5, 14) if 1 << 2 * k <= largest]:
        a = xp.ones((n, n), dtype=np.float32)
        seconds = measure(lambda a=a: a @ a, synchronize)
        matmul.append({"size": n, "seconds": seconds, "flops": 2 * n**3})
    for N in [n for n in (1, 8, 64) if n * 64 * 32 * 32 <= largest or n == 1]:
        x = xp.ones((N, 64, 32, 32), dtype=np.float32)
        w = xp.ones((64, 64, 3, 3), dtype=np.float32)
        seconds = measure(lambda x=x, w=w: conv2d_xp(x, w, padding=1), synchronize)
        conv.append({"size": N, "seconds": seconds, "flops": 2 * N * 64 * 32 * 32 * 64 * 9})
    return {"elementwise": elementwise, "matmul": matmul, "conv": conv}


def only_on_a_gpu(cupy, synchronize):
    """Kernels of one's own, and copies from ordinary and from pinned memory."""
    x = cupy.random.default_rng(0).standard_normal((64, 64, 56, 56), dtype=np.float32)
    scale, shift = cupy.ones((64, 1, 1), np.float32), cupy.ones((64, 1, 1), np.float32)

    def unfused():
        z = scale * x + shift
        return cupy.where(z > 0, z, np.float32(0.1) * z)

    host = np.ones(1 << 24, np.float32)  # 64 MiB
    pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(host.nbytes), host.dtype, host.size)
    device = cupy.empty_like(x, shape=host.shape)
    return {
        "unfused": measure(unfused, synchronize),
        "fused": measure(lambda: scale_shift_leaky(x, scale, shift), synchronize),
        "max_pool_raw": measure(lambda: max_pool_raw(x, 2, 2), synchronize),
        "copy 64 MiB": measure(lambda: device.set(host), synchronize),
        "copy 64 MiB, pinned": measure(lambda: device.set(pinned), synchronize),
        "launch of an empty array": measure(lambda: cupy.ones(1), synchronize),
    }


def main(arguments=None):
    """Measure, print, and write if asked; 1 if there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the figures to benchmarks/results/gpu.json")
    options = parser.parse_args(arguments)
    cupy = next((module for module in DEVICES if module.__name__ == "cupy"), None)
    if cupy is None:
        print("no GPU that CuPy can use was found here: nothing was measured and nothing is written")
        return 1
    synchronize = cupy.cuda.Device().synchronize
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    figures = {
        "machine": properties["name"].decode(),
        "host": platform.processor() or platform.machine(),
        "date": datetime.date.today().isoformat(),
        "versions": {"cupy": cupy.__version__, "cuda": cupy.cuda.runtime.runtimeGetVersion(), "numpy": np.__version__},
        "device": common(cupy, synchronize),
        "host_figures": common(np, lambda: None, largest=1 << 24),
        "seconds": only_on_a_gpu(cupy, synchronize),
    }
    print(json.dumps(figures, indent=1))
    if options.record:
        RECORDED.parent.mkdir(parents=True, exist_ok=True)
        RECORDED.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print(f"written to {RECORDED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
