r"""Chapter 05: one program for two devices, what it costs to move data, and how to tell what limits a program.

``xp`` is the module that computes: NumPy on the host, CuPy on a GPU, and where there is none
:mod:`course_lib.practice_gpu`. The letters of a convolution are those of chapter 01.

Source: T. Takenawa, *Deep Learning, Part 3*, section 2.6 (CuPy in place of NumPy). S. Williams, A. Waterman and
D. Patterson, *Roofline: an insightful visual performance model* (2009).
"""

import json
import time
from pathlib import Path

import numpy as np

from course_lib import practice_gpu
from course_lib.convolution import output_size

DEVICES = practice_gpu.devices()
RECORDED = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "gpu.json"


# ---- where an array lives ----


def get_array_module(*arrays):
    """The module that computes with these arrays.

    Parameters
    ----------
    *arrays : arrays of any device, numbers or None

    Returns
    -------
    module
        The device's module as soon as one of the arrays lives on a device, otherwise NumPy.
    """
    for module in DEVICES:
        if any(isinstance(a, module.ndarray) for a in arrays):
            return module
    return np


def to_device(x, xp):
    """``x`` where ``xp`` computes: ``x`` itself if it is there already, otherwise a copy.

    Parameters
    ----------
    x : array of any device
    xp : module
        NumPy or a device's module.

    Returns
    -------
    array of ``xp``, same shape, dtype and values
    """
    here = get_array_module(x)
    if here is xp:
        return x
    return xp.asarray(x) if here is np else xp.asarray(x.get())


# ---- a layer and a metric that stay where the data are ----


def conv2d_xp(x, weight, bias=None, stride=1, padding=0):
    """Chapter 01's :func:`~course_lib.convolution.conv2d_nchw` on whichever device holds ``x``.

    Parameters
    ----------
    x : array, shape (N, C, H, W)
    weight : array of the same device, shape (OC, C, FH, FW)
    bias : array of the same device, shape (OC,), optional
    stride, padding : int

    Returns
    -------
    array of the same device, shape (N, OC, OH, OW), dtype of ``x``

    Raises
    ------
    ValueError
        If the channels of ``x`` and ``weight`` differ, or a filter does not fit into the padded image.
    """
    xp = get_array_module(x)
    N, C, H, W = x.shape
    OC, weight_C, FH, FW = weight.shape
    if C != weight_C:
        raise ValueError(f"the images have {C} channels but the filters expect {weight_C}")
    OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
    padded = xp.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=x.dtype)
    padded[:, :, padding : padding + H, padding : padding + W] = x
    columns = xp.empty((N, C, FH, FW, OH, OW), dtype=x.dtype)
    for p in range(FH):
        for q in range(FW):
            columns[:, :, p, q] = padded[:, :, p : p + OH * stride : stride, q : q + OW * stride : stride]
    y = weight.reshape(OC, -1) @ columns.reshape(N, C * FH * FW, OH * OW)  # (N, OC, OH*OW)
    if bias is not None:
        y += bias[:, None]
    return y.reshape(N, OC, OH, OW)


def count_correct(batches):
    """How many images are classified rightly, with one copy to the host for all batches together.

    Parameters
    ----------
    batches : sequence of (scores, labels)
        Arrays of one device, shapes (N, classes) and (N,); N may differ from batch to batch.

    Returns
    -------
    int
    """
    correct = 0
    for scores, labels in batches:
        correct = correct + (scores.argmax(axis=1) == labels).sum()  # stays on the device
    return int(correct)


# ---- time ----


def measure(function, synchronize, clock=time.perf_counter, repeats=5):
    """Seconds that a function takes on a device which does not wait: the fastest of some runs.

    Parameters
    ----------
    function : callable
        Called without arguments, once before anything is measured and then ``repeats`` times.
    synchronize : callable
        Returns when the device has finished all it was given.
    clock : callable
        The host's time in seconds.
    repeats : int

    Returns
    -------
    float
    """
    function()  # compiles kernels and fills caches and memory pools
    times = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        function()
        synchronize()
        times.append(clock() - start)
    return min(times)


def schedule(copy, compute, buffers=2):
    r"""When each batch is copied to the device and computed with, if both go on at the same time.

    The bus copies one batch after the other, the device computes with one after the other, and a batch can be copied
    only into a free buffer: batch :math:`k` takes the place of batch :math:`k - B`.

    Parameters
    ----------
    copy, compute : sequence of float
        Seconds that each batch takes on the bus and on the device.
    buffers : int
        How many batches ``B`` the device has room for.

    Returns
    -------
    ndarray, shape (batches, 4)
        For each batch: start and end of its copy, start and end of its computation.
    """
    times = np.zeros((len(copy), 4))
    for k in range(len(copy)):
        bus_free = times[k - 1, 1] if k > 0 else 0.0
        device_free = times[k - 1, 3] if k > 0 else 0.0
        buffer_free = times[k - buffers, 3] if k >= buffers else 0.0
        start = max(bus_free, buffer_free)
        arrived = start + copy[k]
        begin = max(arrived, device_free)
        times[k] = start, arrived, begin, begin + compute[k]
    return times


# ---- kernels ----


def scale_shift_leaky(x, scale, shift):
    r"""Batch normalisation as it is at test time, and a leaky ReLU, in one kernel.

    .. math:: z = \textit{scale} \cdot x + \textit{shift}, \qquad y = z \text{ if } z > 0 \text{ else } 0.1\, z

    Parameters
    ----------
    x : array, shape (N, C, H, W), floating point
    scale, shift : arrays of the same device, shape (C, 1, 1)

    Returns
    -------
    array of the same device, shape and dtype of ``x``
    """
    xp = get_array_module(x)
    if xp is np:
        z = scale * x + shift
        return np.where(z > 0, z, z * x.dtype.type(0.1))
    kernel = xp.ElementwiseKernel(
        "T x, T scale, T shift", "T y", "T z = scale * x + shift; y = z > 0 ? z : (T)0.1 * z", "scale_shift_leaky"
    )
    return kernel(x, scale, shift)


def pool_thread(block, thread, block_size, x, y, planes, H, W, K, S):
    """What one thread of the max-pooling kernel does: one entry of ``y``, or nothing.

    Parameters
    ----------
    block, thread, block_size : int
        ``blockIdx.x``, ``threadIdx.x`` and ``blockDim.x``.
    x, y : flat memory, ``planes * H * W`` and ``planes * OH * OW`` numbers
    planes : int
        Images times channels.
    H, W, K, S : int
        Size of an image, of the window, and the stride; no padding.
    """
    OH, OW = (H - K) // S + 1, (W - K) // S + 1
    k = block * block_size + thread
    if k >= planes * OH * OW:
        return
    j, i, plane = k % OW, k // OW % OH, k // (OW * OH)
    best = x[(plane * H + i * S) * W + j * S]
    for p in range(K):
        for q in range(K):
            best = max(best, x[(plane * H + i * S + p) * W + j * S + q])
    y[k] = best


MAX_POOL_SOURCE = r"""
extern "C" __global__
void max_pool(const float* x, float* y, int planes, int H, int W, int K, int S) {
    int OH = (H - K) / S + 1, OW = (W - K) / S + 1;
    int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= planes * OH * OW) return;
    int j = k % OW, i = k / OW % OH, plane = k / (OW * OH);
    float best = x[(plane * H + i * S) * W + j * S];
    for (int p = 0; p < K; p++)
        for (int q = 0; q < K; q++)
            best = fmaxf(best, x[(plane * H + i * S + p) * W + j * S + q]);
    y[k] = best;
}
"""


def max_pool_raw(x, K, S, block_size=256):
    """Max pooling by :data:`MAX_POOL_SOURCE`. Needs CuPy and a GPU.

    Parameters
    ----------
    x : cupy.ndarray, shape (N, C, H, W), float32
    K, S : int
        Window and stride.
    block_size : int
        Threads in a block.

    Returns
    -------
    cupy.ndarray, shape (N, C, OH, OW), float32
    """
    import cupy

    if x.dtype != np.float32:
        raise ValueError(f"the kernel reads float32, not {x.dtype}; convert with x.astype(np.float32)")
    N, C, H, W = x.shape
    y = cupy.empty((N, C, output_size(H, K, S), output_size(W, K, S)), dtype=np.float32)
    blocks = -(-y.size // block_size)  # rounded up: the last block may have threads without work
    sizes = map(np.int32, (N * C, H, W, K, S))
    cupy.RawKernel(MAX_POOL_SOURCE, "max_pool")((blocks,), (block_size,), (cupy.ascontiguousarray(x), y, *sizes))
    return y


# ---- what limits a program ----


def conv_roofline(x_shape, weight_shape, itemsize, peak, bandwidth, stride=1, padding=0):
    r"""Work, memory traffic and attainable speed of a convolution.

    .. math:: \text{attainable} = \min(\text{peak},\; I \cdot \text{bandwidth}), \qquad I = \text{FLOP} / \text{bytes}

    A multiplication and an addition are two FLOP. The traffic is the least possible: ``x`` and the weights are read
    once and ``y`` is written once.

    Parameters
    ----------
    x_shape : (N, C, H, W)
    weight_shape : (OC, C, FH, FW)
    itemsize : int
        Bytes of one number.
    peak, bandwidth : float
        Of the machine, in FLOP/s and bytes/s.
    stride, padding : int

    Returns
    -------
    dict
        ``flops`` and ``bytes`` (int), ``attainable`` in FLOP/s, and ``bound``: ``"memory"`` if the bandwidth limits,
        ``"compute"`` if the peak does.
    """
    N, C, H, W = x_shape
    OC, _, FH, FW = weight_shape
    OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
    flops = 2 * N * OC * OH * OW * C * FH * FW
    moved = itemsize * (N * C * H * W + OC * C * FH * FW + N * OC * OH * OW)
    by_memory = flops / moved * bandwidth
    return {
        "flops": flops,
        "bytes": moved,
        "attainable": min(peak, by_memory),
        "bound": "memory" if by_memory < peak else "compute",
    }


# ---- figures recorded on a GPU ----


def recorded(path=RECORDED):
    """What ``python -m benchmarks.gpu --record`` has measured on a GPU.

    Returns
    -------
    dict or None
        None if no one has recorded figures yet.
    """
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
