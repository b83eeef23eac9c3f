"""Chapter 10: what is checked of the exercises on boxes, regions, masks, precision and tracks.

Answers are given tensors of float32. Whatever a mistake needs is written here, in the plainest way.
"""

import numpy as np

from autograder.exercise import Written, case, exercise, only_exercises


def to_tensors(value):
    """Arrays become tensors that share their memory, in lists and tuples too; numbers stay what they are."""
    import torch

    if isinstance(value, np.ndarray) and value.ndim:
        return torch.from_numpy(value)
    if isinstance(value, (list, tuple)) and any(isinstance(v, (np.ndarray, list, tuple)) for v in value):
        return type(value)(map(to_tensors, value))
    return value


def on_tensors(answer, *args, **kwargs):
    """Call the answer with tensors."""
    return answer(*map(to_tensors, args), **{name: to_tensors(value) for name, value in kwargs.items()})


def f32(*values):
    return np.array(values, dtype=np.float32)


def some_boxes(rng, n, size=64.0, least=4.0):
    """Random boxes (n, 4) inside an image; no coordinate is a whole or a half number."""
    wh = rng.uniform(least, size / 2, (n, 2))
    xy = rng.uniform(0, size - wh)
    return np.concatenate([xy, xy + wh], axis=1).astype(np.float32)


def moved(rng, boxes, by=0.15):
    """Boxes near the given ones."""
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return (boxes + rng.uniform(-by, by, boxes.shape) * size).astype(np.float32)


def iou_table(a, b):
    """The IoU of each pair, in NumPy."""
    a, b = np.asarray(a, float)[:, None], np.asarray(b, float)[None]
    sides = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0)
    common = sides.prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - common
    return common / np.where(union > 0, union, 1)


# ---- 10.1 ----


@exercise(
    reference="course_lib.mask_rcnn:box_iou",
    points=2,
    hints=(
        "Where is the left edge of what two boxes share? And what is the width of that if they do not touch at all?",
        "torch.maximum(a[:, None, :2], b[None, :, :2]) is the upper left corner of each pair, shape (N, M, 2). "
        "Subtract it from the lower right one and clamp(min=0) before you multiply. Where the union is 0, give 0.",
    ),
    drive=on_tensors,
)
def box_iou(rng):
    """Intersection over union of each pair of boxes."""
    yield case("the worked example", f32([0, 0, 4, 4]), f32([2, 1, 6, 5]))
    yield case("touching", f32([0, 0, 2, 2]), f32([2, 0, 4, 2], [0, 2, 2, 5]))
    yield case("apart in both directions", f32([0, 0, 2, 3]), f32([5, 7, 9, 8]))
    yield case("one inside the other", f32([1, 1, 9, 5]), f32([2, 2, 4, 5], [1, 1, 9, 5]))
    yield case("boxes without area", f32([3, 3, 3, 3], [0, 0, 6, 6]), f32([3, 3, 3, 3], [2, 0, 2, 4]))
    boxes = some_boxes(rng, int(rng.integers(3, 6)))
    yield case("random boxes", boxes, np.concatenate([moved(rng, boxes), some_boxes(rng, 3)]))
    yield case("sides measured in widths of the image", boxes[:2] / 64, moved(rng, boxes[:3]) / 64)
    yield case("none to compare with", some_boxes(rng, 2), np.zeros((0, 4), np.float32))


@box_iou.mistake("1 is added to widths and heights. Edges are positions here: a box from 2 to 5 is 3 wide, not 4.")
def plus_one(reference, a, b):
    return reference(a + a.new_tensor([0, 0, 1, 1]), b + b.new_tensor([0, 0, 1, 1]))


@box_iou.mistake("The last two numbers are taken for width and height. They are the second corner, x2 and y2.")
def xywh(reference, a, b):
    import torch

    return reference(*(torch.cat([x[:, :2], x[:, :2] + x[:, 2:]], dim=1) for x in (a, b)))


def _iou(a, b, clamp=True, union="union"):
    import torch

    sides = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])
    common = (sides.clamp(min=0) if clamp else sides).prod(dim=2)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(dim=1) for x in (a, b))
    if union == "sum":
        whole = area_a[:, None] + area_b[None]
    elif union == "smaller":
        whole = torch.minimum(area_a[:, None], area_b[None])
    else:
        whole = area_a[:, None] + area_b[None] - common
    return common / whole if union.startswith("nan") else torch.where(whole > 0, common / whole, torch.zeros(()))


@box_iou.mistake("Where boxes are apart, both sides of the intersection are negative, and their product is positive. "
                 "Clamp the sides at 0 first.")  # fmt: skip
def no_clamp(reference, a, b):
    return _iou(a, b, clamp=False)


@box_iou.mistake("Where boxes are apart, both sides of the intersection are negative: clamp them at 0 before you "
                 "multiply. And where both areas are 0, give 0 in place of 0 / 0.")  # fmt: skip
def no_clamp_and_nan(reference, a, b):
    return _iou(a, b, clamp=False, union="nan")


@box_iou.mistake("What the boxes share is counted twice in the union. Subtract the intersection once.")
def shared_counted_twice(reference, a, b):
    return _iou(a, b, union="sum")


@box_iou.mistake("Divided by the smaller box. The union is what is meant: a small box in a large one is no match.")
def over_the_smaller(reference, a, b):
    return _iou(a, b, union="smaller")


@box_iou.mistake("0 divided by 0 is NaN. Two boxes without area have an IoU of 0.")
def nan_without_area(reference, a, b):
    return _iou(a, b, union="nan")


@box_iou.mistake("The table lies on its side: rows belong to a, columns to b.")
def on_its_side(reference, a, b):
    return reference(a, b).T


# ---- 10.2 and 10.3 ----


def _parts(boxes):
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


VARIANCES = (0.1, 0.1, 0.2, 0.2)


@exercise(
    reference="course_lib.mask_rcnn:encode_boxes",
    points=2,
    hints=(
        "How far is the box's centre from the anchor's, in widths of the anchor? How many times as wide is the box?",
        "centre = (boxes[:, :2] + boxes[:, 2:]) / 2, size = boxes[:, 2:] - boxes[:, :2], the same for the "
        "anchors; then "
        "torch.cat of (centre - centre_a) / size_a / 0.1 and torch.log(size / size_a) / 0.2, along dim=1.",
    ),
    drive=on_tensors,
)
def encode_boxes(rng):
    """Boxes written as changes of anchors."""
    yield case("the worked example", f32([14, 20, 38, 40]), f32([10, 10, 30, 50]))
    yield case("the anchor itself", f32([3, 4, 9, 16]), f32([3, 4, 9, 16]))
    anchors = some_boxes(rng, 3)
    yield case("near the anchors", moved(rng, anchors), anchors)
    yield case("anywhere", some_boxes(rng, 5), some_boxes(rng, 5))


@encode_boxes.mistake("The corners are compared. An offset is from centre to centre.")
def corners(reference, boxes, anchors):
    import torch

    t = reference(boxes, anchors)
    (_, size_a) = _parts(anchors)
    return torch.cat([(boxes[:, :2] - anchors[:, :2]) / size_a / 0.1, t[:, 2:]], dim=1)


@encode_boxes.mistake(
    "The distance is measured in sizes of the box. The anchor's are meant: those are known beforehand."
)
def in_sizes_of_the_box(reference, boxes, anchors):
    import torch

    t = reference(boxes, anchors)
    return torch.cat([t[:, :2] * _parts(anchors)[1] / _parts(boxes)[1], t[:, 2:]], dim=1)


@encode_boxes.mistake("The divisors 0.1, 0.1, 0.2, 0.2 are missing: the targets are several times too small.")
def no_variances(reference, boxes, anchors):
    return reference(boxes, anchors) * boxes.new_tensor(VARIANCES)


@encode_boxes.mistake("Multiplied by 0.1, 0.1, 0.2, 0.2. Divide: the offsets are to have a spread of about 1.")
def variances_multiplied(reference, boxes, anchors):
    return reference(boxes, anchors) * boxes.new_tensor(VARIANCES) ** 2


@encode_boxes.mistake(
    "The ratio of the sizes has no logarithm. With it, twice and half as large are equally far from 0."
)
def no_logarithm(reference, boxes, anchors):
    import torch

    t = reference(boxes, anchors)
    return torch.cat([t[:, :2], _parts(boxes)[1] / _parts(anchors)[1] / 0.2], dim=1)


@encode_boxes.mistake("The signs are turned round: this is the anchor as a change of the box, or nearly.")
def signs(reference, boxes, anchors):
    return -reference(boxes, anchors)


@encode_boxes.mistake("All four are divided by 0.1. The two logarithms are divided by 0.2.")
def one_variance(reference, boxes, anchors):
    return reference(boxes, anchors) * boxes.new_tensor([1, 1, 2, 2])


@exercise(
    reference="course_lib.mask_rcnn:decode_boxes",
    points=2,
    hints=(
        "Which steps of encode_boxes must be undone, and in which order? What undoes the logarithm?",
        "t = offsets * tensor([0.1, 0.1, 0.2, 0.2]); centre = centre_a + t[:, :2] * size_a; "
        "size = size_a * torch.exp(t[:, 2:].clamp(max=4)); the corners are centre - size / 2 and centre + size / 2.",
    ),
    drive=on_tensors,
)
def decode_boxes(rng):
    """The boxes that the offsets say."""
    yield case("no change", np.zeros((1, 4), np.float32), f32([3, 4, 9, 16]))
    yield case("the worked example backwards", f32([3, 0, 5 * np.log(1.2), 5 * np.log(0.5)]), f32([10, 10, 30, 50]))
    yield case("random offsets", rng.normal(size=(4, 4)).astype(np.float32), some_boxes(rng, 4))
    wild = rng.normal(size=(3, 4)).astype(np.float32)
    wild[0, 2], wild[1, 3] = 30.0, 500.0
    yield case("a network gone wild", wild, some_boxes(rng, 3, size=16.0, least=1.0))


def _decode(offsets, anchors, largest=4.0, variances=VARIANCES, exp=True):
    import torch

    centre, size = _parts(anchors)
    t = offsets * offsets.new_tensor(variances)
    logs = t[:, 2:].clamp(max=largest)
    new = size * (torch.exp(logs) if exp else 1 + logs)
    return centre + t[:, :2] * size, new


def _corners(centre, size, share=2):
    import torch

    return torch.cat([centre - size / share, centre + size / share], dim=1)


@decode_boxes.mistake("Nothing limits the logarithm: exp(100) is infinite, and one wild output spoils everything. "
                      "Clamp it at 4.")  # fmt: skip
def unlimited(reference, offsets, anchors):
    return _corners(*_decode(offsets, anchors, largest=float("inf")))


@decode_boxes.mistake(
    "The clamp at 4 is applied to the offset before it is multiplied by 0.2. It is for the logarithm."
)
def limited_too_early(reference, offsets, anchors):
    return _corners(*_decode(offsets, anchors, largest=0.8))


@decode_boxes.mistake("The factors 0.1, 0.1, 0.2, 0.2 are missing.")
def no_variances_in_decode(reference, offsets, anchors):
    return _corners(*_decode(offsets, anchors, variances=(1, 1, 1, 1)))


@decode_boxes.mistake("The whole size is added on both sides of the centre: the boxes are twice too large.")
def twice_as_large(reference, offsets, anchors):
    return _corners(*_decode(offsets, anchors), share=1)


@decode_boxes.mistake("These are centres and sizes. The two corners are asked for.")
def centres_and_sizes(reference, offsets, anchors):
    import torch

    return torch.cat(_decode(offsets, anchors), dim=1)


@decode_boxes.mistake("The new centre is taken for the upper left corner.")
def centre_as_corner(reference, offsets, anchors):
    import torch

    centre, size = _decode(offsets, anchors)
    return torch.cat([centre, centre + size], dim=1)


@decode_boxes.mistake("The sizes grow by a share instead of by an exponential, which undoes no logarithm.")
def no_exponential(reference, offsets, anchors):
    return _corners(*_decode(offsets, anchors, exp=False))


# ---- 10.4 ----


@exercise(
    reference="course_lib.mask_rcnn:make_anchors",
    points=2,
    hints=(
        "A cell of stride 8 covers 8 pixels. Where is the middle of cell 0? And which w and h have w·h = s² "
        "and w/h = r?",
        "First the A boxes around (0, 0), (A, 4): rows (-w, -h, w, h) / 2. Then the centres ((j + 0.5) S, (i + 0.5) S) "
        "twice, (H, W, 1, 4). Their sum is (H, W, A, 4): reshape(-1, 4).",
    ),
    drive=on_tensors,
)
def make_anchors(rng):
    """A few boxes around the centre of each cell."""
    yield case("one cell, one square", 1, 1, 8, (16.0,), (1.0,))
    yield case("the worked example", 1, 2, 8, (16.0,), (1.0, 4.0))
    yield case("two rows, three columns", 2, 3, 4, (8.0,), (1.0,))
    yield case("two sizes, two ratios", 1, 1, 16, (16.0, 32.0), (0.5, 2.0))
    sizes = tuple(float(s) for s in rng.integers(8, 64, 2))
    yield case("all together", int(rng.integers(2, 4)), int(rng.integers(4, 6)), 16, sizes, (0.5, 1.0, 2.0))


def _anchors(height, width, stride, sizes, ratios, half=0.5, wide=None, after=0.0, inner="ratios", rows_first=True):
    import torch

    wide = wide or (lambda s, r: (s * r**0.5, s / r**0.5))
    pairs = [(s, r) for s in sizes for r in ratios] if inner == "ratios" else [(s, r) for r in ratios for s in sizes]
    cells = [(i, j) for i in range(height) for j in range(width)]
    if not rows_first:
        cells = [(i, j) for j in range(width) for i in range(height)]
    boxes = []
    for i, j in cells:
        x, y = (j + half) * stride + after, (i + half) * stride + after
        boxes += [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for w, h in (wide(s, r) for s, r in pairs)]
    return torch.tensor(boxes, dtype=torch.float32)


@make_anchors.mistake("The anchors stand on the corners of the cells. The middle of cell j is at (j + ½) S.")
def on_the_corners(reference, *args):
    return _anchors(*args, half=0.0)


@make_anchors.mistake("Half a pixel is added instead of half a cell: (j + ½) S, not j S + ½.")
def half_a_pixel(reference, *args):
    return _anchors(*args, half=0.0, after=0.5)


@make_anchors.mistake("The ratio is turned round. r = w / h: an anchor with r = 2 is lying.")
def ratio_turned_round(reference, *args):
    return _anchors(*args, wide=lambda s, r: (s / r**0.5, s * r**0.5))


@make_anchors.mistake("The square root is missing: the areas change with the ratio by its square, or stay s² with r².")
def no_root(reference, *args):
    return _anchors(*args, wide=lambda s, r: (s * r, s / r))


@make_anchors.mistake(
    "Only the width follows the ratio. The height shrinks as the width grows, so that the area stays."
)
def only_the_width(reference, *args):
    return _anchors(*args, wide=lambda s, r: (s * r, s))


@make_anchors.mistake("The cells are listed column by column. The network's output comes row by row.")
def column_by_column(reference, *args):
    return _anchors(*args, rows_first=False)


@make_anchors.mistake("In each cell the ratios are outside and the sizes inside. It is size after size.")
def ratios_outside(reference, *args):
    return _anchors(*args, inner="sizes")


@make_anchors.mistake("The anchors are twice too large: s is the whole side of a square anchor, not half of it.")
def half_sides(reference, *args):
    return _anchors(*args, wide=lambda s, r: (2 * s * r**0.5, 2 * s / r**0.5))


# ---- 10.5 ----


@exercise(
    reference="course_lib.mask_rcnn:match_anchors",
    points=3,
    hints=(
        "For each anchor: how much does it overlap the object that it overlaps most? And then, for each object: which "
        "anchor is its best, and what if even that one is below every threshold?",
        "most, match = iou.max(dim=1); torch.where twice for -1 and -2; then highest, best = iou.max(dim=0) and "
        "match[best[m]] = m for each object m with highest[m] > 0. iou.max fails if there is no object: return first.",
    ),
    drive=on_tensors,
)
def match_anchors(rng):
    """Which object each anchor is to find."""
    yield case("the worked example", f32([0.8, 0.0], [0.5, 0.1], [0.0, 0.2], [0.1, 0.4]))
    yield case("no object", np.zeros((3, 0), np.float32))
    yield case("exactly on a threshold", f32([0.75], [0.25], [0.24], [0.9]), low=0.25, high=0.75)
    yield case("an object that no anchor touches", f32([0.9, 0.0], [0.1, 0.0], [0.4, 0.0]))
    yield case("the best of one, but closer to another", f32([0.72, 0.1], [0.95, 0.6], [0.05, 0.5]))
    table = rng.permutation(np.linspace(0.02, 0.85, 24)).reshape(8, 3).astype(np.float32)
    yield case("a random table", table)
    yield case("other thresholds", table, low=0.4, high=0.5)


def _match(iou, low=0.3, high=0.7, force="all", background=-1, ignored=-2, above=False, upto=False):
    import torch

    N, M = iou.shape
    match = torch.full((N,), background)
    for n in range(N):
        if M:
            most = float(iou[n].max())
            if most > high or (most == high and not above):
                match[n] = int(iou[n].argmax())
            elif most > low or (most == low and not upto):
                match[n] = ignored
    for m in range(M if N else 0):
        best = int(iou[:, m].argmax())
        if (force == "all" and iou[best, m] > 0) or force == "even untouched":
            match[best] = m
        if force == "own" and iou[best, m] > 0:
            match[best] = int(iou[best].argmax())
    return match


@match_anchors.mistake(
    "Objects that no anchor overlaps enough are found by none. The best anchor of each object belongs to "
    "it, whatever the IoU."
)
def best_not_forced(reference, iou, low=0.3, high=0.7):
    return _match(iou, low, high, force="none")


@match_anchors.mistake(
    "The anchors in between are called background. They show a part of an object: -2, to be ignored."
)
def between_is_background(reference, iou, low=0.3, high=0.7):
    return _match(iou, low, high, ignored=-1)


@match_anchors.mistake("-1 and -2 are exchanged: -1 is background, -2 is ignored.")
def exchanged(reference, iou, low=0.3, high=0.7):
    return _match(iou, low, high, background=-2, ignored=-1)


@match_anchors.mistake("An object that no anchor touches still gets one, with an IoU of 0.")
def untouched_forced(reference, iou, low=0.3, high=0.7):
    return _match(iou, low, high, force="even untouched")


@match_anchors.mistake("The best anchor of an object is positive, but keeps the object that it overlaps more. Then the "
                       "first object is still found by none.")  # fmt: skip
def keeps_its_own(reference, iou, low=0.3, high=0.7):
    return _match(iou, low, high, force="own")


@match_anchors.mistake("An IoU of exactly `high` already belongs to the object: >=, not >.")
def above_high_only(reference, iou, low=0.3, high=0.7):
    return _match(iou, low, high, above=True)


@match_anchors.mistake("An IoU of exactly `low` is no longer background: <, not <=.")
def up_to_low(reference, iou, low=0.3, high=0.7):
    return _match(iou, low, high, upto=True)


# ---- 10.6 ----


def drive_rpn_loss(answer, logits, offsets, match, targets):
    """The loss, and its gradient with respect to what the network predicts."""
    import torch

    logits, offsets, match, targets = map(torch.from_numpy, (logits, offsets, match, targets))
    logits, offsets = logits.clone().requires_grad_(), offsets.clone().requires_grad_()
    loss = answer(logits, offsets, match, targets)
    if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        return {"loss": loss}
    d = torch.autograd.grad(loss, (logits, offsets), allow_unused=True)
    d_logits, d_offsets = (torch.zeros_like(x) if g is None else g for g, x in zip(d, (logits, offsets), strict=True))
    return {"loss": loss, "d logits": d_logits, "d offsets": d_offsets}


@exercise(
    reference="course_lib.mask_rcnn:rpn_loss",
    points=3,
    hints=(
        "Which anchors say something about whether there is an object? Which of them about where it is?",
        "counted = match != -2 and positive = match >= 0 are masks to index with. "
        "F.binary_cross_entropy_with_logits(..., reduction='sum') on the first, F.smooth_l1_loss(..., reduction='sum') "
        "on the second, both divided by counted.sum(), but at least by 1.",
    ),
    drive=drive_rpn_loss,
)
def rpn_loss(rng):
    """The two losses of the proposal network."""
    one = f32([0.5, 0.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])
    yield case(
        "the worked example", f32(np.log(3), -np.log(3), 5), one, np.array([0, -1, -2]), np.zeros((3, 4), np.float32)
    )
    yield case("background only", f32(-2, 1.5), np.ones((2, 4), np.float32), np.array([-1, -1]),
               np.zeros((2, 4), np.float32))  # fmt: skip
    yield case("everything ignored", f32(-2, 1.5), np.ones((2, 4), np.float32), np.array([-2, -2]),
               np.zeros((2, 4), np.float32))  # fmt: skip
    yield case("a single anchor counts", f32(-2, 1.5), one[:2], np.array([-2, 0]), np.zeros((2, 4), np.float32))
    yield case("sure and wrong", f32(-200, 200, 90), np.zeros((3, 4), np.float32), np.array([0, -1, 1]),
               np.zeros((3, 4), np.float32))  # fmt: skip
    for name, hole in (("a random batch", 0.0), ("targets that are no numbers where there is no object", np.nan)):
        N = int(rng.integers(8, 12))
        match = rng.permutation(np.concatenate([[0, 1, 1, -1, -1, -2, -2], rng.integers(-2, 2, N - 7)]))
        targets = np.where(match[:, None] >= 0, 2 * rng.normal(size=(N, 4)), hole)
        yield case(name, (3 * rng.normal(size=N)).astype(np.float32), rng.normal(size=(N, 4)).astype(np.float32),
                   match, targets.astype(np.float32))  # fmt: skip


def _rpn(logits, offsets, match, targets, counted=None, located=None, kind="smooth", per="counted", twice=False):
    import torch
    from torch.nn import functional as F

    counted = match != -2 if counted is None else counted
    located = match >= 0 if located is None else located
    z = logits.sigmoid() if twice else logits
    first = F.binary_cross_entropy_with_logits(z[counted], (match >= 0).to(z.dtype)[counted], reduction="sum")
    d = (offsets - torch.nan_to_num(targets))[located]
    second = {"smooth": torch.where(d.abs() < 1, d**2 / 2, d.abs() - 0.5), "square": d**2, "absolute": d.abs()}[kind]
    C, P = counted.sum().clamp(min=1), located.sum().clamp(min=1)
    if per == "sum":
        return first + second.sum()
    return first / C + second.sum() / {"counted": C, "positive": P, "coordinates": 4 * C}[per]


@rpn_loss.mistake("Ignored anchors (-2) are counted as background. They must not count at all.")
def ignored_counted(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, counted=match == match)


@rpn_loss.mistake("Anchors without an object are given a place to go to. Only those with match >= 0 have a target.")
def background_located(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, located=match != -2)


@rpn_loss.mistake("The second sum is divided by the positive anchors. Both are divided by all that count, so that one "
                  "positive anchor does not weigh as much as fifty.")  # fmt: skip
def divided_by_positives(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, per="positive")


@rpn_loss.mistake("This is the mean over the four offsets as well. The formula has their sum.")
def mean_of_four(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, per="coordinates")


@rpn_loss.mistake("Nothing is divided by the number of anchors that count.")
def no_mean(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, per="sum")


@rpn_loss.mistake("The square has no end: it is |d| - ½ from 1 on, so that one bad box does not rule the gradient.")
def square(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, kind="square")


@rpn_loss.mistake("This is |d| everywhere. Near 0 it is d²/2, so that the gradient fades as the box gets right.")
def absolute(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, kind="absolute")


def _by_multiplication(logits, offsets, match, targets, least=1):
    import torch
    from torch.nn import functional as F

    counted, positive = (match != -2).to(logits.dtype), (match >= 0).to(logits.dtype)
    first = F.binary_cross_entropy_with_logits(logits, positive, weight=counted, reduction="sum")
    d = (offsets - targets).abs()
    second = torch.where(d < 1, d**2 / 2, d - 0.5).sum(dim=1) * positive
    return (first + second.sum()) / counted.sum().clamp(min=least)


@rpn_loss.mistake("Anchors without an object are multiplied by 0, but their targets may be NaN, and 0 · NaN is NaN. "
                  "Index: offsets[match >= 0].")  # fmt: skip
def zero_times_nan(reference, logits, offsets, match, targets):
    return _by_multiplication(logits, offsets, match, targets)


@rpn_loss.mistake("Anchors without an object are multiplied by 0, but their targets may be NaN, and 0 · NaN is NaN: "
                  "index. And if no anchor counts, divide by 1, not by 0.")  # fmt: skip
def zero_times_nan_and_nothing_counts(reference, logits, offsets, match, targets):
    return _by_multiplication(logits, offsets, match, targets, least=0)


@rpn_loss.mistake("If no anchor counts, this is 0 / 0, which is NaN. Divide by at least 1: clamp(min=1).")
def nothing_counts(reference, logits, offsets, match, targets):
    counted = match != -2
    return reference(logits, offsets, match, targets) * (counted.sum().clamp(min=1) / counted.sum())


@rpn_loss.mistake("The sigmoid is taken twice: binary_cross_entropy_with_logits takes the logits as they are.")
def sigmoid_twice(reference, logits, offsets, match, targets):
    return _rpn(logits, offsets, match, targets, twice=True)


# ---- 10.7 ----


def _suppress(boxes, scores, classes, threshold=0.5, dead_count=False, at_threshold=False, any_class=False,
              ties_stay=False, lowest_first=False):  # fmt: skip
    import torch

    table, s = iou_table(boxes.numpy(), boxes.numpy()), scores.numpy()
    order = np.argsort(s if lowest_first else -s, kind="stable")
    kept, gone = [], set()
    for n, i in enumerate(order):
        rivals = order[:n] if dead_count else kept
        for j in rivals:
            over = table[i, j] >= threshold if at_threshold else table[i, j] > threshold
            if over and (any_class or classes[i] == classes[j]) and not (ties_stay and s[i] == s[j]):
                gone.add(i)
        if i not in gone:
            kept.append(int(i))
    return torch.tensor(kept, dtype=torch.int64)


@exercise(
    reference="course_lib.mask_rcnn:nms",
    points=3,
    hints=(
        "Take the box with the highest score. Which others does it make superfluous? Which is the next that you take?",
        "order = scores.argsort(descending=True, stable=True). Walk along it and keep a box unless its IoU with a box "
        "that was *kept* before, of the same class, is above the threshold. Return the kept indices as a tensor.",
    ),
    drive=on_tensors,
)
def nms(rng):
    """Of boxes that say the same, keep the best."""
    yield case("the worked example", f32([0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]), f32(0.6, 0.9, 0.7),
               np.array([0, 0, 0]))  # fmt: skip
    yield case("no box", np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    yield case("two classes in one place", f32([0, 0, 8, 8], [0, 0, 8, 8]), f32(0.8, 0.9), np.array([0, 1]))
    yield case("the same box twice, the same score", f32([0, 0, 8, 8], [20, 0, 30, 9], [0, 0, 8, 8]),
               f32(0.5, 0.9, 0.5), np.array([2, 2, 2]))  # fmt: skip
    yield case("a chain: the middle one is dropped, the last one stays", f32([0, 0, 10, 10], [3, 0, 13, 10],
               [6, 0, 16, 10]), f32(0.9, 0.8, 0.7), np.array([0, 0, 0]))  # fmt: skip
    yield case("exactly the threshold", f32([0, 0, 2, 1], [0, 0, 1, 1]), f32(0.9, 0.8), np.array([0, 0]))
    boxes = some_boxes(rng, 6)
    many = np.concatenate([boxes, moved(rng, boxes, 0.2), moved(rng, boxes, 0.2)])
    scores = rng.permutation(np.linspace(0.1, 0.95, len(many))).astype(np.float32)
    classes = rng.integers(0, 2, len(many))
    yield case("many boxes", many, scores, classes)
    yield case("a low threshold", many, scores, classes, 0.15)


@nms.mistake("A box of another class is dropped. A star in front of a disc is no second disc: compare in a class only.")
def across_classes(reference, *args):
    return _suppress(*args, any_class=True)


@nms.mistake("A box that was dropped itself drops others. Only boxes that are kept do.")
def dropped_ones_drop(reference, *args):
    return _suppress(*args, dead_count=True)


@nms.mistake("Of two equal boxes with the same score both stay. One must go: the later.")
def ties_stay(reference, *args):
    return _suppress(*args, ties_stay=True)


@nms.mistake("A box with an IoU of exactly the threshold is dropped. It stays: > threshold is too much.")
def at_the_threshold(reference, *args):
    return _suppress(*args, at_threshold=True)


@nms.mistake("It begins with the lowest score. The best box is the one to keep.")
def lowest_first(reference, *args):
    return _suppress(*args, lowest_first=True)


@nms.mistake("The right boxes, in the order of their places. They are wanted the highest score first.")
def in_order_of_places(reference, *args):
    return reference(*args).sort().values


@nms.mistake("Nothing is dropped: this is the order of the scores.")
def nothing_dropped(reference, boxes, scores, classes, threshold=0.5):
    return scores.argsort(descending=True, stable=True)


# ---- 10.8 ----


@exercise(
    reference="course_lib.mask_rcnn:roi_pool",
    points=2,
    hints=(
        "In which cell does a box begin that starts at pixel 13, with 8 pixels a cell? Is that its real edge?",
        "(boxes / stride).round().int().tolist() gives whole cells; keep x1 <= W - 1 and x2 >= x1 + 1; "
        "F.adaptive_max_pool2d(features[:, y1:y2, x1:x2], size) does the parts. One box after the other is fine.",
    ),
    drive=on_tensors,
)
def roi_pool(rng):
    """The maximum in each part of a box, rounded to whole cells."""
    ramp = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    yield case("the worked example", ramp, f32([7, 0, 33, 17]), 8, 2)
    yield case("a box smaller than a cell", ramp, f32([17, 9, 19, 11]), 8, 2)
    yield case("at the border", ramp, f32([46, 30, 48, 32], [0, 25, 48, 32]), 8, 2)
    features = rng.normal(size=(3, 6, 9)).astype(np.float32)
    boxes = some_boxes(rng, 4, size=40.0, least=9.0)
    yield case("random features", features, boxes, 8, 3)
    yield case("another stride", features, boxes * 0.4, 4, 2)
    yield case("no box", features, np.zeros((0, 4), np.float32), 8, 2)


def _pool(features, boxes, stride, size, edge=np.rint, reduce="max", last=0):
    import torch

    C, H, W = features.shape
    found = torch.zeros(len(boxes), C, size, size)
    for n, (x1, y1, x2, y2) in enumerate(edge(boxes.numpy() / stride).astype(int)):
        x1, y1 = min(x1, W - 1), min(y1, H - 1)
        part = features[:, y1 : max(y2 + last, y1 + 1), x1 : max(x2 + last, x1 + 1)]
        h, w = part.shape[1:]
        for i in range(size):
            for j in range(size):
                piece = part[:, i * h // size : -(-(i + 1) * h // size), j * w // size : -(-(j + 1) * w // size)]
                found[n, :, i, j] = piece.amax(dim=(1, 2)) if reduce == "max" else piece.mean(dim=(1, 2))
    return found


@roi_pool.mistake("The edges are rounded down. Each goes to the nearest edge of a cell.")
def rounded_down(reference, *args):
    return _pool(*args, edge=np.floor)


@roi_pool.mistake("This is the mean of each part. RoIPool takes the maximum.")
def mean_of_parts(reference, *args):
    return _pool(*args, reduce="mean")


@roi_pool.mistake("One row and one column too many: x2 is where the box ends, features[:, y1:y2, x1:x2].")
def one_too_many(reference, *args):
    return _pool(*args, last=1)


@roi_pool.mistake("x and y are exchanged: a box is (x1, y1, x2, y2), a feature map is [channel, y, x].")
def x_and_y_exchanged(reference, features, boxes, stride, size):
    return reference(features, boxes[:, [1, 0, 3, 2]], stride, size)


@roi_pool.mistake("The parts are right, and each lies on its side: rows first.")
def parts_on_their_side(reference, *args):
    return reference(*args).transpose(2, 3)


# ---- 10.9 ----


what_rounding_costs = Written("what_rounding_costs", points=3)


def _align(features, boxes, stride, size, samples=2, shift=0.0, half=0.5, padding="border", mode="bilinear",
           corners=False, reduce="mean"):  # fmt: skip
    import torch
    from torch.nn import functional as F

    (C, H, W), N, K = features.shape, len(boxes), size * samples
    if N == 0:
        return torch.zeros(0, C, size, size)
    steps = (torch.arange(K) + half) / K
    x1, y1, x2, y2 = (boxes.T + shift)[..., None]
    x, y = 2 * (x1 + steps * (x2 - x1)) / (W * stride) - 1, 2 * (y1 + steps * (y2 - y1)) / (H * stride) - 1
    grid = torch.stack([x[:, None].expand(N, K, K), y[:, :, None].expand(N, K, K)], dim=3)
    found = F.grid_sample(features.expand(N, C, H, W), grid, mode=mode, padding_mode=padding, align_corners=corners)
    parts = found.reshape(N, C, size, samples, size, samples)
    return parts.amax(dim=(3, 5)) if reduce == "max" else parts.mean(dim=(3, 5))


@exercise(
    reference="course_lib.mask_rcnn:roi_align",
    points=4,
    hints=(
        "A box from pixel 8 to pixel 24 is cut in two parts with two samples each. At which four pixels are "
        "the samples? "
        "At which places between the cells is that, if cell j has its centre at (j + ½) S?",
        "x = x1 + (k + ½) / K · (x2 - x1), (N, K), the same for y. F.grid_sample(features[None], grid, "
        "padding_mode='border', align_corners=False) counts from -1 at the left edge of the map to 1 at its "
        "right edge: "
        "2 x / (W S) - 1. The grid is (1, N·K, K, 2), x first; F.avg_pool2d(…, samples) takes the means.",
    ),
    drive=on_tensors,
)
def roi_align(rng):
    """The mean of bilinear samples in each part of a box, without rounding."""
    ramp = np.tile((np.arange(6, dtype=np.float32) + 0.5) * 8, (1, 4, 1))  # the value of a cell is the x of its centre
    yield case("the worked example: a ramp", ramp, f32([8, 8, 24, 24]), 8, 2, 2)
    yield case("a ramp, and a box between the cells", ramp, f32([13, 6, 29, 26]), 8, 2, 1)
    features = rng.normal(size=(1, 5, 5)).astype(np.float32)
    yield case("one part, one sample", features, f32([9, 3, 22, 30]), 8, 1, 1)
    yield case("up to the border", features, f32([0, 0, 40, 40], [30, 34, 40, 40]), 8, 3, 2)
    features = rng.normal(size=(3, 5, 8)).astype(np.float32)
    boxes = some_boxes(rng, 3, size=40.0)
    yield case("three channels, a map that is not square", features, boxes, 8, 3, 2)
    yield case("another stride, three samples", features, boxes * 2, 16, 2, 3)
    yield case("two samples, if nothing is said", features, boxes, 8, 2)
    yield case("no box", features, np.zeros((0, 4), np.float32), 8, 2, 2)


@roi_align.mistake("The samples lie half a cell too far to the right and below. Cell j has its centre at (j + ½) S, so "
                   "pixel x is at cell x / S - ½.")  # fmt: skip
def half_a_cell_off(reference, features, boxes, stride, size, samples=2):
    return _align(features, boxes, stride, size, samples, shift=stride / 2)


@roi_align.mistake(
    "align_corners=True puts -1 and 1 on the centres of the outermost cells. They are the edges of the map."
)
def corners_aligned(reference, *args):
    return _align(*args, corners=True)


@roi_align.mistake("The boxes are rounded to whole cells first, as RoIPool does.")
def rounded(reference, features, boxes, stride, size, samples=2):
    return _align(features, (boxes / stride).round() * stride, stride, size, samples)


@roi_align.mistake("The samples begin on the box's edge. The box is cut in K strips and a sample is in the middle of "
                   "each: (k + ½) / K.")  # fmt: skip
def from_the_edge(reference, *args):
    return _align(*args, half=0.0)


@roi_align.mistake("The nearest cell is taken. Mix the four around the sample: bilinear.")
def nearest(reference, *args):
    return _align(*args, mode="nearest")


@roi_align.mistake("The largest sample of each part is taken. Their mean is asked for.")
def largest_sample(reference, *args):
    return _align(*args, reduce="max")


@roi_align.mistake(
    "Beyond the outermost centres the map is taken for 0, and parts at the border are too small. It goes "
    "on with its outermost values: padding_mode='border'."
)
def zeros_outside(reference, *args):
    return _align(*args, padding="zeros")


@roi_align.mistake("x and y are exchanged. grid_sample wants x first; a map is [channel, y, x].")
def xy_exchanged(reference, features, boxes, stride, size, samples=2):
    return reference(features, boxes, stride, size, samples).transpose(2, 3)


# ---- 10.10 ----


def _paste(masks, boxes, height, width, half=0.5, corners=False, padding="zeros", mode="bilinear"):
    import torch
    from torch.nn import functional as F

    shape = (len(masks), height, width)
    if len(masks) == 0:
        return torch.zeros(shape)
    x1, y1, x2, y2 = boxes.T[..., None]
    u, v = (torch.arange(width) + half - x1) / (x2 - x1), (torch.arange(height) + half - y1) / (y2 - y1)
    grid = 2 * torch.stack([u[:, None].expand(shape), v[:, :, None].expand(shape)], dim=3) - 1
    return F.grid_sample(masks[:, None], grid, mode=mode, padding_mode=padding, align_corners=corners)[:, 0]


@exercise(
    reference="course_lib.mask_rcnn:paste_masks",
    points=2,
    hints=(
        "Go backwards, as chapter 06 does: for the pixel in column j, which place of the box is its centre? And which "
        "place of the mask?",
        "u = (torch.arange(width) + 0.5 - x1) / (x2 - x1), (N, width), and v for the rows; the grid for "
        "F.grid_sample is "
        "2 u - 1 and 2 v - 1, (N, height, width, 2), with masks[:, None], padding_mode='zeros', align_corners=False.",
    ),
    drive=on_tensors,
)
def paste_masks(rng):
    """Small masks stretched over their boxes in an image."""
    yield case("the worked example", f32([[0, 1], [0, 1]]), f32([2, 1, 6, 5]), 6, 8)
    yield case("a full mask", np.ones((1, 3, 3), np.float32), f32([1, 1, 4, 6]), 7, 6)
    yield case("partly outside the image", rng.random((1, 3, 3)).astype(np.float32), f32([-3, 2, 5, 9]), 6, 7)
    boxes = some_boxes(rng, 3, size=12.0, least=3.0)
    yield case("three masks", rng.random((3, 4, 4)).astype(np.float32), boxes, 11, 13)
    yield case("a box narrower than a pixel", rng.random((1, 2, 2)).astype(np.float32), f32([2.2, 1.3, 2.9, 1.9]), 4, 5)
    yield case("no mask", np.zeros((0, 4, 4), np.float32), np.zeros((0, 4), np.float32), 5, 6)


@paste_masks.mistake("The upper left corner of each pixel is asked for. Its centre is at j + ½.")
def corner_of_the_pixel(reference, *args):
    return _paste(*args, half=0.0)


@paste_masks.mistake(
    "align_corners=True puts the centres of the outermost cells on the box's edges: the mask is too wide."
)
def mask_corners_aligned(reference, *args):
    return _paste(*args, corners=True)


@paste_masks.mistake("The mask goes on outside its box. There is nothing there: padding_mode='zeros'.")
def outside_too(reference, *args):
    return _paste(*args, padding="border")


@paste_masks.mistake("The nearest cell is taken: the mask has steps. Mix the four around the place: bilinear.")
def nearest_cell(reference, *args):
    return _paste(*args, mode="nearest")


@paste_masks.mistake("The mask is turned on its side: x and y are exchanged.")
def mask_on_its_side(reference, masks, boxes, height, width):
    return reference(masks.transpose(1, 2), boxes, height, width)


@paste_masks.mistake("The values are cut at a half. They are wanted as they are, between 0 and 1.")
def cut_at_a_half(reference, *args):
    return (reference(*args) >= 0.5).float()


# ---- 10.11 ----


def _hits(scores, iou, threshold, duplicates=False, first=False, above=False, by_score=True):
    scores, iou = np.asarray(scores, float), np.asarray(iou, float)
    hit, free = np.zeros(len(scores), bool), np.ones(iou.shape[1], bool)
    for d in np.argsort(-scores, kind="stable") if by_score else range(len(scores)):
        able = (iou[d] > threshold if above else iou[d] >= threshold) & (True if duplicates else free)
        if able.any():
            chosen = int(able.argmax()) if first else int(np.where(able, iou[d], -1).argmax())
            hit[d], free[chosen] = True, False
    return hit


def _ap(images, threshold=0.5, points=101, envelope=True, ordered=True, **matching):
    hit = np.concatenate([_hits(s, i, threshold, **matching) for s, i in images])
    scores = np.concatenate([np.asarray(s, float) for s, _ in images])
    if ordered:
        hit = hit[np.argsort(-scores, kind="stable")]
    total = sum(i.shape[1] for _, i in images)
    if not len(hit):
        return 0.0
    precision, recall = hit.cumsum() / np.arange(1, len(hit) + 1), hit.cumsum() / total
    if envelope is True:
        return float(np.mean([max(precision[recall >= k / (points - 1)], default=0.0) for k in range(points)]))
    if envelope == "first":
        at = [np.flatnonzero(recall >= k / (points - 1)) for k in range(points)]
        return float(np.mean([precision[a[0]] if len(a) else 0.0 for a in at]))
    if envelope == "reached":
        return float(np.mean([precision[recall >= k / 100].max() for k in range(101) if (recall >= k / 100).any()]))
    if envelope == "area":
        return float(np.trapezoid(precision, recall))
    return float(precision[hit].sum() / total)


@exercise(
    reference="course_lib.mask_rcnn:average_precision",
    points=4,
    hints=(
        "First one image: which of its detections are right, if each object can be found only once, and the most sure "
        "detection chooses first? Then all images together: what are precision and recall after the k surest?",
        "In each image, in order of the scores: among the objects still free take the one with the highest "
        "IoU; if that is "
        ">= threshold the detection is right and the object taken. Concatenate over the images, sort by score, "
        "hits = right.cumsum(0); precision = hits / (1, 2, ...), recall = hits / number of objects. For each "
        "of the 101 "
        "recalls k / 100 take the maximum of the precisions with recall >= k / 100, or 0; then the mean.",
    ),
    drive=on_tensors,
)
def average_precision(rng):
    """The mean over 101 recalls of the best precision that is reached there."""
    none = np.zeros((0, 3), np.float32)
    yield case("the worked example", [(f32(0.9, 0.8, 0.7), f32([0.9, 0, 0], [0.1, 0.2, 0], [0, 0.8, 0]))])
    yield case("nothing found", [(np.zeros(0, np.float32), none)])
    yield case("a single object", [(f32(0.9, 0.8), f32([0.2], [0.7]))])
    yield case("everything found", [(f32(0.9, 0.8, 0.4), f32([0, 0.9, 0], [0.8, 0, 0], [0, 0, 0.6]))])
    yield case("one object found twice", [(f32(0.9, 0.8, 0.7), f32([0.9, 0, 0.1], [0.8, 0.3, 0], [0, 0, 0.8]))])
    yield case("the surest comes last", [(f32(0.2, 0.9), f32([0.8, 0, 0], [0.9, 0.1, 0]))])
    yield case("the object it overlaps most", [(f32(0.9, 0.8), f32([0.6, 0.9, 0], [0, 0.8, 0]))])
    yield case("exactly the threshold", [(f32(0.9), f32([0.5, 0.25, 0]))])
    yield case("precision that rises again", [(f32(0.9, 0.8, 0.7, 0.6), f32([0, 0, 0], [0.9, 0, 0], [0, 0.9, 0],
               [0, 0, 0.9]))])  # fmt: skip
    yield case("two images, one without objects", [
        (f32(0.6, 0.9), f32([0.9, 0, 0], [0, 0.7, 0])), (f32(0.8), np.zeros((1, 0), np.float32)),
    ])  # fmt: skip

    def image(n):
        scores = rng.permutation(np.linspace(0.05, 0.95, 12))[:8] + rng.uniform(0, 0.02)
        iou = rng.uniform(0, 0.45, (8, n))
        near = rng.integers(0, n, 8)
        iou[np.arange(8), near] = rng.uniform(0.35, 0.95, 8)
        return scores.astype(np.float32), iou.astype(np.float32)

    images = [image(4), image(3), image(6)]  # 13 objects: no recall is a hundredth
    yield case("three random images", images)
    yield case("a stricter threshold", images, 0.7)


@average_precision.mistake(
    "A second detection of the same object counts as right. It is wrong: each object is found once."
)
def duplicates_right(reference, images, threshold=0.5):
    return _ap(images, threshold, duplicates=True)


@average_precision.mistake("The detections are not sorted by their scores before they are added up.")
def unsorted(reference, images, threshold=0.5):
    return _ap(images, threshold, ordered=False)


@average_precision.mistake(
    "The detections choose their objects in the order in which they stand, not the surest first."
)
def chosen_in_order(reference, images, threshold=0.5):
    return _ap(images, threshold, by_score=False)


@average_precision.mistake(
    "The precision at the detection that reaches the recall is taken. Take the best precision from there "
    "on: the curve must not rise to the right."
)
def no_envelope(reference, images, threshold=0.5):
    return _ap(images, threshold, envelope="first")


@average_precision.mistake(
    "This is the mean of the precisions at the hits, without interpolation. COCO asks at 101 recalls."
)
def at_the_hits(reference, images, threshold=0.5):
    return _ap(images, threshold, envelope=False)


@average_precision.mistake(
    "This is the area under the measured curve. COCO takes the best precision from there on at 101 recalls: their mean."
)
def area_under_the_curve(reference, images, threshold=0.5):
    return _ap(images, threshold, envelope="area")


@average_precision.mistake("Eleven recalls: that is the older rule of Pascal VOC. COCO has 101.")
def eleven_points(reference, images, threshold=0.5):
    return _ap(images, threshold, points=11)


@average_precision.mistake("Recalls that are never reached are left out of the mean. They count as 0.")
def only_reached(reference, images, threshold=0.5):
    return _ap(images, threshold, envelope="reached")


@average_precision.mistake("An IoU of exactly the threshold is enough: >=, not >.")
def above_threshold(reference, images, threshold=0.5):
    return _ap(images, threshold, above=True)


@average_precision.mistake("The first object with enough overlap is taken. It must be the one with the most.")
def first_object(reference, images, threshold=0.5):
    return _ap(images, threshold, first=True)


@average_precision.mistake(
    "The mean over the images of each one's AP. The detections of all images are put together first."
)
def image_by_image(reference, images, threshold=0.5):
    return float(np.mean([_ap([image], threshold) for image in images if image[1].shape[1]]))


# ---- 10.12 ----


def _track(frames, threshold=0.3, patience=2, greedy=True, against="last", late=0, reuse=False):
    import torch

    tracks, begun, result = [], 0, []  # of each track: number, box, missed
    for boxes in frames:
        boxes = boxes.numpy()
        mine = np.full(len(boxes), -1)
        for track in tracks:
            track[2] += 1
        table = (
            iou_table([t[1] for t in tracks], boxes) if tracks and len(boxes) else np.zeros((len(tracks), len(boxes)))
        )
        free_t, free_b = set(range(len(tracks))), set(range(len(boxes)))
        pairs = [(table[t, b], t, b) for t in free_t for b in free_b]
        pairs.sort(key=(lambda p: (-p[0], p[1], p[2])) if greedy else (lambda p: (p[1], p[2])))
        for iou, t, b in pairs:
            if iou >= threshold and t in free_t and b in free_b:
                free_t.discard(t)
                free_b.discard(b)
                mine[b], tracks[t][2] = tracks[t][0], 0
                if against == "last":
                    tracks[t][1] = boxes[b]
        for b in sorted(free_b):
            used = {t[0] for t in tracks}
            number = min(set(range(len(used) + 1)) - used) if reuse else begun
            mine[b], begun = number, begun + 1
            tracks.append([number, boxes[b], 0])
        tracks = [t for t in tracks if t[2] <= patience + late]
        result.append(torch.from_numpy(mine))
    return result


@exercise(
    reference="course_lib.mask_rcnn:track_by_iou",
    points=3,
    hints=(
        "What must you remember of an object from frame to frame? What of one that is not found in this frame?",
        "Keep a list of tracks: number, last box, frames missed. In each frame add 1 to all `missed`; "
        "compute the IoU of "
        "last boxes with new ones; as long as the largest is >= threshold, pair the two, set missed to 0 and "
        "strike out "
        "row and column; new tracks for the rest; drop tracks with missed > patience.",
    ),
    drive=on_tensors,
)
def track_by_iou(rng):
    """Give each object of a video a number that it keeps."""
    a, b, nothing = f32([0, 0, 10, 10]), f32([30, 0, 40, 10]), np.zeros((0, 4), np.float32)
    both = np.concatenate
    yield case("the worked example", [both([a, b]), both([b + 1, a + 2]), both([a + 3, b + 2])])
    yield case("a new object", [a, both([a + 1, b]), both([b, a + 2])])
    yield case("missed for two frames", [both([a, b]), b, b, both([b, a])])
    yield case("missed for three frames", [both([a, b]), b, b, b, both([b, a])])
    yield case("nothing at all for a while", [a, nothing, a + 2, nothing, nothing, nothing, a])
    yield case("one goes, another comes", [a, nothing, nothing, nothing, b])
    yield case(
        "two want the same box", [both([a, a + f32(4, 0, 4, 0)]), both([a + f32(3, 0, 3, 0), a - f32(3, 0, 3, 0)])]
    )
    yield case("it drifts away from where it began", [a + 3 * k for k in range(6)])
    start, step = some_boxes(rng, 4, least=10.0), rng.uniform(-2, 2, (4, 1, 2)).repeat(2, axis=1).reshape(4, 4)
    frames = []
    for k in range(7):
        seen = rng.permutation(4)[: 4 - (k in (2, 4))]
        frames.append((start + k * step)[seen].astype(np.float32))
    yield case("four objects that drift", frames, 0.4, 1)


@track_by_iou.mistake(
    "Tracks choose one after the other. The best pair of all must be taken first, or a track takes the "
    "box that fits another better."
)
def one_after_the_other(reference, *args):
    return _track(*args, greedy=False)


@track_by_iou.mistake("The boxes are compared with the first box of each track. Objects move: remember the last one.")
def first_box(reference, *args):
    return _track(*args, against="first")


@track_by_iou.mistake("A track that is missed once is dead. It may be missed in `patience` frames in a row.")
def no_patience(reference, frames, threshold=0.3, patience=2):
    return _track(frames, threshold, 0)


@track_by_iou.mistake(
    "A track lives one frame too short: it is dead when it was missed in *more* than `patience` frames."
)
def dead_too_early(reference, frames, threshold=0.3, patience=2):
    return _track(frames, threshold, patience, late=-1)


@track_by_iou.mistake("Tracks never die. Whatever appears there later gets an old number.")
def immortal(reference, *args):
    return _track(*args, late=10**6)


@track_by_iou.mistake("The number of a dead track is given again. Every new track gets a number that was never used.")
def numbers_used_again(reference, *args):
    return _track(*args, reuse=True)


@track_by_iou.mistake("These are the places in the frame's list, not the objects: the order of the boxes may change.")
def places(reference, frames, *args):
    import torch

    return [torch.arange(len(boxes)) for boxes in frames]


__dir__ = only_exercises(globals())
