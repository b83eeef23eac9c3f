"""What every widget is made of: controls, and a picture that is made anew whenever one moves."""

import html

import ipywidgets
import numpy as np


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
            value=value, min=-99, max=99, step=1, layout={"width": "5em"}, tooltip=f"{description} {k}"
        )
        for k, value in enumerate(np.ravel(values))
    ]
    grid = ipywidgets.GridBox(parts, layout={"grid_template_columns": f"repeat({values.shape[1]}, 5.4em)"})
    box = ipywidgets.HBox([ipywidgets.Label(description, layout={"width": "7em"}), grid])
    box.parts = parts
    box.read = lambda: np.array([part.value for part in parts]).reshape(values.shape)
    return box
