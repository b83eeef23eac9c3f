"""A class of 100 for chapter 01 in which it is known who does what.

Most students pass; they write one of two or three right answers to each exercise, as students do. Planted are: 14 whose
``conv2d_strided`` is wrong only for strides above 1 (8 whose filter moves by one, 6 who ignore the stride), 5 who flip
the filter in ``conv2d``, 6 who forget to scale the field by the strides, two who hand in the same unusual code under
other names and comments, and one who is stuck.
"""

import random
import textwrap

from autograder import demo
from autograder.notebooks import text_of
from course_lib.syllabus import chapter

CHAPTER = chapter("convolution")
COUNT = 100
IDS = [f"{k:04d}" for k in range(1, COUNT + 1)]  # with leading zeros, as registrars like them
MOVES_BY_ONE, NO_STRIDE, FLIPPED, NO_JUMP = IDS[10:18], IDS[18:24], IDS[30:35], IDS[40:46]
STRIDE = MOVES_BY_ONE + NO_STRIDE
AUTHOR, COPIER, STUCK = IDS[60], IDS[77], IDS[90]

HEADS = {
    "output_size": "size, filter_size, stride=1, padding=0",
    "conv2d": "x, f",
    "pad2d": "x, padding, value=0.0",
    "conv2d_strided": "x, f, bias=0.0, stride=1, padding=0",
    "im2col": "x, filter_shape, stride=1, padding=0",
    "conv2d_nchw": "x, weight, bias=None, stride=1, padding=0",
    "conv_matrix": "f, H, W",
    "receptive_field": "layers",
}
BODIES = {
    "output_size": [
        "return (size + 2 * padding - filter_size) // stride + 1",
        "room = size + 2 * padding - filter_size\nreturn room // stride + 1",
    ],
    "conv2d": [
        """
        FH, FW = f.shape
        OH, OW = output_size(x.shape[0], FH), output_size(x.shape[1], FW)
        y = np.zeros((OH, OW))
        for i in range(OH):
            for j in range(OW):
                y[i, j] = (x[i : i + FH, j : j + FW] * f).sum()
        return y
        """,
        """
        FH, FW = f.shape
        out = np.zeros((x.shape[0] - FH + 1, x.shape[1] - FW + 1))
        for p in range(FH):
            for q in range(FW):
                out += f[p, q] * x[p : p + out.shape[0], q : q + out.shape[1]]
        return out
        """,
        "windows = np.lib.stride_tricks.sliding_window_view(x, f.shape)\nreturn (windows * f).sum(axis=(2, 3))",
    ],
    "pad2d": [
        """
        *rest, H, W = x.shape
        padded = np.full((*rest, H + 2 * padding, W + 2 * padding), value, dtype=x.dtype)
        padded[..., padding : padding + H, padding : padding + W] = x
        return padded
        """,
        """
        widths = [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2
        return np.pad(x, widths, constant_values=value)
        """,
    ],
    "conv2d_strided": [
        """
        FH, FW = f.shape
        OH = output_size(x.shape[0], FH, stride, padding)
        OW = output_size(x.shape[1], FW, stride, padding)
        x = pad2d(x, padding)
        y = np.zeros((OH, OW))
        for i in range(OH):
            for j in range(OW):
                y[i, j] = bias + (x[i * stride : i * stride + FH, j * stride : j * stride + FW] * f).sum()
        return y
        """,
        "return conv2d(pad2d(x, padding), f)[::stride, ::stride] + bias",
    ],
    "im2col": [
        """
        N, C, H, W = x.shape
        FH, FW = filter_shape
        OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
        x = pad2d(x, padding)
        columns = np.zeros((N, C, FH, FW, OH, OW), dtype=x.dtype)
        for p in range(FH):
            for q in range(FW):
                columns[:, :, p, q] = x[:, :, p : p + OH * stride : stride, q : q + OW * stride : stride]
        return columns.reshape(N, C * FH * FW, OH * OW)
        """,
        """
        N, C, H, W = x.shape
        FH, FW = filter_shape
        windows = np.lib.stride_tricks.sliding_window_view(pad2d(x, padding), (FH, FW), axis=(2, 3))
        windows = windows[:, :, ::stride, ::stride]
        return windows.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * FH * FW, -1)
        """,
    ],
    "conv2d_nchw": [
        """
        N, C, H, W = x.shape
        OC, C, FH, FW = weight.shape
        OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
        y = weight.reshape(OC, -1) @ im2col(x, (FH, FW), stride, padding)
        if bias is not None:
            y = y + bias[:, None]
        return y.reshape(N, OC, OH, OW)
        """,
        """
        windows = np.lib.stride_tricks.sliding_window_view(pad2d(x, padding), weight.shape[2:], axis=(2, 3))
        y = np.einsum("ncijpq,ocpq->noij", windows[:, :, ::stride, ::stride], weight)
        return y if bias is None else y + bias[None, :, None, None]
        """,
    ],
    "conv_matrix": [
        """
        FH, FW = f.shape
        OH, OW = output_size(H, FH), output_size(W, FW)
        M = np.zeros((OH, OW, H, W))
        for i in range(OH):
            for j in range(OW):
                M[i, j, i : i + FH, j : j + FW] = f
        return M.reshape(OH * OW, H * W)
        """,
        """
        columns = []
        for k in range(H * W):
            pixel = np.zeros(H * W)
            pixel[k] = 1
            columns.append(conv2d(pixel.reshape(H, W), f).ravel())
        return np.stack(columns, axis=1)
        """,
    ],
    "receptive_field": [
        """
        r, jump = 1, 1
        for K, S in layers:
            r = r + (K - 1) * jump
            jump = jump * S
        return r
        """,
        """
        r = 1
        for K, S in reversed(layers):
            r = (r - 1) * S + K
        return r
        """,
    ],
}
WRONG = {
    "moves_by_one": """
        FH, FW = f.shape
        OH = output_size(x.shape[0], FH, stride, padding)
        OW = output_size(x.shape[1], FW, stride, padding)
        x = pad2d(x, padding)
        y = np.zeros((OH, OW))
        for i in range(OH):
            for j in range(OW):
                y[i, j] = bias + (x[i : i + FH, j : j + FW] * f).sum()
        return y
        """,
    "no_stride": "return conv2d(pad2d(x, padding), f) + bias",
    "strides_ignored": "return 1 + sum(K - 1 for K, S in layers)",
    "stuck": "raise ValueError('I do not know how to use the padding')",
}
UNUSUAL = {  # right, and written as nobody else in the class does
    "conv2d": """
        # walk over every pixel and scatter it into the outputs that see it
        rows, cols = x.shape[0] - f.shape[0] + 1, x.shape[1] - f.shape[1] + 1
        collected = [[0.0 for _ in range(cols)] for _ in range(rows)]
        position = 0
        while position < x.size:
            r, c = divmod(position, x.shape[1])
            for (a, b), w in np.ndenumerate(f):
                if 0 <= r - a < rows and 0 <= c - b < cols:
                    collected[r - a][c - b] = collected[r - a][c - b] + w * x[r, c]
            position = position + 1
        return np.array(collected)
        """,
    "conv_matrix": """
        # one row after the other, each found with an index array
        rows, cols = H - f.shape[0] + 1, W - f.shape[1] + 1
        grid = np.arange(H * W).reshape(H, W)
        table = []
        for start in range(rows * cols):
            r, c = start // cols, start % cols
            line = np.zeros(H * W)
            np.put(line, grid[r:, c:][: f.shape[0], : f.shape[1]].flatten(), f.flatten())
            table = table + [line]
        return np.vstack(table)
        """,
}
RENAMED = {"collected": "answer", "position": "k", "rows": "n_out", "cols": "m_out", "table": "matrix", "line": "row_k",
           "grid": "numbers", "start": "s"}  # fmt: skip
WORDS = ["maybe this works", "see the lecture", "checked by hand", "my own idea", "took me an hour"]


def cell(name, body):
    """A student's cell: the function's head as released, and this body."""
    return f"def {name}({HEADS[name]}):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"


def answers(student):
    """What one student of the class writes, by cell."""
    drawn = random.Random(student)
    bodies = {name: drawn.choice(choices) for name, choices in BODIES.items()}
    if student in MOVES_BY_ONE:
        bodies["conv2d_strided"] = WRONG["moves_by_one"]
    if student in NO_STRIDE:
        bodies["conv2d_strided"] = WRONG["no_stride"]
    if student in FLIPPED:
        bodies["conv2d"] = BODIES["conv2d"][2].replace("(windows * f)", "(windows * f[::-1, ::-1])")
        bodies["conv2d_strided"] = BODIES["conv2d_strided"][0]
        bodies["conv_matrix"] = BODIES["conv_matrix"][0]
    if student in NO_JUMP:
        bodies["receptive_field"] = WRONG["strides_ignored"]
    if student in (AUTHOR, COPIER):
        bodies |= UNUSUAL
    if student == COPIER:
        for name, body in UNUSUAL.items():
            for old, new in RENAMED.items():
                body = body.replace(old, new)
            bodies[name] = "\n".join("# I thought of this" if "#" in line else line for line in body.split("\n"))
    if student == STUCK:
        bodies = {name: bodies[name] for name in ("output_size", "conv2d", "pad2d")}
        bodies["conv2d_strided"] = WRONG["stuck"]
    written = {name: cell(name, body) + f"# {drawn.choice(WORDS)}\n" for name, body in bodies.items()}
    return written | {"why_floor": f"The last step would hang over the edge, {drawn.choice(WORDS)}."}


def hand_in(course, students=IDS):
    """Release the chapter into a course folder and put the class's notebooks there."""
    demo.release(course, CHAPTER)
    released = course / "release" / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
    for student in students:
        target = course / "submitted" / student / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
        target.parent.mkdir(parents=True)
        target.write_text(text_of(demo.answered(released, answers(student))), encoding="utf-8")
