"""Kernels of one's own on the practice GPU."""

import numpy as np

from course_lib.practice_gpu import c_expression
from course_lib.practice_gpu.arrays import memory_of, ndarray
from course_lib.practice_gpu.ledger import note


class ElementwiseKernel:
    """One kernel from a piece of C that is run for every entry, with CuPy's signature.

    Parameters
    ----------
    in_params, out_params : str
        Such as ``"T x, T scale"`` and ``"T y"``: types and names. Only one output is supported here.
    operation : str
        Statements of C; see :mod:`course_lib.practice_gpu.c_expression` for how much of it is understood.
    name : str
    """

    def __init__(self, in_params, out_params, operation, name="kernel"):
        self.inputs = [parameter.split()[-1] for parameter in in_params.split(",")]
        self.outputs = [parameter.split()[-1] for parameter in out_params.split(",")]
        if len(self.outputs) != 1:
            raise ValueError(f"the practice GPU's kernels have one output, not {len(self.outputs)}")
        self.operation, self.name = operation, name
        self._run = c_expression.compile_statements(operation, self.inputs, self.outputs[0])

    def __call__(self, *args):
        if len(args) != len(self.inputs):
            raise TypeError(f"{self.name} takes {len(self.inputs)} arguments, not {len(args)}")
        memory = memory_of(args)
        shape = np.broadcast_shapes(*map(np.shape, memory))
        dtype = next(a.dtype for a in memory if isinstance(a, np.ndarray))
        with np.errstate(all="ignore"):  # both branches of a ?: are computed here, a GPU takes one
            y = np.broadcast_to(self._run(*memory), shape).astype(dtype)
        note("kernel", self.name, sum(np.asarray(a).nbytes for a in (*memory, y)))
        return ndarray(y)
