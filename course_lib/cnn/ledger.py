r"""What an architecture costs, reckoned from its description before a single number is allocated.

A network is described by a list with one tuple for each layer:

==========================  =====================================================================
``("conv", OC, K, S, P)``   ``OC`` filters of ``K`` by ``K``, stride ``S``, padding ``P``, with bias
``("pool", K, S)``          maximum over ``K`` by ``K``, stride ``S``
``("relu",)``
``("flatten",)``            ``(C, H, W)`` becomes ``(C * H * W,)``
``("linear", OUT)``         ``OUT`` outputs, each sees every input, with bias
==========================  =====================================================================
"""

import math
from typing import NamedTuple

import numpy as np

from course_lib import tables
from course_lib.cnn.layers import Flatten, Linear, Sequential, he
from course_lib.conv_layer import Conv2D, MaxPool2D, ReLU
from course_lib.convolution import output_size


def output_shape(layer, shape):
    """The shape of one image after a layer.

    Parameters
    ----------
    layer : tuple
        See the module's docstring.
    shape : (C, H, W) or (D,)

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If there is no such layer, or it does not take an input of this shape.
    """
    kind, *sizes = layer
    if kind in ("conv", "pool") and len(shape) != 3:
        raise ValueError(f"{layer} needs an input (C, H, W), not {shape}")
    if kind == "linear" and len(shape) != 1:
        raise ValueError(f"{layer} needs an input (D,), not {shape}; put ('flatten',) before it")
    if kind == "conv":
        OC, K, S, P = sizes
        return (OC, *(output_size(length, K, S, P) for length in shape[1:]))
    if kind == "pool":
        K, S = sizes
        return (shape[0], *(output_size(length, K, S) for length in shape[1:]))
    if kind == "flatten":
        return (math.prod(shape),)
    if kind == "linear":
        return tuple(sizes)
    if kind == "relu":
        return tuple(shape)
    raise ValueError(f"there is no layer {kind!r}; there are conv, pool, relu, flatten, linear")


def count_parameters(layers, input_shape):
    """Weights and biases of each layer.

    An output of a convolution sees ``C * K * K`` numbers, and all positions share one filter and one bias; an output of
    a linear layer sees all ``D`` inputs. Nothing else has parameters.

    Parameters
    ----------
    layers : list of tuple
        See the module's docstring.
    input_shape : (C, H, W) or (D,)

    Returns
    -------
    list of int
        One number for each layer.
    """
    counts = []
    shape = input_shape
    for layer in layers:
        kind, *sizes = layer
        if kind == "conv":
            OC, K, S, P = sizes
            counts.append(OC * (shape[0] * K * K + 1))
        elif kind == "linear":
            counts.append(sizes[0] * (shape[0] + 1))
        else:
            counts.append(0)
        shape = output_shape(layer, shape)
    return counts


class Row(NamedTuple):
    """One layer's line: the numbers that it makes for one image, the multiply-adds of its forward pass."""

    layer: str
    shape: tuple
    parameters: int
    values: int
    multiply_adds: int


class Ledger(NamedTuple):
    """The rows, a sum below them; a table in a notebook."""

    rows: tuple

    @property
    def parameters(self):
        """Weights and biases."""
        return sum(row.parameters for row in self.rows)

    @property
    def values(self):
        """Numbers that the forward pass of one image makes, its input included."""
        return sum(row.values for row in self.rows)

    @property
    def multiply_adds(self):
        """Multiplications, each with its addition, of the forward pass of one image."""
        return sum(row.multiply_adds for row in self.rows)

    def cells(self):
        """Header and lines as text."""
        lines = [
            (row.layer, "×".join(map(str, row.shape)), f"{row.parameters:,}", _bytes(row.values),
             f"{row.multiply_adds:,}")
            for row in self.rows
        ]  # fmt: skip
        total = ("sum", "", f"{self.parameters:,}", _bytes(self.values), f"{self.multiply_adds:,}")
        return ("layer", "output", "parameters", "memory of the output", "multiply-adds"), [*lines, total]

    def _repr_html_(self):
        return tables.listing(*self.cells())

    def __str__(self):
        header, lines = self.cells()
        widths = [max(len(line[k]) for line in (header, *lines)) for k in range(len(header))]
        return "\n".join("  ".join(text.rjust(w) for text, w in zip(line, widths, strict=True))
                         for line in (header, *lines))  # fmt: skip


def ledger(layers, input_shape):
    """The shape, parameters, memory and multiply-adds of every layer for one image.

    Parameters
    ----------
    layers : list of tuple
        See the module's docstring.
    input_shape : (C, H, W) or (D,)

    Returns
    -------
    Ledger
    """
    rows, shape = [Row("input", input_shape, 0, math.prod(input_shape), 0)], input_shape
    for layer, parameters in zip(layers, count_parameters(layers, input_shape), strict=True):
        after = output_shape(layer, shape)
        # Every weight is used once at each position that shares it.
        biases = after[0] if parameters else 0
        multiply_adds = (parameters - biases) * math.prod(after[1:])
        values = 0 if layer[0] == "flatten" else math.prod(after)  # flattening copies nothing
        rows.append(Row(_label(layer), after, parameters, values, multiply_adds))
        shape = after
    return Ledger(tuple(rows))


def build(layers, input_shape, rng, dtype=np.float64):
    """The network that a description describes, with He's random weights and biases of 0.

    Parameters
    ----------
    layers : list of tuple
    input_shape : (C, H, W) or (D,)
    rng : numpy.random.Generator
    dtype : dtype

    Returns
    -------
    Sequential
    """
    made, shape = [], input_shape
    for layer in layers:
        kind, *sizes = layer
        after = output_shape(layer, shape)
        if kind == "conv":
            OC, K, S, P = sizes
            made.append(Conv2D(he(rng, (OC, shape[0], K, K), dtype), np.zeros(OC, dtype), S, P))
        elif kind == "linear":
            made.append(Linear(he(rng, (sizes[0], shape[0]), dtype), np.zeros(sizes[0], dtype)))
        else:
            made.append({"pool": MaxPool2D, "relu": ReLU, "flatten": Flatten}[kind](*sizes))
        shape = after
    return Sequential(made)


def _label(layer):
    kind, *sizes = layer
    if kind == "conv":
        OC, K, S, P = sizes
        return f"conv {K}×{K}, {OC}" + (f", stride {S}" if S > 1 else "") + (f", padding {P}" if P else "")
    if kind == "pool":
        return f"pool {sizes[0]}×{sizes[0]}, stride {sizes[1]}"
    return " ".join(map(str, layer))


def _bytes(values):
    """Memory of so many float32 numbers."""
    size = 4 * values
    if size < 2**10:
        return f"{size} B" if size else "0"
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"


# ---- three architectures to reckon with ----

LENET5 = [  # as it is usually rebuilt: every map sees every map below, linear layers at the end
    ("conv", 6, 5, 1, 0), ("relu",), ("pool", 2, 2),
    ("conv", 16, 5, 1, 0), ("relu",), ("pool", 2, 2),
    ("flatten",), ("linear", 120), ("relu",), ("linear", 84), ("relu",), ("linear", 10),
]  # fmt: skip

ALEXNET_FIRST = [("conv", 96, 11, 4, 0)]  # on (3, 227, 227)

VGG16 = [("conv", OC, 3, 1, 1) if OC else ("pool", 2, 2)
         for OC in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)]  # fmt: skip
VGG16 += [("flatten",), ("linear", 4096), ("linear", 4096), ("linear", 1000)]  # ReLUs left out: they work in place
