"""Mask R-CNN: a backbone with a feature pyramid, the proposal network, and three heads on aligned regions."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from course_lib.mask_rcnn.anchors import make_anchors, match_anchors, rpn_loss, sample_anchors
from course_lib.mask_rcnn.boxes import box_iou, clip_boxes, decode_boxes, encode_boxes, nms
from course_lib.mask_rcnn.proposals import propose, sample_rois
from course_lib.mask_rcnn.roi import bilinear_weights, paste_masks, roi_align

STRIDES = (4, 8, 16)
SIZES = (16.0, 28.0, 44.0)  # of the anchors of each level, in pixels
RATIOS = (0.5, 1.0, 2.0)


class Detections(NamedTuple):
    """What is found in one image, the highest score first.

    ``boxes`` (K, 4), ``classes`` (K,) int64 from 0, ``scores`` (K,), ``masks`` (K, H, W) bool.
    """

    boxes: torch.Tensor
    classes: torch.Tensor
    scores: torch.Tensor
    masks: torch.Tensor


def conv(inputs, outputs, stride=1):
    """A 3×3 convolution, batch normalisation, ReLU: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Pyramid(nn.Module):
    """The backbone and its feature pyramid: (B, 3, H, W) -> three maps of C channels with strides 4, 8 and 16.

    Each level adds what the coarser one knows, enlarged, to what the finer one sees.
    """

    def __init__(self, widths=(24, 48, 96, 128), channels=64):
        super().__init__()
        stem, *widths = widths
        self.stem = conv(3, stem, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(conv(a, b, stride=2), conv(b, b)) for a, b in zip([stem, *widths], widths, strict=False)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(conv(channels, channels) for _ in widths)

    def forward(self, x):
        x, levels = self.stem(x), []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            levels.append(lateral(x))
        for k in (1, 0):
            levels[k] = levels[k] + F.interpolate(levels[k + 1], size=levels[k].shape[2:], mode="nearest")
        return [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]


class ProposalHead(nn.Module):
    """For each anchor: is there an object, and how must the anchor change. The same weights on all levels."""

    def __init__(self, channels, n_anchors):
        super().__init__()
        self.shared = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.logits, self.offsets = nn.Conv2d(channels, n_anchors, 1), nn.Conv2d(channels, 4 * n_anchors, 1)

    def forward(self, levels):
        """Returns logits (B, N) and offsets (B, N, 4), in the order of the anchors."""
        logits, offsets = [], []
        for level in map(self.shared, levels):
            B = len(level)
            logits.append(self.logits(level).permute(0, 2, 3, 1).reshape(B, -1))  # (B, H * W * A)
            offsets.append(self.offsets(level).permute(0, 2, 3, 1).reshape(B, -1, 4))
        return torch.cat(logits, dim=1), torch.cat(offsets, dim=1)


class BoxHead(nn.Module):
    """For each region (R, C, 7, 7): scores of background and K classes (R, K + 1), and a change of the box (R, 4)."""

    def __init__(self, channels, n_classes, hidden=256):
        super().__init__()
        self.shared = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * 49, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.scores, self.offsets = nn.Linear(hidden, n_classes + 1), nn.Linear(hidden, 4)

    def forward(self, regions):
        h = self.shared(regions)
        return self.scores(h), self.offsets(h)


class MaskHead(nn.Module):
    """For each region (R, C, 14, 14): one mask of logits for each class, (R, K, 28, 28)."""

    def __init__(self, channels, n_classes):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(), nn.ConvTranspose2d(channels, channels, 2, stride=2), nn.ReLU(),
            nn.Conv2d(channels, n_classes, 1),
        )  # fmt: skip

    def forward(self, regions):
        return self.layers(regions)


class MaskRCNN(nn.Module):
    """The whole network.

    Parameters
    ----------
    n_classes : int
        Without the background.
    channels : int
        Of the feature pyramid.
    """

    def __init__(self, n_classes, channels=64):
        super().__init__()
        self.n_classes = n_classes
        self.pyramid = Pyramid(channels=channels)
        self.rpn = ProposalHead(channels, len(RATIOS))
        self.box_head, self.mask_head = BoxHead(channels, n_classes), MaskHead(channels, n_classes)
        self.to(memory_format=torch.channels_last)  # a pixel's channels lie together: a tenth faster on a CPU

    def features(self, images):
        """Images (B, 3, H, W) uint8 -> levels, anchors (N, 4), logits (B, N), offsets (B, N, 4)."""
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] % 16 or images.shape[3] % 16:
            raise ValueError(f"images have shape {tuple(images.shape)}; (B, 3, H, W) with H and W multiples of 16 is "
                             "needed: pad them with zeros")  # fmt: skip
        levels = self.pyramid(images.float() / 255 - 0.5)
        anchors = torch.cat([
            make_anchors(*level.shape[2:], stride, (size,), RATIOS)
            for level, stride, size in zip(levels, STRIDES, SIZES, strict=True)
        ])  # fmt: skip
        return levels, anchors, *self.rpn(levels)

    def regions(self, levels, rois, size):
        """Aligned features of regions, each from the level that suits its size.

        Parameters
        ----------
        levels : sequence of Tensor, shape (B, C, H, W)
        rois : sequence of B tensors, shape (R, 4) with an R of its own
        size : int

        Returns
        -------
        Tensor, shape (sum of all R, C, size, size)
        """
        counts, rois = torch.tensor([len(r) for r in rois]), pad_sequence(rois, batch_first=True)  # (B, R, 4)
        side = (rois[..., 2:] - rois[..., :2]).clamp(min=1).prod(dim=-1).sqrt()
        which = (side / 16).log2().floor().clamp(0, len(levels) - 1)  # below 32 pixels level 0, below 64 level 1
        found = roi_align(levels[0], rois, STRIDES[0], size)
        for k in range(1, len(levels)):  # all regions on all levels: few large products are faster than many small
            found = torch.where(
                (which == k)[..., None, None, None], roi_align(levels[k], rois, STRIDES[k], size), found
            )
        return found[torch.arange(rois.shape[1]) < counts[:, None]]

    def losses(self, images, targets, generator):
        """What is wrong with a batch, in four numbers.

        Parameters
        ----------
        images : Tensor of uint8, shape (B, 3, H, W)
        targets : sequence of (boxes (M, 4), classes (M,), masks (M, H, W)), one for each image; M may be 0
        generator : torch.Generator
            Draws which anchors and regions count.

        Returns
        -------
        dict of str to Tensor
            ``"proposals"``, ``"classes"``, ``"boxes"``, ``"masks"``; their sum is minimised.
        """
        H, W = images.shape[2:]
        levels, anchors, logits, offsets = self.features(images)
        match, wanted, rois, owners, labels, for_heads, masks = [], [], [], [], [], [], []
        for b, (true_boxes, true_classes, true_masks) in enumerate(targets):
            found = match_anchors(box_iou(anchors, true_boxes))
            match.append(sample_anchors(found, 64, generator))
            positive, t = match[-1] >= 0, torch.zeros_like(anchors)
            t[positive] = encode_boxes(true_boxes[match[-1][positive]], anchors[positive])
            wanted.append(t)
            with torch.no_grad():
                proposed, _ = propose(logits[b], offsets[b], anchors, H, W)
            roi, owner, label = sample_rois(proposed, true_boxes, true_classes, generator)
            P = int((owner >= 0).sum())
            rois.append(roi)
            labels.append(label)
            owners.append(true_boxes[owner[:P]])
            for_heads.append(P)
            masks.append(mask_targets(true_masks[owner[:P]], roi[:P]))
        scores, changes = self.box_head(self.regions(levels, rois, 7))
        labels, positives = torch.cat(labels), [roi[:P] for roi, P in zip(rois, for_heads, strict=True)]
        mask_logits = self.mask_head(self.regions(levels, positives, 14))
        of_object, P = labels > 0, sum(for_heads)
        change = encode_boxes(torch.cat(owners), torch.cat(positives))
        own_class = mask_logits[torch.arange(P), labels[of_object] - 1]  # (P, 28, 28): the others are not asked
        return {
            "proposals": rpn_loss(logits.flatten(), offsets.flatten(0, 1), torch.cat(match), torch.cat(wanted)),
            "classes": F.cross_entropy(scores, labels),
            "boxes": F.smooth_l1_loss(changes[of_object], change, reduction="sum") / len(labels),
            "masks": F.binary_cross_entropy_with_logits(own_class, torch.cat(masks), reduction="sum")
            / max(1, own_class.numel()),
        }

    @torch.no_grad()
    def detect(self, images, score=0.05, most=100, threshold=0.5):
        """Find the objects of a batch.

        Parameters
        ----------
        images : Tensor of uint8, shape (B, 3, H, W)
        score : float
            What scores less is left out.
        most : int
            How many are kept in an image.
        threshold : float
            Of the last suppression, in each class by itself.

        Returns
        -------
        list of Detections
        """
        training = self.training
        self.eval()
        H, W = images.shape[2:]
        levels, anchors, logits, offsets = self.features(images)
        results = []
        for b in range(len(images)):
            pyramid = [level[b : b + 1] for level in levels]
            rois, _ = propose(logits[b], offsets[b], anchors, H, W, before=300, after=100)
            scores, changes = self.box_head(self.regions(pyramid, [rois], 7))
            found = clip_boxes(decode_boxes(changes, rois), H, W)
            p = scores.softmax(dim=1)[:, 1:]  # (R, K)
            region, kind = torch.nonzero(p > score, as_tuple=True)
            kept = nms(found[region], p[region, kind], kind, threshold)[:most]
            region, kind = region[kept], kind[kept]
            logits_of_masks = self.mask_head(self.regions(pyramid, [found[region]], 14))
            small = logits_of_masks[torch.arange(len(kept)), kind].sigmoid()  # (K, 28, 28)
            masks = paste_masks(small, found[region], H, W) >= 0.5
            results.append(Detections(found[region], kind, p[region, kind], masks))
        self.train(training)
        return results


def mask_targets(masks, rois, size=28):
    """Masks (P, H, W) as seen through their regions (P, 4): shape (P, size, size), 0 or 1."""
    (_, H, W), (x1, y1, x2, y2) = masks.shape, rois.T
    A_y, A_x = bilinear_weights(y1, y2, H, 1, size, samples=1), bilinear_weights(x1, x2, W, 1, size, samples=1)
    return (A_y @ masks.float() @ A_x.mT >= 0.5).float()
