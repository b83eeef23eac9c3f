"""Average precision as COCO defines it."""

import torch

from course_lib.mask_rcnn.boxes import box_iou

THRESHOLDS = tuple(0.5 + 0.05 * k for k in range(10))


def mask_iou(a, b):
    """Intersection over union of masks (N, H, W) and (M, H, W), bool -> (N, M)."""
    a, b = a.flatten(1).float(), b.flatten(1).float()
    intersection = a @ b.T
    union = a.sum(dim=1)[:, None] + b.sum(dim=1)[None] - intersection
    return torch.where(union > 0, intersection / union, 0)


def match_detections(scores, iou, threshold):
    """Which detections of one image are right.

    In the order of their scores, each takes the object that it overlaps most among those not yet taken, if their IoU
    reaches the threshold. A second detection of the same object is wrong.

    Parameters
    ----------
    scores : Tensor, shape (D,)
    iou : Tensor, shape (D, M)
        With the M objects.
    threshold : float

    Returns
    -------
    Tensor of bool, shape (D,)
    """
    right, free = torch.zeros(len(scores), dtype=torch.bool), torch.ones(iou.shape[1], dtype=torch.bool)
    for d in torch.sort(scores, descending=True, stable=True).indices:
        left = torch.where(free, iou[d], -1.0)
        if free.any() and left.max() >= threshold:
            free[left.argmax()] = False
            right[d] = True
    return right


def precision_recall(images, threshold=0.5):
    """Precision and recall after each detection, the highest score of all images first.

    Parameters
    ----------
    images : sequence of (scores, iou)
        For each image the scores of its detections, shape (D,), and their IoU with its objects, shape (D, M).
    threshold : float

    Returns
    -------
    precision, recall : Tensor, shape (sum of D,)
    """
    scores = torch.cat([scores for scores, _ in images])
    right = torch.cat([match_detections(scores, iou, threshold) for scores, iou in images])
    right = right[torch.sort(scores, descending=True, stable=True).indices].double()
    hits = right.cumsum(0)
    return hits / torch.arange(1, len(right) + 1), hits / sum(iou.shape[1] for _, iou in images)


def average_precision(images, threshold=0.5):
    r"""The mean over 101 recalls of the best precision with which at least that recall is reached.

    .. math:: AP = \frac{1}{101} \sum_{r \in \{0, 0.01, \dots, 1\}} \; \max_{k :\, R_k \ge r} P_k

    and a recall that is never reached counts 0. :math:`P_k` and :math:`R_k` are precision and recall of the :math:`k`
    highest scores of all images together.

    Parameters
    ----------
    images : sequence of (scores, iou)
        For each image the scores of its detections, shape (D,), and their IoU with its objects, shape (D, M).
    threshold : float
        The IoU from which a detection may be right.

    Returns
    -------
    float
        Between 0 and 1; NaN if there is no object at all.
    """
    if sum(iou.shape[1] for _, iou in images) == 0:
        return float("nan")
    precision, recall = precision_recall(images, threshold)
    if len(precision) == 0:
        return 0.0
    wanted = torch.arange(101, dtype=torch.float64) / 100
    enough = recall[None] >= wanted[:, None]  # (101, K)
    return float(torch.where(enough, precision[None], 0.0).amax(dim=1).mean())


def coco_ap(detections, scenes, n_classes, of="boxes"):
    """AP, AP50 and AP75: means over the classes, AP also over the thresholds .50, .55 ... .95.

    Parameters
    ----------
    detections : sequence of Detections
    scenes : sequence of Scene
        In the same order.
    n_classes : int
    of : str
        ``"boxes"`` or ``"masks"``.

    Returns
    -------
    dict of str to float
    """
    if of not in ("boxes", "masks"):
        raise ValueError(f'of is {of!r}; "boxes" or "masks" can be compared')
    table = []  # one line for each class that has an object
    for kind in range(n_classes):
        images = []
        for found, scene in zip(detections, scenes, strict=True):
            mine, theirs = found.classes == kind, torch.from_numpy(scene.classes == kind)
            a, b = getattr(found, of)[mine], torch.from_numpy(getattr(scene, of))[theirs]
            images.append((found.scores[mine], box_iou(a, b) if of == "boxes" else mask_iou(a, b)))
        if sum(iou.shape[1] for _, iou in images):
            table.append([average_precision(images, threshold) for threshold in THRESHOLDS])
    mean = torch.tensor(table, dtype=torch.float64).mean(dim=0)
    return {"AP": float(mean.mean()), "AP50": float(mean[0]), "AP75": float(mean[5])}
