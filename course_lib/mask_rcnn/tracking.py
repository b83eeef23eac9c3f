"""Objects followed through a video."""

import torch

from course_lib.mask_rcnn.boxes import box_area, box_iou, nms


def pair_up(iou, threshold):
    """Pairs (row, column) of an IoU table, the largest first, each row and column once, down to the threshold."""
    left, pairs = iou.clone(), []
    while left.numel() and left.max() >= threshold:
        row, column = divmod(int(left.argmax()), left.shape[1])
        pairs.append((row, column))
        left[row], left[:, column] = -1.0, -1.0
    return pairs


def track_by_iou(frames, threshold=0.3, patience=2):
    """Give each object of a video a number that it keeps.

    In each frame, boxes and living tracks are paired by the IoU with the track's *last* box, the best pair first. A
    box without a partner begins a new track, numbered on from 0. A track that got no box in more than ``patience``
    frames in a row is dead.

    Parameters
    ----------
    frames : sequence of Tensor, shape (n, 4)
        The boxes of each frame; n may be 0.
    threshold : float
        The least IoU of a pair.
    patience : int

    Returns
    -------
    list of Tensor of int64, shape (n,)
        The number of each box.
    """
    numbers, last, missed, result = [], torch.zeros(0, 4), [], []  # of the living tracks
    begun = 0
    for boxes in frames:
        mine = torch.full((len(boxes),), -1)
        last, missed = last.clone(), [m + 1 for m in missed]
        for track, k in pair_up(box_iou(last, boxes), threshold):
            mine[k], last[track], missed[track] = numbers[track], boxes[k], 0
        new = torch.nonzero(mine < 0).flatten()
        mine[new] = torch.arange(begun, begun + len(new))
        begun += len(new)
        numbers, missed = numbers + mine[new].tolist(), missed + [0] * len(new)
        last = torch.cat([last, boxes[new]])
        alive = [k for k, m in enumerate(missed) if m <= patience]
        numbers, missed, last = [numbers[k] for k in alive], [missed[k] for k in alive], last[alive]
        result.append(mine)
    return result


class Track:
    """An object that is expected to move on as it did, and to keep its size while something hides a part of it.

    Attributes
    ----------
    box : Tensor, shape (4,)
        Where the whole object is believed to be.
    velocity : Tensor, shape (2,)
        Pixels a frame along x and y.
    area : Tensor, a single number
        Of the whole object's box.
    """

    def __init__(self, number, box):
        self.number, self.box = number, box
        self.velocity, self.area = torch.zeros(2), box_area(box)
        self.missed, self.age = 0, 0

    def expected(self):
        """The box in the next frame."""
        return self.box + self.velocity.repeat(2)

    def see(self, box, touched):
        """Take in the box of this frame; ``touched``: whether another box touches it.

        A box that is touched and has become smaller shows a part of the object. Then the object is believed to move
        on, whole, as before.
        """
        if touched and box_area(box) < 0.95 * self.area:
            self.box = self.expected()
        else:
            moved = (box[:2] + box[2:] - self.box[:2] - self.box[2:]) / 2
            self.age += 1
            self.velocity = self.velocity + (moved - self.velocity) / min(self.age, 6)  # a mean over some frames
            self.box, self.area = box, torch.maximum(box_area(box), 0.97 * self.area)
        self.missed = 0

    def miss(self):
        """Nothing was found in this frame: believe that it goes on behind something."""
        self.box, self.missed = self.expected(), self.missed + 1


def touching(boxes, reach=2.0):
    """Whether another box comes within ``reach`` pixels, for each of ``boxes`` (n, 4): bool, shape (n,)."""
    grown = boxes + boxes.new_tensor([-reach, -reach, reach, reach])
    return (box_iou(grown, boxes).fill_diagonal_(0) > 0).any(dim=1)


def follow(frames, threshold=0.15, patience=20):
    """As :func:`track_by_iou`, with a memory: a track moves on, and is found again behind what hid it.

    Boxes are compared with where each track is *expected* (:class:`Track`), and a longer patience does no harm.

    Parameters
    ----------
    frames : sequence of Tensor, shape (n, 4)
    threshold : float
    patience : int
        Frames that an object may be hidden.

    Returns
    -------
    list of Tensor of int64, shape (n,)
    """
    tracks, result, begun = [], [], 0
    for boxes in frames:
        mine, unseen = torch.full((len(boxes),), -1), set(range(len(tracks)))
        iou = box_iou(torch.stack([t.expected() for t in tracks]), boxes) if tracks else torch.zeros(0, len(boxes))
        hidden = touching(boxes)
        for track, k in pair_up(iou, threshold):
            mine[k] = tracks[track].number
            tracks[track].see(boxes[k], bool(hidden[k]))
            unseen.discard(track)
        for track in unseen:
            tracks[track].miss()
        for k in torch.nonzero(mine < 0).flatten().tolist():
            mine[k], begun = begun, begun + 1
            tracks.append(Track(int(mine[k]), boxes[k]))
        tracks = [t for t in tracks if t.missed <= patience]
        result.append(mine)
    return result


def sure(detections, score=0.6, threshold=0.6):
    """The detections to follow: those with at least this score, and of several in one place, whatever their class, one.

    Parameters
    ----------
    detections : Detections
    score : float
    threshold : float
        The IoU above which two are in one place.

    Returns
    -------
    Detections
    """
    few = type(detections)(*(part[detections.scores >= score] for part in detections))
    kept = nms(few.boxes, few.scores, torch.zeros(len(few.scores)), threshold)
    return type(detections)(*(part[kept] for part in few))


def usual_class(numbers, classes):
    """The class that each track was called most often: a dictionary from its number.

    Parameters
    ----------
    numbers, classes : sequence of Tensor of int64, shape (n,)
        Of each frame.
    """
    votes = {}
    for number, kind in zip(torch.cat(list(numbers)).tolist(), torch.cat(list(classes)).tolist(), strict=True):
        votes.setdefault(number, []).append(kind)
    return {number: max(set(kinds), key=kinds.count) for number, kinds in votes.items()}
