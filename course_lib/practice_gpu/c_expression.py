"""A small piece of C, evaluated with NumPy: what the practice GPU needs to run an elementwise kernel.

Understood are assignments ``name = expression``, with or without a type in front, separated by semicolons; in
expressions the four operations, comparisons, ``&& || !``, the choice ``a ? b : c``, casts ``(T)1`` and the functions
below. As in C, a quotient of two integers is cut to an integer: ``1 / 10`` is 0.
"""

import ast
import re

import numpy as np

FUNCTIONS = {
    "max": np.maximum, "min": np.minimum, "fmax": np.maximum, "fmin": np.minimum, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt, "tanh": np.tanh, "abs": np.abs, "fabs": np.abs, "pow": np.power,
}  # fmt: skip
TYPES = r"(?:T|float|double|int|bool|const|float16|float32|float64)"
OPERATORS = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply,
    ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal,
    ast.Eq: np.equal, ast.NotEq: np.not_equal,
}  # fmt: skip


def compile_statements(source, inputs, output):
    """A function of the inputs that gives the output.

    Parameters
    ----------
    source : str
        Such as ``"T z = a * x + b; y = z > 0 ? z : 0"``.
    inputs : sequence of str
    output : str

    Returns
    -------
    callable
        Takes one array or number for each input, all of one shape or broadcasting to it.

    Raises
    ------
    ValueError
        If the source is not understood, or the output is never assigned.
    """
    statements = []
    for text in filter(None, map(str.strip, source.split(";"))):
        match = re.fullmatch(rf"(?:{TYPES}\s+)*([A-Za-z_]\w*)\s*=(?!=)\s*(.+)", text, re.DOTALL)
        if match is None:
            raise ValueError(f"this is no assignment that the practice GPU understands: {text!r}")
        statements.append((match[1], _parse(match[2])))
    if output not in [name for name, _ in statements]:
        raise ValueError(f"the kernel never assigns its output {output}: {source!r}")

    def run(*values):
        names = dict(zip(inputs, values, strict=True))
        for name, tree in statements:
            names[name] = _value(tree, names)
        return names[output]

    return run


def _parse(text):
    python = re.sub(rf"\(\s*{TYPES}\s*\)|\b{TYPES}\s*(?=\()", "", text)  # casts (T)1 and T(1)
    python = re.sub(r"(?<=[\d.])f\b", "", python)  # 0.1f
    python = python.replace("&&", " and ").replace("||", " or ")
    python = re.sub(r"!(?!=)", " not ", python)
    try:
        return ast.parse(_choices(" ".join(python.split())), mode="eval").body
    except SyntaxError:
        raise ValueError(f"this is no expression that the practice GPU understands: {text!r}") from None


def _choices(text):
    """``a ? b : c`` as Python writes it, innermost parentheses first."""
    inner = re.compile(r"\(([^()]*)\)")
    kept = []
    while inner.search(text):  # replace each parenthesis by a sign that holds its place
        text = inner.sub(lambda m: kept.append(f"({_choice(m[1])})") or f"\x00{len(kept) - 1}\x01", text)
    text = _choice(text)
    while "\x00" in text:
        text = re.sub("\x00(\\d+)\x01", lambda m: kept[int(m[1])], text)
    return text


def _choice(text):
    if "," in text:  # the arguments of a function
        return ",".join(map(_choice, text.split(",")))
    condition, question, rest = text.partition("?")
    if not question:
        return text
    depth = 0
    for k, sign in enumerate(rest):
        depth += (sign == "?") - (sign == ":")
        if depth < 0:
            return f"(({_choice(rest[:k])}) if ({condition}) else ({_choice(rest[k + 1 :])}))"
    raise ValueError(f"a ? without its : in {text!r}")


def _value(node, names):
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise ValueError(f"the kernel does not know {node.id}")
        return names[node.id]
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, names), _value(node.right, names)
        if isinstance(node.op, ast.Div):
            whole = all(np.asarray(v).dtype.kind in "iub" for v in (left, right))
            return np.trunc(np.true_divide(left, right)).astype(int)[()] if whole else np.true_divide(left, right)
        if type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, names)
        return np.logical_not(value) if isinstance(node.op, ast.Not) else -1 * value
    if isinstance(node, ast.BoolOp):
        combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return combine(*(_value(v, names) for v in node.values))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in OPERATORS:
        return OPERATORS[type(node.ops[0])](_value(node.left, names), _value(node.comparators[0], names))
    if isinstance(node, ast.IfExp):
        return np.where(*(_value(part, names) for part in (node.test, node.body, node.orelse)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return FUNCTIONS[node.func.id](*(_value(a, names) for a in node.args))
    raise ValueError(f"the practice GPU does not understand {ast.unparse(node)!r}")
