"""Annotated images in COCO's format: boxes, classes and masks as polygons or run lengths, read with care and written.

A file is JSON: ``images`` (id, file_name, width, height), ``categories`` (id, name) and ``annotations`` (image_id,
category_id, bbox ``[x, y, width, height]``, segmentation, iscrowd). A segmentation is a list of polygons
``[x1, y1, x2, y2, ...]``, or run lengths ``{"size": [height, width], "counts": ...}`` that count pixels *down the
columns*, alternately outside and inside; ``counts`` is a list, or COCO's compressed text.
"""

import json
from pathlib import Path

import numpy as np

from course_lib.datasets.shape_scenes import Scene, boxes_of


def polygon_mask(polygon, height, width):
    """The pixels whose centres are inside a polygon.

    Parameters
    ----------
    polygon : sequence of float
        ``[x1, y1, x2, y2, ...]``, at least three points.

    Returns
    -------
    ndarray of bool, shape (height, width)
    """
    points = np.asarray(polygon, float).reshape(-1, 2)
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if ay != by:  # a ray to the right crosses this edge: inside and outside change places
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return inside


def rle_counts(mask):
    """Run lengths of a mask (H, W), down the columns; the first counts pixels outside and may be 0."""
    flat = np.asarray(mask, bool).ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    counts = np.diff(np.concatenate([[0], edges]))
    rest = len(flat) - counts.sum()
    return [*counts.tolist(), int(rest)] if rest else counts.tolist()


def rle_mask(counts, height, width):
    """The mask (height, width) of run lengths, a list or COCO's compressed text.

    Raises
    ------
    ValueError
        If a count is negative, or they do not add up to all pixels.
    """
    counts = decompress(counts) if isinstance(counts, str) else counts
    if any(not isinstance(count, (int, np.integer)) or count < 0 for count in counts):
        raise ValueError("a run length is negative or no whole number")
    if sum(counts) != height * width:
        raise ValueError(f"the run lengths add up to {sum(counts):,}, the image has {height * width:,} pixels")
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(height, width, order="F")


def compress(counts):
    """Run lengths as COCO's text: differences to the count two before, five bits a character, the lowest first."""
    text = ""
    for k, count in enumerate(counts):
        x = int(count) - (int(counts[k - 2]) if k > 2 else 0)
        more = True
        while more:
            bits, x = x & 31, x >> 5
            more = x != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if more else bits))
    return text


def decompress(text):
    """The run lengths of COCO's text, the inverse of :func:`compress`."""
    counts, x, shift = [], 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"the character {character!r} does not occur in compressed run lengths")
        x, shift = x | (bits & 31) << shift, shift + 5
        if not bits & 32:
            x -= (1 << shift) if bits & 16 else 0
            counts.append(x + (counts[-2] if len(counts) > 2 else 0))
            x, shift = 0, 0
    if shift:
        raise ValueError("the compressed run lengths end in the middle of a number")
    return counts


def outline(mask):
    """The outlines of a mask along the edges of its pixels, as polygons; None if it has a hole.

    Outlines of different parts do not share an edge; reading them back with :func:`polygon_mask` gives the mask.
    """
    padded = np.pad(np.asarray(mask, bool), 1)
    edges = {}  # from corner to corners, the inside to the right of the way
    for dy, dx, start, end in (
        (-1, 0, (0, 0), (1, 0)), (0, 1, (1, 0), (1, 1)), (1, 0, (1, 1), (0, 1)), (0, -1, (0, 1), (0, 0))
    ):  # fmt: skip
        for i, j in np.argwhere(padded & ~np.roll(padded, (-dy, -dx), (0, 1))):
            edges.setdefault((j + start[0], i + start[1]), []).append((j + end[0], i + end[1]))
    polygons = []
    while edges:
        first = at = next(iter(edges))
        path, before = [], None
        while True:
            ends = edges[at]
            # Where two parts touch at a corner, turn right: stay with the same part.
            right = None if before is None else (at[0] - (at[1] - before[1]), at[1] + (at[0] - before[0]))
            to = right if right in ends else ends[0]
            ends.remove(to)
            if not ends:
                del edges[at]
            path.append(at)
            before, at = at, to
            if at == first:
                break
        points = np.array(path) - 1
        x, y = points.T
        if (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() < 0:  # it runs the other way round: a hole
            return None
        straight = (np.roll(points, -1, 0) - points == points - np.roll(points, 1, 0)).all(axis=1)
        polygons.append(points[~straight].astype(float).ravel().tolist())
    return polygons


def write_coco(path, scenes, classes, files=None, polygons=False):
    """Write scenes as one COCO file, and their images as PNG beside it.

    Parameters
    ----------
    path : path-like
    scenes : sequence of Scene
    classes : sequence of str
    files : sequence of str, optional
        Names of the images. Default: ``000000.png``, ...
    polygons : bool
        Write outlines in place of run lengths, where a mask has no hole.
    """
    from PIL import Image

    path = Path(path)
    files = files or [f"{k:06d}.png" for k in range(len(scenes))]
    images, annotations = [], []
    for number, (scene, file) in enumerate(zip(scenes, files, strict=True), start=1):
        H, W = scene.image.shape[1:]
        Image.fromarray(scene.image.transpose(1, 2, 0)).save(path.parent / file)
        images.append({"id": number, "file_name": file, "width": W, "height": H})
        for box, kind, mask in zip(scene.boxes.tolist(), scene.classes.tolist(), scene.masks, strict=True):
            drawn = outline(mask) if polygons else None
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": kind + 1, "iscrowd": 0,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]], "area": int(mask.sum()),
                "segmentation": drawn or {"size": [H, W], "counts": compress(rle_counts(mask))},
            })  # fmt: skip
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(classes)]
    table = {"images": images, "categories": categories, "annotations": annotations}
    path.write_text(json.dumps(table), encoding="utf-8")


def read_coco(path, folder=None):
    """Read a COCO file and its images.

    Parameters
    ----------
    path : path-like
    folder : path-like, optional
        Of the images. Default: that of the file.

    Returns
    -------
    scenes : list of Scene
        One for each image, in the order of the file. Crowd regions (``iscrowd`` 1) are left out. Boxes are those of
        the masks.
    classes : list of str
        Class ``k`` of a scene is the ``k``-th category of the file.

    Raises
    ------
    ValueError
        If something is wrong; the message names the entry.
    """
    path = Path(path)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from None
    for part in ("images", "categories", "annotations"):
        if not isinstance(table, dict) or not isinstance(table.get(part), list):
            raise ValueError(f"{path.name} has no list {part!r}")
    kinds = {_get(c, "id", int, f"category {k}"): k for k, c in enumerate(table["categories"])}
    names = [_get(c, "name", str, f"category {k}") for k, c in enumerate(table["categories"])]
    images = {}
    for k, entry in enumerate(table["images"]):
        what = f"image {k}"
        number = _get(entry, "id", int, what)
        if number in images:
            raise ValueError(f"{what}: the id {number} is used twice")
        images[number] = (_image(entry, Path(folder or path.parent), what), [], [])
    for k, entry in enumerate(table["annotations"]):
        what = f"annotation {k}" + (f" (id {entry['id']})" if isinstance(entry, dict) and "id" in entry else "")
        number, kind = _get(entry, "image_id", int, what), _get(entry, "category_id", int, what)
        if number not in images:
            raise ValueError(f"{what}: there is no image {number}")
        if kind not in kinds:
            raise ValueError(f"{what}: there is no category {kind}; there are {', '.join(map(str, kinds))}")
        if entry.get("iscrowd", 0):
            continue
        picture, masks, classes = images[number]
        masks.append(_mask(entry, *picture.shape[1:], what))
        classes.append(kinds[kind])
    scenes = []
    for picture, masks, classes in images.values():
        masks = np.array(masks, bool).reshape(-1, *picture.shape[1:])
        boxes = boxes_of(masks) if len(masks) else np.zeros((0, 4), np.float32)
        scenes.append(Scene(picture, boxes, np.array(classes, np.int64), masks, np.arange(len(masks))))
    return scenes, names


def _get(entry, key, kind, what):
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{what}: {key!r} is {value!r}; {kind.__name__} is needed")
    return value


def _image(entry, folder, what):
    from PIL import Image, UnidentifiedImageError

    name = _get(entry, "file_name", str, what)
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{what}: {name!r} is outside the folder of the images")
    try:
        with Image.open(file) as opened:
            picture = np.asarray(opened.convert("RGB")).transpose(2, 0, 1)
    except FileNotFoundError:
        raise ValueError(f"{what}: there is no file {name!r}") from None
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{what}: {name!r} cannot be read as an image ({type(error).__name__})") from None
    size = (_get(entry, "height", int, what), _get(entry, "width", int, what))
    if picture.shape[1:] != size:
        raise ValueError(
            f"{what}: {name!r} is {picture.shape[1]}×{picture.shape[2]}, the entry says {size[0]}×{size[1]}"
        )
    return picture


def _mask(entry, height, width, what):
    box = _get(entry, "bbox", list, what)
    numbers = len(box) == 4 and all(isinstance(v, (int, float)) and np.isfinite(v) for v in box)
    if not numbers or box[2] <= 0 or box[3] <= 0:
        raise ValueError(f"{what}: bbox is {box}; [x, y, width, height] with a width and a height above 0 is needed")
    if box[0] < -1 or box[1] < -1 or box[0] + box[2] > width + 1 or box[1] + box[3] > height + 1:
        raise ValueError(f"{what}: bbox {box} reaches outside the image of {height}×{width}")
    drawn = entry.get("segmentation")
    try:
        if isinstance(drawn, dict):
            if drawn.get("size") != [height, width]:
                raise ValueError(f"the size is {drawn.get('size')}, the image has {[height, width]}")
            mask = rle_mask(drawn.get("counts", []), height, width)
        elif isinstance(drawn, list) and drawn:
            mask = np.zeros((height, width), bool)
            for polygon in drawn:
                if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
                    raise ValueError("a polygon needs x and y of at least three points")
                mask |= polygon_mask(polygon, height, width)
        else:
            raise ValueError("a list of polygons or run lengths are needed")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what}: segmentation: {error}") from None
    if not mask.any():
        raise ValueError(f"{what}: segmentation: it covers no pixel")
    return mask
