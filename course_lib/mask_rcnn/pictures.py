"""Boxes, masks and words drawn over an image, and frames made into a moving picture."""

import base64
import colorsys
import html
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLOURS = ((86, 180, 233), (230, 159, 0), (0, 190, 130), (204, 121, 167))  # after Okabe and Ito, one for each class


def colour_of(number):
    """A colour for a track: neighbouring numbers get colours far apart, given as (red, green, blue) of 0..255."""
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(0.12 + 0.382 * int(number) % 1, 0.75, 1.0))


def overlay(image, boxes=(), masks=None, labels=(), colours=None, scale=3, thick=2):
    """An image with boxes, masks and labels, enlarged.

    Parameters
    ----------
    image : ndarray, shape (3, H, W), uint8
    boxes : sequence of (x1, y1, x2, y2)
        In pixels of the image.
    masks : sequence of bool (H, W), optional
        One for each box, laid over the image half transparent.
    labels : sequence of str
        Written at the box's upper edge.
    colours : sequence of (red, green, blue), optional
        One for each box.
    scale : int
        Each pixel becomes this many along each side.
    thick : int
        Of the lines, in pixels of the result.

    Returns
    -------
    ndarray, shape (H * scale, W * scale, 3), uint8
    """
    picture = np.asarray(image).transpose(1, 2, 0).astype(float)
    colours = colours or [COLOURS[k % len(COLOURS)] for k in range(len(boxes))]
    for mask, colour in zip(() if masks is None else masks, colours, strict=False):
        mask = np.asarray(mask)
        picture[mask] = 0.45 * picture[mask] + 0.55 * np.array(colour)
    drawn = Image.fromarray(np.rint(picture).astype(np.uint8).repeat(scale, 0).repeat(scale, 1))
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(4 * scale + 2)
    for k, (box, colour) in enumerate(zip(boxes, colours, strict=False)):
        x1, y1, x2, y2 = (float(v) * scale for v in box)
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=thick)
        if k < len(labels) and labels[k]:
            left, top, right, bottom = pen.textbbox((x1, 0), labels[k], font=font)
            y = y1 - (bottom + 3) if y1 >= bottom + 3 else y1
            pen.rectangle((left - 1, y, right + 2, y + bottom + 3), fill=colour)
            pen.text((x1, y + 1), labels[k], fill=(0, 0, 0), font=font)
    return np.asarray(drawn)


def truth(scene, names, **how):
    """A scene with its true boxes, masks and classes."""
    return overlay(scene.image, scene.boxes, scene.masks, [names[k] for k in scene.classes],
                   [COLOURS[k] for k in scene.classes], **how)  # fmt: skip


def found(image, detections, names, score=0.5, **how):
    """An image with what was detected in it with at least this score."""
    sure = np.flatnonzero(detections.scores.numpy() >= score)
    kinds = detections.classes[sure].tolist()
    labels = [f"{names[k]} {s:.2f}" for k, s in zip(kinds, detections.scores[sure].tolist(), strict=True)]
    return overlay(image, detections.boxes[sure].tolist(), detections.masks[sure].numpy(), labels,
                   [COLOURS[k % len(COLOURS)] for k in kinds], **how)  # fmt: skip


def gif(frames, path=None, per_second=12):
    """Frames as a moving picture that plays for ever.

    Parameters
    ----------
    frames : sequence of ndarray, shape (H, W, 3), uint8
    path : path-like, optional
        Where to write it as well.
    per_second : float

    Returns
    -------
    bytes
        The GIF; :func:`inline` shows it.
    """
    if not len(frames):
        raise ValueError("there is no frame; a moving picture needs at least one")
    pictures = [Image.fromarray(frame).quantize(128) for frame in frames]
    stream = io.BytesIO()
    pictures[0].save(stream, "GIF", save_all=True, append_images=pictures[1:], duration=round(1000 / per_second),
                     loop=0)  # fmt: skip
    if path is not None:
        Path(path).write_bytes(stream.getvalue())
    return stream.getvalue()


def inline(data, description):
    """A GIF as HTML for a notebook, with words for whoever cannot see it."""
    return f'<img alt="{html.escape(description)}" src="data:image/gif;base64,{base64.b64encode(data).decode()}">'
