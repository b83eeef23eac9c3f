"""A practice GPU: an array module to use like CuPy where there is no GPU, and that counts what it is asked to do.

Its arrays hold ordinary memory, but they keep CuPy's rules, which decide whether a program for a GPU is right:

* a NumPy function that receives a device array hands over to this module (``np.exp(d)`` computes here), while nothing
  ever becomes a NumPy array by itself: ``np.asarray(d)`` and ``host[:] = d`` raise ``TypeError``;
* host and device arrays do not mix in one operation;
* ``float(d)``, ``int(d)``, ``if d:``, ``d.item()``, ``d.tolist()`` and ``print(d)`` copy to the host without saying so,
  and so does whatever needs to know how many entries a mask selects; ``d[[2, 0]]`` copies the list to the device;
* a kernel is launched and not waited for. :data:`stream` keeps the time of a *model*, in which a kernel takes as long
  as its memory traffic; nothing in it was measured on a GPU.

::

    d = practice_gpu.asarray(x)
    with practice_gpu.watch() as ledger:
        y = d * 2 + 1
    print(ledger)  # 2 kernels, 0 copies to the host (0 bytes), 0 copies to the device (0 bytes)
"""

import os
import sys
import types

import numpy as np

from course_lib.practice_gpu.arrays import ndarray, on_device
from course_lib.practice_gpu.kernels import ElementwiseKernel
from course_lib.practice_gpu.ledger import Ledger, Stream, note, stream, watch

__all__ = ["ElementwiseKernel", "Ledger", "Stream", "array", "asarray", "asnumpy", "devices", "ndarray", "watch"]
clock, synchronize = stream.clock, stream.synchronize


def devices():
    """The array modules of this machine's devices: CuPy if it finds a GPU, and always the practice GPU.

    Returns
    -------
    list of module
    """
    found = [sys.modules[__name__]]
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":  # CUDA's own way of saying: use none
        return found
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount():
            found.insert(0, cupy)
    except Exception:  # not installed, no driver, or a driver too old: each with its own kind of error
        pass
    return found


def array(a, dtype=None, copy=True):
    """A new device array; data of the host are copied to the device."""
    if isinstance(a, ndarray):
        return a.astype(dtype or a.dtype)
    memory = np.array(a, dtype=dtype)
    note("to device", "array", memory.nbytes)
    return ndarray(memory)


def asarray(a, dtype=None):
    """``a`` itself if it is on the device and of this dtype, otherwise a device copy of it."""
    if isinstance(a, ndarray) and (dtype is None or a.dtype == dtype):
        return a
    return array(a, dtype)


def asnumpy(a):
    """A NumPy array: a copy of a device array, ``np.asarray`` of anything else."""
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


class _Namespace:
    """A part of NumPy, such as ``linalg``, computed on the device."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return _device_version(name, self._module)


def _device_version(name, module):
    if name.startswith("_") or name in ("random", "ndarray"):
        raise AttributeError(f"the practice GPU has no {name}")
    found = getattr(module, name)
    if isinstance(found, types.ModuleType):
        return _Namespace(found)
    if isinstance(found, type) or not callable(found):
        return found  # a dtype or a constant
    return on_device(name, found)


def __getattr__(name):
    return _device_version(name, np)
