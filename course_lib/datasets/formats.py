"""Read the files of MNIST (IDX) and CIFAR-10 (pickles in a tar archive) without trusting them.

A file that is not exactly what its format says raises a ``ValueError`` that names the file and what is wrong. Nothing
that a file says is executed: of a pickle, only plain containers, numbers, bytes and NumPy arrays of uint8 are made.
"""

import gzip
import io
import math
import pickle
import tarfile
import zlib
from pathlib import Path

import numpy as np

LARGEST = 256 * 2**20  # bytes that one file may unpack to


def read_idx(path, ndim):
    """Read an IDX file of unsigned bytes, gzipped or not.

    The format: two zero bytes, the type (8: unsigned byte), the number of axes, their lengths as big-endian 32-bit
    integers, then the data, row by row.

    Parameters
    ----------
    path : path-like
    ndim : int
        How many axes are expected: 3 for images, 1 for labels.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    ValueError
        If the file is not such a file, or is longer or shorter than its header says.
    """
    path = Path(path)
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path.name} is a damaged gzip file: {error}") from None
        if len(data) > LARGEST:
            raise ValueError(f"{path.name} unpacks to more than {LARGEST >> 20} MB")
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError(f"{path.name} is not an IDX file: it must begin with two zero bytes")
    if data[2] != 8:
        raise ValueError(f"{path.name} holds type {data[2]:#04x}; only unsigned bytes (0x08) are read")
    if data[3] != ndim:
        raise ValueError(f"{path.name} has {data[3]} axes, expected {ndim}")
    start = 4 + 4 * ndim
    if len(data) < start:
        raise ValueError(f"{path.name} ends inside its header")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", ndim, 4))
    if len(data) - start != math.prod(shape):
        raise ValueError(
            f"{path.name} announces {shape} = {math.prod(shape):,} bytes of data and holds {len(data) - start:,}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()


def read_cifar10(path):
    """Read ``cifar-10-python.tar.gz`` from inside the archive; nothing is unpacked to the disk.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    train, test : (ndarray, ndarray)
        Images ``(N, 3, 32, 32)`` uint8 and labels ``(N,)`` int64.
    classes : tuple of str

    Raises
    ------
    ValueError
        If a member is missing or is not a batch of CIFAR-10.
    """
    path = Path(path)
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = {
                name: _member(archive, f"cifar-10-batches-py/{name}", path.name)
                for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta")
            }
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is not a readable .tar.gz archive: {error}") from None
    classes = members.pop("batches.meta").get(b"label_names")
    if not isinstance(classes, list) or not all(isinstance(name, bytes) for name in classes):
        raise ValueError(f"{path.name}: batches.meta has no list of label_names")
    batches = {name: _batch(batch, name, len(classes)) for name, batch in members.items()}
    test = batches.pop("test_batch")
    train = tuple(np.concatenate(arrays) for arrays in zip(*batches.values(), strict=True))
    return train, test, tuple(name.decode("ascii", "replace") for name in classes)


def _member(archive, name, archive_name):
    try:
        info = archive.getmember(name)
    except KeyError:
        raise ValueError(f"{archive_name} has no member {name}") from None
    if not info.isfile() or info.size > LARGEST:
        raise ValueError(f"{archive_name}: {name} is not a plain file of a sensible size")
    return safe_unpickle(archive.extractfile(info).read(), name)


def _batch(batch, name, n_classes):
    data, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise ValueError(f"{name}: the data are not uint8 of shape (N, 3072)")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(type(k) is int for k in labels):
        raise ValueError(f"{name}: there is not one whole number as label for each image")
    if not all(0 <= k < n_classes for k in labels):
        raise ValueError(f"{name}: a label is outside 0..{n_classes - 1}")
    return data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


class _OnlyArrays(pickle.Unpickler):
    """Makes plain containers, numbers, bytes, strings and arrays of bytes; refuses every other name."""

    def find_class(self, module, name):
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,  # as written by NumPy 1 (and CIFAR-10's own files)
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("numpy", "ndarray"): _BytesArray,
            ("numpy", "dtype"): _dtype,
            ("_codecs", "encode"): _latin1,  # how Python 3 writes bytes for Python 2
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return allowed[module, name]


class _BytesArray:
    """Stands for ``numpy.ndarray`` while a pickle is read, so that no state of a real array can be set."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _ByteType) or fortran or not isinstance(data, bytes):
            raise pickle.UnpicklingError("it holds an array that is not of plain bytes")
        self.array = np.frombuffer(data, np.uint8).reshape(shape).copy()


class _ByteType:
    """Stands for the dtype of one unsigned byte."""

    def __setstate__(self, state):
        if state[3] is not None or state[4] is not None:
            raise pickle.UnpicklingError("it holds a structured dtype")


def _empty_array(kind, shape, code):
    if kind is not _BytesArray:
        raise pickle.UnpicklingError("it rebuilds something that is not an array")
    return _BytesArray()


def _dtype(code, *flags):
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"it holds an array of dtype {code!r}, not of bytes")
    return _ByteType()


def _latin1(text, encoding):
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"it encodes text as {encoding!r}")
    return text.encode("latin1")


def safe_unpickle(data, name):
    """Read a pickled dictionary of plain data; its arrays of uint8 become NumPy arrays.

    Raises
    ------
    ValueError
        If the pickle is damaged or asks for anything else, which is then not made.
    """
    try:
        value = _OnlyArrays(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise ValueError(f"{name} is not a plain pickle of arrays: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a pickled dictionary")
    return {key: entry.array if isinstance(entry, _BytesArray) else entry for key, entry in value.items()}
