"""The arrays of the practice GPU, and NumPy's functions as its kernels."""

import types

import numpy as np

from course_lib.practice_gpu.ledger import note

SIZE_KNOWN_AFTERWARDS = {"nonzero", "flatnonzero", "argwhere", "unique", "extract", "compress"}
METHODS = {
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "conj", "copy", "cumprod", "cumsum",
    "diagonal", "dot", "fill", "flatten", "max", "mean", "min", "nonzero", "prod", "put", "ravel", "repeat",
    "reshape", "round", "sort", "squeeze", "std", "sum", "swapaxes", "take", "trace", "transpose", "var", "view",
}  # fmt: skip


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array in the memory of the practice GPU. Made by :func:`asarray`, ``zeros`` and the like."""

    __slots__ = ("_memory",)
    __hash__ = None

    def __init__(self, memory):
        self._memory = memory

    shape = property(lambda self: self._memory.shape)
    dtype = property(lambda self: self._memory.dtype)
    ndim = property(lambda self: self._memory.ndim)
    size = property(lambda self: self._memory.size)
    nbytes = property(lambda self: self._memory.nbytes)
    itemsize = property(lambda self: self._memory.itemsize)
    strides = property(lambda self: self._memory.strides)
    T = property(lambda self: ndarray(self._memory.T))

    def __len__(self):
        return len(self._memory)

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __getattr__(self, name):
        if name not in METHODS:
            raise AttributeError(f"an array of the practice GPU has no attribute {name!r}")
        return types.MethodType(on_device(name, getattr(np.ndarray, name)), self)

    # -- copies to the host --

    def get(self):
        """A copy in the host's memory, as a NumPy array. Waits for the device."""
        note("to host", "get", self.nbytes)
        return self._memory.copy()

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def item(self, *index):
        return self.get().item(*index)

    def tolist(self):
        return self.get().tolist()

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __complex__(self):
        return complex(self.get())

    def __bool__(self):
        return bool(self.get())

    def __repr__(self):
        return repr(self.get())

    def __str__(self):
        return str(self.get())

    # -- what stays on the device --

    def __getitem__(self, index):
        index, masked = _index(index)
        if masked:
            note("to host", "size of a selection", 8)
        part = self._memory[index]
        if not isinstance(part, np.ndarray):  # one entry: NumPy copies it, a device array of no axes views it
            part = self._memory[(*index, ...) if isinstance(index, tuple) else (index, ...)]
        elif not np.may_share_memory(part, self._memory):
            note("kernel", "take", 2 * part.nbytes)
        return ndarray(part)

    def __setitem__(self, index, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        index, _ = _index(index)
        self._memory[index] = memory_of(value)
        note("kernel", "copy", 2 * np.asarray(self._memory[index]).nbytes)

    def set(self, host):
        """Fill the array with a host array of the same shape and dtype."""
        if host.shape != self.shape or host.dtype != self.dtype:
            raise ValueError(f"the array is {self.shape} {self.dtype}, the host's {host.shape} {host.dtype}")
        note("to device", "set", self.nbytes)
        self._memory[...] = host

    # -- what NumPy hands over --

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__":
            return NotImplemented
        return on_device(ufunc.__name__, ufunc)(*inputs, **kwargs)

    def __array_function__(self, function, kinds, args, kwargs):
        return on_device(function.__name__, function)(*args, **kwargs)


def _index(index):
    """An index as NumPy takes it, and whether the size of what it selects is known only to the device."""
    parts = index if isinstance(index, tuple) else (index,)
    masked, plain = False, []
    for part in parts:
        if isinstance(part, ndarray):
            masked |= part.dtype == bool
            part = part._memory
        elif isinstance(part, (list, np.ndarray)):
            note("to device", "index", np.asarray(part).nbytes)
        plain.append(part)
    return (tuple(plain) if isinstance(index, tuple) else plain[0]), masked


def memory_of(value):
    """What a kernel sees of its arguments; a host array is refused, as CuPy does."""
    if isinstance(value, ndarray):
        return value._memory
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: an operation of the device got an array of the host")
    if isinstance(value, (list, tuple)):
        return type(value)(map(memory_of, value))
    if isinstance(value, dict):
        return {name: memory_of(entry) for name, entry in value.items()}
    return value


def on_device(name, function):
    """The NumPy function as one kernel of the practice GPU."""

    def kernel(*args, **kwargs):
        out = kwargs.pop("out", None)
        args, kwargs = memory_of(args), memory_of(kwargs)
        result = function(*args, **kwargs, **({} if out is None else {"out": memory_of(out)}))
        inputs = [a for a in _flat((args, tuple(kwargs.values()))) if isinstance(a, np.ndarray)]
        results = list(map(np.asarray, result if isinstance(result, (tuple, list)) else [result]))
        is_view = out is None and inputs and all(np.may_share_memory(r, inputs[0]) for r in results)
        if result is not None and not is_view and not name.startswith("empty"):
            note("kernel", name, sum(a.nbytes for a in (*inputs, *results)))
        if name in SIZE_KNOWN_AFTERWARDS:
            note("to host", "size of a selection", 8)
        if out is not None:
            return out[0] if isinstance(out, tuple) else out
        return tuple(map(_wrap, result)) if isinstance(result, (tuple, list)) else _wrap(result)

    kernel.__name__ = kernel.__qualname__ = name
    return kernel


def _flat(nested):
    for value in nested:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


def _wrap(result):
    return ndarray(np.asarray(result)) if isinstance(result, (np.ndarray, np.generic)) else result
