"""A picture that can be saved as PNG."""

import struct
import zlib

Resampling = None  # Keras then does without
_CHANNELS = {"RGBA": (4, 6), "RGB": (3, 2), "L": (1, 0)}  # how many, and what PNG calls it


class Image:
    """Rows of pixels, one byte a channel."""

    def __init__(self, mode, size, data):
        self.mode, self.size, self._data = mode, size, bytes(data)

    def save(self, file, format="png", **kwargs):
        """Write the picture as PNG into a path or an open file.

        Raises
        ------
        ValueError
            If another format is asked for.
        """
        if format.lower() != "png":
            raise ValueError(_absent(f"saving as {format}"))
        (width, height), (count, kind) = self.size, _CHANNELS[self.mode]
        row = width * count
        lines = b"".join(b"\0" + self._data[i * row : (i + 1) * row] for i in range(height))
        header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
        png = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
        if hasattr(file, "write"):
            file.write(png)
        else:
            with open(file, "wb") as opened:
                opened.write(png)


def frombuffer(mode, size, data, *layout):
    """The picture whose pixels are ``data``."""
    return Image(mode, size, data)


def __getattr__(name):
    raise AttributeError(_absent(f"PIL.Image.{name}"))


def _absent(what):
    return f"{what} needs Pillow, which answers of this chapter may not use"
