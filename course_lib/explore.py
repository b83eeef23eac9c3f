"""Widgets that run the learner's own function, one small picture at a time.

A widget is a few controls and one piece of HTML that is made anew whenever a control moves, in a few milliseconds.
All controls work from the keyboard (Tab to reach one, arrow keys to move it). Where there is no kernel, the page
shows the first picture.
"""

import html
import inspect

import ipywidgets
import numpy as np

from course_lib import tables


class Explorer(ipywidgets.VBox):
    """Controls above a picture.

    Parameters
    ----------
    render : callable
        ``render(**values)`` gives HTML for the values of the controls.
    controls : dict of str to ipywidgets widget
        Each has a ``value``; a control may hold several widgets as ``control.parts`` (see :func:`grid_of_numbers`).
    """

    def __init__(self, render, controls):
        self.render, self.controls = render, controls
        self.picture = ipywidgets.HTML()
        for control in controls.values():
            for part in getattr(control, "parts", [control]):
                part.observe(self.update, "value")
        self.update()
        super().__init__([*controls.values(), self.picture])

    def update(self, change=None):
        """Draw again. What goes wrong in the learner's function is shown in place of the picture."""
        values = {
            name: control.read() if hasattr(control, "read") else control.value
            for name, control in self.controls.items()
        }
        try:
            self.picture.value = self.render(**values)
        except Exception as error:
            self.picture.value = f"<p>no picture: {html.escape(type(error).__name__)}: {html.escape(str(error))}</p>"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle["text/html"] = self.picture.value
        return bundle


def slider(description, low, high, value=None, step=1):
    """A labelled slider over whole numbers."""
    return ipywidgets.IntSlider(
        value=low if value is None else value,
        min=low,
        max=high,
        step=step,
        description=description,
        style={"description_width": "7em"},
        layout={"width": "28em"},
    )


def grid_of_numbers(description, values):
    """A small matrix whose entries can be typed or stepped with the arrow keys."""
    parts = [
        ipywidgets.BoundedFloatText(
            value=value, min=-99, max=99, step=1, layout={"width": "5em"}, description_tooltip=f"{description} {k}"
        )
        for k, value in enumerate(np.ravel(values))
    ]
    grid = ipywidgets.GridBox(parts, layout={"grid_template_columns": f"repeat({values.shape[1]}, 5.4em)"})
    box = ipywidgets.HBox([ipywidgets.Label(description, layout={"width": "7em"}), grid])
    box.parts = parts
    box.read = lambda: np.array([part.value for part in parts]).reshape(values.shape)
    return box


def slide(function, x, f, knobs=True):
    """Step a filter over an image with the learner's own function.

    Parameters
    ----------
    function : callable
        ``function(x, f)``, or with knobs ``function(x, f, bias, stride, padding)``.
    x, f : ndarray, shape (H, W) and (FH, FW)
    knobs : bool
        Whether stride, padding and the filter's numbers can be changed, if the function takes a stride and a padding.
    """
    knobs = knobs and {"stride", "padding"} <= set(inspect.signature(function).parameters)
    step = slider("position", 0, 99)

    def render(position, stride=1, padding=0, f=f):
        y = np.asarray(function(x, f, stride=stride, padding=padding) if knobs else function(x, f))
        padded = np.pad(x, padding)
        FH, FW = f.shape
        OH, OW = y.shape
        step.max = OH * OW - 1
        i, j = divmod(min(position, OH * OW - 1), OW)
        seen = np.zeros(padded.shape, bool)
        seen[i * stride : i * stride + FH, j * stride : j * stride + FW] = True
        here = np.zeros(y.shape, bool)
        here[i, j] = True
        terms = " + ".join(f"{_factor(a)}·{_factor(b)}" for a, b in zip(padded[seen], f.ravel(), strict=True))
        name = "x" if padding == 0 else "x with its border"
        return (
            tables.row([tables.matrix(padded, name, seen), tables.matrix(f, "f"), tables.matrix(y, "y", here)])
            + f"<div>y[{i}, {j}] = {terms} = <b>{tables.number(y[i, j])}</b></div>"
        )

    controls = {"position": step}
    if knobs:
        controls["stride"] = slider("stride", 1, 3)
        controls["padding"] = slider("padding", 0, 2)
        controls["f"] = grid_of_numbers("filter", np.asarray(f, float))
    return Explorer(render, controls)


def _factor(value):
    return f"({tables.number(value)})" if value < 0 else tables.number(value)


def pool(function, x, operation="max", knobs=True):
    """Step a pooling window over one image with the learner's own function.

    Parameters
    ----------
    function : callable
        ``function(x, size)``, or with knobs ``function(x, size, stride, padding)``, on arrays of shape (N, C, H, W).
    x : ndarray, shape (H, W)
        It is given to the function as one image of one channel.
    operation : {"max", "mean"}
        What is written under the picture. A maximum sees a border of −∞; a mean leaves the border out.
    knobs : bool
        Whether stride and padding can be changed, if the function takes them.
    """
    knobs = knobs and {"stride", "padding"} <= set(inspect.signature(function).parameters)
    step, size = slider("position", 0, 99), slider("size", 1, 3, value=2)
    stride, padding = slider("stride", 1, 3, value=2), slider("padding", 0, 1)

    def render(position, size, stride=None, padding=0):
        padding = min(padding, size // 2)  # a window must touch the image
        more = {"stride": stride, "padding": padding} if knobs else {}
        y = np.asarray(function(x[None, None], size, **more))[0, 0]
        stride = size if stride is None else stride
        border = -np.inf if operation == "max" else 0.0
        padded = np.pad(np.asarray(x, float), padding, constant_values=border)
        OH, OW = y.shape
        step.max = OH * OW - 1
        i, j = divmod(min(position, OH * OW - 1), OW)
        seen, inside, here = np.zeros(padded.shape, bool), np.zeros(padded.shape, bool), np.zeros(y.shape, bool)
        seen[i * stride : i * stride + size, j * stride : j * stride + size] = True
        inside[padding : padding + x.shape[0], padding : padding + x.shape[1]] = True
        here[i, j] = True
        numbers = ", ".join(map(tables.number, padded[seen if operation == "max" else seen & inside]))
        name = "x" if padding == 0 else "x with its border"
        return (
            tables.row([tables.matrix(padded, name, seen), tables.matrix(y, "y", here)])
            + f"<div>y[{i}, {j}] = {operation}({numbers}) = <b>{tables.number(y[i, j])}</b></div>"
        )

    controls = {"position": step, "size": size}
    if knobs:
        controls |= {"stride": stride, "padding": padding}


def pipeline(schedule, batches=6):
    """Batches on the bus and on the device: sliders for the two times and the number of buffers.

    Parameters
    ----------
    schedule : callable
        ``schedule(copy, compute, buffers)`` gives a row of four times for each batch, as ``gpu.schedule`` does.
    batches : int
    """
    row, left, width = 34, 60, 640

    def render(copy, compute, buffers):
        times = np.asarray(schedule([float(copy)] * batches, [float(compute)] * batches, buffers))
        scale = width / (batches * (copy + compute))
        bars = []
        for k, (start, arrived, begin, end) in enumerate(times):
            for y, (a, b), colour in ((0, (start, arrived), "#0072B2"), (1, (begin, end), "#D55E00")):
                x, w = left + a * scale, (b - a) * scale
                bars.append(
                    f'<rect x="{x:.1f}" y="{y * row + 4}" width="{w:.1f}" height="{row - 8}" fill="{colour}" '
                    f'fill-opacity=".65" stroke="currentColor"/>'
                    f'<text x="{x + w / 2:.1f}" y="{y * row + 22}" text-anchor="middle" fill="currentColor">{k}</text>'
                )
        names = "".join(
            f'<text x="0" y="{y * row + 22}" fill="currentColor">{name}</text>'
            for y, name in enumerate(("bus", "device"))
        )
        busy = batches * compute / times[-1, 3]
        return (
            f'<svg width="{left + width + 10}" height="{2 * row + 4}" role="img" '
            f'aria-label="timeline of {batches} batches" style="max-width:100%">{names}{"".join(bars)}</svg>'
            f"<p>All {batches} batches are done after <b>{times[-1, 3]:g}</b> ms "
            f"({batches * (copy + compute):g} ms one after the other). "
            f"The device computes {100 * busy:.0f} % of the time.</p>"
        )

    controls = {
        "copy": slider("copy (ms)", 1, 9, 2),
        "compute": slider("compute (ms)", 1, 9, 3),
        "buffers": slider("buffers", 1, 4, 2),
    }
    return Explorer(render, controls)


def gradient_errors(check, layers):
    """Heat-maps of the errors in a convolutional layer's gradients: where they are tells which bug it is.

    Parameters
    ----------
    check : callable
        ``check(layer, x, dy)`` gives the relative error of every entry of dx, dW and db, by the names x, W and b.
    layers : dict of str to callable
        By a name to choose, what makes the layer: ``make(W, b, stride, padding)``.
    """

    def render(layer, stride, padding, draw):
        rng = np.random.default_rng(draw)
        x, W, b = rng.normal(size=(2, 1, 5, 6)), rng.normal(size=(2, 1, 3, 2)), rng.normal(size=2)
        made = layers[layer](W, b, stride, padding)
        errors = check(made, x, rng.normal(size=made.forward(x).shape))
        parts = {f"dx, image {n}": errors["x"][n, 0] for n in range(2)}
        parts |= {f"dW, filter {o}": errors["W"][o, 0] for o in range(2)}
        parts["db"] = errors["b"]
        figures = [tables.matrix(np.round(e, 2), name, e > 1e-4, scale=1.0) for name, e in parts.items()]
        counts = ", ".join(f"{(e > 1e-4).sum()} of {e.size} entries of d{name}" for name, e in errors.items())
        return tables.row(figures) + f"<div>relative errors, 0 is right; wrong (framed): {counts}</div>"

    controls = {
        "layer": ipywidgets.Dropdown(options=list(layers), description="layer", style={"description_width": "7em"}),
        "stride": slider("stride", 1, 3),
        "padding": slider("padding", 0, 2),
        "draw": slider("random numbers", 0, 9),
    }
    return Explorer(render, controls)


def probabilities(softmax, names=("cat", "dog", "car", "house"), scores=(2, 1, 0, -1)):
    """Scores on sliders, and the probabilities that the learner's own softmax makes of them.

    Parameters
    ----------
    softmax : callable
        From scores (1, K) to probabilities (1, K).
    names : sequence of str
        Of the K classes.
    scores : sequence of int
        Where the sliders stand at first.
    """
    controls = {name: slider(name, -10, 10, value) for name, value in zip(names, scores, strict=True)}
    controls["added to all"] = slider("added to all", -1000, 1000, 0, step=100)

    def render(**values):
        added = values.pop("added to all")
        with np.errstate(all="ignore"):
            p = np.asarray(softmax(np.array([[value + added for value in values.values()]], dtype=float)))[0]
        rows = ""
        for name, value in zip(names, p, strict=True):
            width = 0 if np.isnan(value) else 18 * value
            bar = f"<div style='background:#0072B2;height:1.1em;width:{width:.2f}em;display:inline-block'></div>"
            rows += f"<tr><td style='text-align:right'>{html.escape(name)}&nbsp;</td><td>{bar} {value:.4f}</td></tr>"
        return f"<table>{rows}</table><div>sum: {p.sum():.4f}</div>"

    return Explorer(render, controls)


def descent(rules, steps=40):
    """Follow an optimiser down a long narrow valley, f(a, b) = (a² + 25 b²) / 2, from (-9, 1.6).

    Parameters
    ----------
    rules : dict of str to callable
        ``rule(lr)`` gives an optimiser with ``step(params, grads)``.
    steps : int
    """
    rule = ipywidgets.Dropdown(options=list(rules), description="rule", style={"description_width": "7em"})
    lr = ipywidgets.SelectionSlider(
        options=[(f"{value:g}", value) for value in (0.005, 0.01, 0.02, 0.04, 0.07, 0.085, 0.15, 0.3, 0.6, 1.0)],
        value=0.04,
        description="learning rate",
        style={"description_width": "7em"},
        layout={"width": "28em"},
    )

    def render(rule, lr):
        p, optimizer = np.array([-9.0, 1.6]), rules[rule](lr)
        path = [p.copy()]
        for _ in range(steps):
            optimizer.step({"p": p}, {"p": p * (1.0, 25.0)})
            path.append(p.copy())
        path = np.array(path)
        first, last = (float((at**2 * (1, 25)).sum() / 2) for at in (path[0], path[-1]))
        rings = "".join(
            f"<ellipse rx='{36 * size:.0f}' ry='{36 * size / 5:.1f}' fill='none' stroke='currentColor' opacity='.35'/>"
            for size in (1, 2, 4, 6, 8, 10)
        )
        shown = np.clip(path, (-11, -2.4), (11, 2.4)) * (36, 36)
        points = " ".join(f"{a:.1f},{-b:.1f}" for a, b in shown)
        dots = "".join(f"<circle cx='{a:.1f}' cy='{-b:.1f}' r='2.6' fill='#D55E00'/>" for a, b in shown)
        return (
            "<svg viewBox='-400 -90 800 180' width='640' height='144' role='img' aria-label='path of the optimiser'>"
            f"{rings}<path d='M-6,0H6M0,-6V6' stroke='currentColor'/>"
            f"<polyline points='{points}' fill='none' stroke='#D55E00' stroke-width='1.4'/>{dots}</svg>"
            f"<div>f after {steps} steps: <b>{last:.3g}</b> (at the start {first:.3g}); + marks the minimum</div>"
        )

    return Explorer(render, {"rule": rule, "lr": lr})
