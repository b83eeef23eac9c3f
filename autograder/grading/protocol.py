"""Bounded frames of plain data over a socket: all that passes between a grader and a runner.

A frame is a JSON text and a block of bytes that holds the arrays in NumPy's ``.npy`` format, read without pickle.
Either side may be lying: whatever is malformed, too large or too deep is a :class:`ProtocolError`, never anything else.
"""

import io
import json
import re
import struct
import time

import numpy as np

from autograder.answer import Alien

JSON_LIMIT, BLOCK_LIMIT = 8 * 2**20, 64 * 2**20
DEEPEST = 12
_HEADER = struct.Struct(">II")


class ProtocolError(Exception):
    """The other side sent something that is not a frame, or closed the connection."""


class TooSlow(ProtocolError):
    """Nothing came before the deadline."""


def send(connection, message, deadline=None):
    """Send a dictionary of plain data.

    Parameters
    ----------
    connection : socket
    message : dict
    deadline : float, optional
        On :func:`time.monotonic`'s clock; who does not read what it is sent by then counts as gone.

    Raises
    ------
    TypeError
        If it holds anything but None, booleans, numbers, strings, arrays of numbers, and lists, tuples and
        dictionaries of them.
    ValueError
        If it is larger than a frame may be.
    ProtocolError
        If the other side is gone.
    """
    text, block = written(message)
    if len(text) > JSON_LIMIT or len(block) > BLOCK_LIMIT:
        raise ValueError(f"{(len(text) + len(block)) / 2**20:.0f} MiB do not fit into one message")
    try:
        if deadline is not None:
            connection.settimeout(max(1e-4, deadline - time.monotonic()))
        connection.sendall(_HEADER.pack(len(text), len(block)) + text + block)
    except OSError as error:
        raise ProtocolError("the connection is closed") from error


def receive(connection, deadline=None):
    """The next message.

    Parameters
    ----------
    connection : socket
    deadline : float, optional
        On :func:`time.monotonic`'s clock.

    Raises
    ------
    TooSlow
        If it has not all come by then.
    ProtocolError
        If it is not a frame of plain data within the limits.
    """
    length, block_length = _HEADER.unpack(_exactly(connection, _HEADER.size, deadline))
    if length > JSON_LIMIT or block_length > BLOCK_LIMIT:
        raise ProtocolError("a message larger than allowed")
    text = _exactly(connection, length, deadline)
    block = _exactly(connection, block_length, deadline)
    try:
        message = _decode(json.loads(text.decode("utf-8", "surrogatepass")), memoryview(block), 0)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, EOFError, SyntaxError, OverflowError) as error:
        raise ProtocolError(f"a malformed message ({type(error).__name__})") from error
    if not isinstance(message, dict):
        raise ProtocolError("a message that is not a dictionary")
    return message


def _exactly(connection, count, deadline):
    data = bytearray()
    while len(data) < count:
        try:
            if deadline is not None:
                connection.settimeout(max(1e-4, deadline - time.monotonic()))
            part = connection.recv(min(count - len(data), 2**20))
        except TimeoutError:
            raise TooSlow("no reply in time") from None
        except OSError as error:
            raise ProtocolError("the connection is closed") from error
        if not part:
            raise ProtocolError("the connection is closed")
        data += part
    return data


def written(value):
    """Plain data as the text and the block of a frame.

    Returns
    -------
    (bytes, bytes)
    """
    block = io.BytesIO()
    text = json.dumps(_encode(value, block)).encode("utf-8", "surrogatepass")
    return text, block.getvalue()


def _encode(value, block):
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [_encode(entry, block) for entry in value]
    if kind is tuple:
        return {"tuple": [_encode(entry, block) for entry in value]}
    if kind is dict:
        return {"dict": [[_encode(key, block), _encode(entry, block)] for key, entry in value.items()]}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind is Alien:
        return {"alien": value.description}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        start = block.tell()
        np.lib.format.write_array(block, np.asarray(value), allow_pickle=False)
        return {"array" if isinstance(value, np.ndarray) else "scalar": [start, block.tell()]}
    raise TypeError(f"a {kind.__name__} is not plain data and cannot be sent")


def _decode(value, block, depth):
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [_decode(entry, block, depth + 1) for entry in value]
    if not isinstance(value, dict):
        return value
    [(tag, content)] = value.items()
    if tag == "tuple":
        return tuple(_decode(entry, block, depth + 1) for entry in content)
    if tag == "dict":
        return {_decode(key, block, depth + 1): _decode(entry, block, depth + 1) for key, entry in content}
    if tag == "complex":
        return complex(*map(float, content))
    if tag == "alien":
        return Alien(str(content)[:200])
    start, stop = map(int, content)
    if tag not in ("array", "scalar") or not 0 <= start <= stop <= len(block):
        raise ValueError("an unknown kind of value")
    array = _read_array(io.BytesIO(block[start:stop]), stop - start)
    return array if tag == "array" else array[()]


def _read_array(stream, size):
    """An array whose header promises no more than the bytes that have come: nothing large is allocated for a lie."""
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read_header(stream)
    count = 1
    for length in shape:
        if not isinstance(length, int) or length < 0:
            raise ValueError("a shape that is none")
        count *= length
    if dtype.kind not in "biufc" or count * dtype.itemsize != size - stream.tell():
        raise ValueError("not an array of numbers of the promised size")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def clean(text):
    """Text that can be written to a file and shown: no lone surrogates, no control characters but tab and newline."""
    text = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", text)
