"""From anchors to proposals to the regions that the heads are trained on."""

import torch

from course_lib.mask_rcnn.boxes import box_iou, clip_boxes, decode_boxes, nms


def propose(logits, offsets, anchors, height, width, before=200, after=60, threshold=0.7):
    """The boxes of one image in which the network expects objects.

    Parameters
    ----------
    logits : Tensor, shape (N,)
    offsets, anchors : Tensor, shape (N, 4)
    height, width : int
        Of the image.
    before, after : int
        How many boxes go into the suppression, and how many are taken from it at most.
    threshold : float
        Of the suppression. It is higher than at the end: here a near-duplicate costs only time.

    Returns
    -------
    boxes : Tensor, shape (K, 4)
    scores : Tensor, shape (K,)
        The highest first.
    """
    top = torch.topk(logits, min(before, len(logits))).indices
    boxes = clip_boxes(decode_boxes(offsets[top], anchors[top]), height, width)
    scores = logits[top].sigmoid()
    large = (boxes[:, 2:] - boxes[:, :2] >= 2).all(dim=1)  # pixels
    boxes, scores = boxes[large], scores[large]
    kept = nms(boxes, scores, torch.zeros(len(boxes)), threshold)[:after]
    return boxes[kept], scores[kept]


def sample_rois(proposals, boxes, classes, generator, number=24, positives=8, threshold=0.5):
    """The regions that the heads learn from: the true boxes and proposals near them, and others as background.

    Parameters
    ----------
    proposals : Tensor, shape (K, 4)
    boxes : Tensor, shape (M, 4)
        The objects of the image.
    classes : Tensor of int64, shape (M,)
        From 0.
    generator : torch.Generator
    number, positives : int
        How many regions, and how many of them at most are of an object.
    threshold : float
        The IoU with an object from which a region belongs to it.

    Returns
    -------
    rois : Tensor, shape (R, 4)
        Those of objects first.
    owner : Tensor of int64, shape (R,)
        The index of the object, or -1.
    labels : Tensor of int64, shape (R,)
        0 for background, otherwise the class plus 1.
    """
    rois = torch.cat([boxes, proposals])
    if len(boxes):
        most, owner = box_iou(rois, boxes).max(dim=1)
    else:
        most, owner = torch.zeros(len(rois)), torch.zeros(len(rois), dtype=torch.int64)
    shuffled = torch.randperm(len(rois), generator=generator)
    positive = shuffled[most[shuffled] >= threshold][:positives]
    negative = shuffled[most[shuffled] < threshold][: number - len(positive)]
    owner = torch.cat([owner[positive], torch.full((len(negative),), -1)])
    labels = torch.zeros_like(owner)
    labels[: len(positive)] = classes[owner[: len(positive)]] + 1
    return rois[torch.cat([positive, negative])], owner, labels
