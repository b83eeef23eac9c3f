"""A Keras model as a picture: its layers from top to bottom, and an arc wherever a tensor skips some of them."""

import html

ROW, LEFT = 24, 150  # pixels: height of a line, room for the arcs


def _inputs(layer):
    """The layers whose results go into this one."""
    given = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
    return [earlier for tensor in given if (earlier := tensor._keras_history.operation) is not layer]


def _in_order(model):
    """The layers, each after its inputs, and every branch in one piece."""
    order, open_, seen = [], [model.layers[-1]], set()
    while open_:
        layer = open_[-1]
        missing = [earlier for earlier in _inputs(layer) if earlier.name not in seen]
        if missing:
            open_.append(missing[0])
        else:
            open_.pop()
            seen.add(layer.name)
            order.append(layer)
    return order


def drawing(model):
    """The layers of a functional model with their shapes and connections, as HTML with an SVG.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    str
    """
    order = _in_order(model)
    place = {layer.name: k for k, layer in enumerate(order)}
    parts = []
    for row, layer in enumerate(order):
        y = ROW * row + ROW // 2
        shape = "×".join(map(str, layer.output.shape[1:]))
        kind = type(layer).__name__
        size = f" {layer.kernel_size[0]}×{layer.kernel_size[1]}" if hasattr(layer, "kernel_size") else ""
        size += f", stride {layer.strides[0]}" if size and layer.strides[0] > 1 else ""
        bold = " font-weight='bold'" if kind == "Add" else ""
        parts.append(f"<circle cx='{LEFT}' cy='{y}' r='3'/><text x='{LEFT + 270}' y='{y + 4}'>{shape}</text>")
        parts.append(f"<text x='{LEFT + 14}' y='{y + 4}'{bold}>{html.escape(kind + size)}</text>")
        for before in {earlier.name for earlier in _inputs(layer)}:
            top = ROW * place[before] + ROW // 2
            reach = place[layer.name] - place[before]
            if reach == 1:
                parts.append(f"<path d='M{LEFT},{top}V{y}' stroke='currentColor'/>")
            else:
                bend = min(LEFT - 10, 16 * reach)
                path = f"M{LEFT},{top}C{LEFT - bend},{top} {LEFT - bend},{y} {LEFT},{y}"
                parts.append(f"<path d='{path}' stroke='#D55E00' stroke-width='2' fill='none'/>")
    height = ROW * len(place)
    name = html.escape(model.name)
    return (
        f"<svg viewBox='0 0 520 {height}' width='520' height='{height}' role='img' fill='currentColor' "
        f"font-size='13' aria-label='the layers of {name} and their connections'>{''.join(parts)}</svg>"
    )
