"""Chapter 10: the library against plain loops, pycocotools and hard cases; the right answers that must pass."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from course_lib import explore
from course_lib import mask_rcnn as library
from course_lib.datasets import coco, shape_scenes
from course_lib.mask_rcnn import pictures, tracking


def random_boxes(rng, n, size=64.0):
    wh = rng.uniform(1, size / 2, (n, 2))
    xy = rng.uniform(0, size - wh)
    return torch.tensor(np.concatenate([xy, xy + wh], axis=1), dtype=torch.float64)


# ---- plain loops ----


def iou_of_two(a, b):
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = np.asarray(a, float).tolist(), np.asarray(b, float).tolist()
    w, h = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
    common = w * h if w > 0 and h > 0 else 0.0
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common
    return common / union if union > 0 else 0.0


def iou_by_loops(a, b):
    return torch.tensor([[iou_of_two(p, q) for q in b] for p in a], dtype=a.dtype).reshape(len(a), len(b))


def nms_by_loops(boxes, scores, classes, threshold=0.5):
    waiting = sorted(range(len(scores)), key=lambda k: (-float(scores[k]), k))
    kept = []
    while waiting:
        best = waiting.pop(0)
        kept.append(best)
        waiting = [k for k in waiting if classes[k] != classes[best] or iou_of_two(boxes[k], boxes[best]) <= threshold]
    return torch.tensor(kept, dtype=torch.int64)


def bilinear_at(plane, x, y):
    """The value of a map (H, W) at a place in cells, the border repeated beyond the outermost centres."""
    H, W = plane.shape
    x, y = min(max(x, 0.0), W - 1.0), min(max(y, 0.0), H - 1.0)
    j, i = min(int(x), W - 2) if W > 1 else 0, min(int(y), H - 2) if H > 1 else 0
    t, s = x - j, y - i
    right, below = min(j + 1, W - 1), min(i + 1, H - 1)
    above = (1 - t) * plane[i, j] + t * plane[i, right]
    return (1 - s) * above + s * ((1 - t) * plane[below, j] + t * plane[below, right])


def align_by_loops(features, boxes, stride, size, samples=2):
    C, K = len(features), size * samples
    result = torch.zeros(len(boxes), C, size, size, dtype=features.dtype)
    for n, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        for c in range(C):
            for k in range(K):
                for m in range(K):
                    y, x = y1 + (k + 0.5) / K * (y2 - y1), x1 + (m + 0.5) / K * (x2 - x1)
                    value = bilinear_at(features[c], x / stride - 0.5, y / stride - 0.5)
                    result[n, c, k // samples, m // samples] += value / samples**2
    return result


def pool_by_loops(features, boxes, stride, size):
    C, H, W = features.shape
    result = torch.zeros(len(boxes), C, size, size, dtype=features.dtype)
    for n, box in enumerate(boxes):
        x1, y1, x2, y2 = (int(np.rint(float(v) / stride)) for v in box)
        x1, y1 = min(x1, W - 1), min(y1, H - 1)
        h, w = max(y2 - y1, 1), max(x2 - x1, 1)
        for i in range(size):
            for j in range(size):
                rows = range(y1 + i * h // size, y1 + int(np.ceil((i + 1) * h / size)))
                columns = range(x1 + j * w // size, x1 + int(np.ceil((j + 1) * w / size)))
                for c in range(C):
                    result[n, c, i, j] = max(features[c, r, q] for r in rows for q in columns)
    return result


def paste_by_loops(masks, boxes, height, width):
    result = torch.zeros(len(masks), height, width, dtype=masks.dtype)
    for n, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        padded = F.pad(masks[n], (1, 1, 1, 1))
        m = masks.shape[1]
        for i in range(height):
            for j in range(width):
                x, y = (j + 0.5 - x1) / (x2 - x1) * m - 0.5, (i + 0.5 - y1) / (y2 - y1) * m - 0.5
                if -1 < x < m and -1 < y < m:
                    result[n, i, j] = bilinear_at(padded, x + 1, y + 1)
    return result


# ---- boxes ----


def test_iou_equals_a_plain_loop(rng):
    for _ in range(10):
        a, b = random_boxes(rng, int(rng.integers(0, 6))), random_boxes(rng, int(rng.integers(0, 6)))
        torch.testing.assert_close(library.box_iou(a, b), iou_by_loops(a, b))


HARD = torch.tensor([
    [0, 0, 4, 4], [4, 0, 8, 4], [4, 4, 8, 8], [10, 10, 10, 10], [10, 10, 10, 14], [1, 1, 2, 2], [0, 0, 4, 4],
    [-9, -9, -5, -5], [200, 0, 210, 4],
], dtype=torch.float64)  # fmt: skip


def test_iou_of_touching_empty_equal_nested_and_far_boxes():
    found = library.box_iou(HARD, HARD)
    torch.testing.assert_close(found, iou_by_loops(HARD, HARD))
    assert found[0, 1] == found[0, 2] == 0  # touching at an edge, at a corner
    assert found[3, 3] == found[4, 4] == 0  # without area
    assert found[0, 6] == 1


def test_decoding_undoes_encoding(rng):
    boxes, anchors = random_boxes(rng, 20), random_boxes(rng, 20)
    torch.testing.assert_close(library.decode_boxes(library.encode_boxes(boxes, anchors), anchors), boxes)


def test_nms_equals_a_plain_loop_with_ties_and_hard_boxes(rng):
    for threshold in (0.0, 0.3, 0.5, 0.9):
        n = int(rng.integers(5, 40))
        boxes = torch.cat([random_boxes(rng, n, 30.0), HARD, HARD])
        scores = torch.tensor(rng.integers(0, 5, len(boxes)) / 5)
        classes = torch.tensor(rng.integers(0, 3, len(boxes)))
        found = library.nms(boxes, scores, classes, threshold)
        assert found.tolist() == nms_by_loops(boxes, scores, classes, threshold).tolist()


def test_nms_of_no_box_keeps_none():
    assert library.nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)).shape == (0,)


# ---- regions ----


def test_roi_align_equals_plain_loops(rng):
    for stride, size, samples in ((4, 3, 2), (8, 2, 1), (16, 1, 3)):
        features = torch.tensor(rng.normal(size=(2, 5, 7)))
        boxes = torch.cat([random_boxes(rng, 3, 5.0 * stride), torch.tensor([[0.0, 0, 7 * stride, 5 * stride]])])
        found = library.roi_align(features, boxes, stride, size, samples)
        torch.testing.assert_close(found, align_by_loops(features, boxes, stride, size, samples))


def test_roi_align_of_boxes_without_area_outside_or_none(rng):
    features = torch.tensor(rng.normal(size=(2, 4, 4)))
    boxes = torch.tensor([[8.0, 8, 8, 8], [40, 40, 60, 50], [-20, -20, -10, -12]], dtype=torch.float64)
    torch.testing.assert_close(library.roi_align(features, boxes, 8, 2), align_by_loops(features, boxes, 8, 2))
    assert library.roi_align(features, boxes[:0], 8, 2).shape == (0, 2, 2, 2)


def test_roi_align_of_a_ramp_reads_off_the_positions():
    ramp = ((torch.arange(8) + 0.5) * 8).expand(1, 8, 8)
    found = library.roi_align(ramp, torch.tensor([[13.0, 20.0, 29.0, 44.0]]), 8, 2, 2)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([17.0, 25.0]))


def test_roi_pool_equals_plain_loops(rng):
    features = torch.tensor(rng.normal(size=(2, 6, 9)))
    boxes = torch.cat([random_boxes(rng, 5, 48.0), torch.tensor([[71.0, 47, 72, 48], [0, 0, 1, 1]])])
    torch.testing.assert_close(library.roi_pool(features, boxes, 8, 3), pool_by_loops(features, boxes, 8, 3))


def test_pasted_masks_equal_plain_loops(rng):
    masks = torch.tensor(rng.random((3, 5, 5)))
    boxes = torch.tensor([[2.5, 3, 9, 12], [-4, -3, 5, 20], [10, 1, 10.5, 1.25]], dtype=torch.float64)
    torch.testing.assert_close(library.paste_masks(masks, boxes, 14, 12), paste_by_loops(masks, boxes, 14, 12))


def test_a_full_mask_fills_its_box_exactly():
    pasted = library.paste_masks(torch.ones(1, 28, 28), torch.tensor([[2.0, 3.0, 7.0, 11.0]]), 12, 10)[0] >= 0.5
    expected = torch.zeros(12, 10, dtype=torch.bool)
    expected[3:11, 2:7] = True
    assert torch.equal(pasted, expected)


def test_a_mask_cut_out_and_pasted_again_is_nearly_the_same():
    scene = shape_scenes.scenes(1, seed=3)[0]
    masks, boxes = torch.from_numpy(scene.masks), torch.from_numpy(scene.boxes)
    pasted = library.paste_masks(library.mask_targets(masks, boxes), boxes, 128, 128) >= 0.5
    assert library.mask_iou(pasted, masks).diagonal().min() > 0.9


# ---- anchors and proposals ----


def test_sampled_anchors_are_half_positive_at_most():
    match = torch.tensor([0] * 50 + [-1] * 500 + [-2] * 20)
    sampled = library.sample_anchors(match, 64, torch.Generator().manual_seed(0))
    assert (sampled == 0).sum() == 32
    assert (sampled == -1).sum() == 32
    assert (match[sampled >= 0] >= 0).all()
    assert (match[sampled == -1] == -1).all()


def test_rois_of_an_image_without_objects_are_all_background():
    proposals = torch.tensor([[0.0, 0, 9, 9], [3, 3, 20, 20]])
    none, generator = torch.zeros(0, 4), torch.Generator().manual_seed(0)
    rois, owner, labels = library.sample_rois(proposals, none, torch.zeros(0, dtype=torch.int64), generator)
    assert len(rois) == 2
    assert owner.tolist() == [-1, -1]
    assert labels.tolist() == [0, 0]


def test_true_boxes_are_among_the_rois():
    boxes, generator = torch.tensor([[5.0, 5, 30, 30]]), torch.Generator().manual_seed(0)
    rois, owner, labels = library.sample_rois(torch.tensor([[60.0, 60, 90, 90]]), boxes, torch.tensor([2]), generator)
    assert rois[0].tolist() == [5, 5, 30, 30]
    assert owner.tolist() == [0, -1]
    assert labels.tolist() == [3, 0]


# ---- the model ----


def as_target(scene):
    return library.tensors(scene)


def test_losses_are_finite_with_no_object_and_with_thirty_and_every_weight_gets_a_gradient():
    empty = shape_scenes.scenes(1, seed=0, objects=(0, 0))[0]
    crowd = shape_scenes.scenes(1, seed=0, objects=(30, 30), radius=(5, 9))[0]
    assert len(empty.boxes) == 0
    assert len(crowd.boxes) == 30
    model = library.new_model(4, seed=0)
    images, targets = library.images_of([empty, crowd]), [as_target(empty), as_target(crowd)]
    losses = model.losses(images, targets, torch.Generator().manual_seed(0))
    assert all(torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    only_empty = model.losses(images[:1].repeat(2, 1, 1, 1), targets[:1] * 2, torch.Generator().manual_seed(0))
    assert all(torch.isfinite(loss) for loss in only_empty.values())
    assert only_empty["masks"] == 0


def test_detections_have_their_shapes_and_a_new_network_survives_an_empty_image():
    model = library.new_model(4, seed=0)
    images = torch.zeros(2, 3, 128, 96, dtype=torch.uint8)
    for score in (0.0, 0.999):
        for found in model.detect(images, score=score):
            K = len(found.boxes)
            assert found.boxes.shape == (K, 4)
            assert found.classes.shape == found.scores.shape == (K,)
            assert found.masks.shape == (K, 128, 96)
            assert K <= 100
            assert (found.scores[:-1] >= found.scores[1:]).all()
    assert model.training  # as it was


def test_images_of_an_odd_size_are_refused():
    with pytest.raises(ValueError, match="multiples of 16"):
        library.new_model(4).detect(torch.zeros(1, 3, 100, 128, dtype=torch.uint8))


def test_training_learns_one_scene_and_the_same_seed_gives_the_same_losses():
    scenes = shape_scenes.scenes(2, seed=1, objects=(2, 2))
    first = library.train(library.new_model(4, 0), scenes, steps=12, batch=2, progress=False)
    again = library.train(library.new_model(4, 0), scenes, steps=12, batch=2, progress=False)
    assert first == again
    assert np.mean(first["masks"][-3:]) < np.mean(first["masks"][:3])
    assert np.mean(first["proposals"][-3:]) < np.mean(first["proposals"][:3])


def test_a_mirrored_scene_keeps_its_boxes_around_its_masks():
    from course_lib.mask_rcnn.training import mirrored

    scene = shape_scenes.scenes(1, seed=2)[0]
    image, boxes, _, masks = mirrored(torch.from_numpy(scene.image), *library.tensors(scene))
    np.testing.assert_array_equal(boxes.numpy(), shape_scenes.boxes_of(masks.numpy()))
    assert torch.equal(image.flip(-1), torch.from_numpy(scene.image))


# ---- the weights that come with the course ----


def test_stored_weights_come_back_to_half_a_step_and_the_rest_as_it_was(tmp_path):
    from course_lib.mask_rcnn import training

    model = library.new_model(4, seed=3)
    training.store(model, tmp_path / "w.npz")
    back = library.trained(tmp_path / "w.npz").state_dict()
    for name, w in model.state_dict().items():
        if w.ndim > 1:
            rows, found = w.flatten(1), back[name].flatten(1)
            step = rows.square().mean(dim=1).sqrt() / (3 if w.numel() > 500_000 else 10)
            largest = torch.maximum(step, rows.abs().amax(dim=1) / 127)
            assert ((rows - found).abs() <= 0.501 * largest[:, None]).all(), name
        else:
            assert torch.equal(back[name], w), name
    with pytest.raises(FileNotFoundError, match="benchmarks.mask_rcnn weights"):
        library.trained(tmp_path / "nothing.npz")


def test_the_network_that_comes_with_the_course_is_small_finds_shapes_and_follows_one_behind_another():
    from course_lib.mask_rcnn.training import WEIGHTS

    assert WEIGHTS.stat().st_size < 1_000_000
    detector, scenes = library.trained(), shape_scenes.scenes(30, seed=0, stream=1)
    detections = library.detect_all(detector, scenes)
    assert library.coco_ap(detections, scenes, 4, "boxes")["AP50"] > 0.93
    assert library.coco_ap(detections, scenes, 4, "masks")["AP50"] > 0.93
    crossing = shape_scenes.crossing()
    seen = [library.sure(found) for found in library.detect_all(detector, crossing)]
    owners = {}
    for frame, found, numbers in zip(crossing, seen, library.follow([d.boxes for d in seen]), strict=True):
        iou = library.box_iou(torch.from_numpy(frame.boxes), found.boxes)
        for who, row in zip(frame.ids.tolist(), iou, strict=True):
            if len(row) and row.max() >= 0.5:
                owners.setdefault(who, set()).add(int(numbers[row.argmax()]))
    assert sorted(map(len, owners.values())) == [1, 1, 1]  # each of the three has one number all the time


def test_thirty_objects_and_none_are_detected_without_failure():
    empty = shape_scenes.scenes(1, seed=0, objects=(0, 0))[0]
    crowd = shape_scenes.scenes(1, seed=0, objects=(30, 30), radius=(5, 9))[0]
    of_none, of_many = library.detect_all(library.trained(), [empty, crowd], score=0.5)
    assert len(of_none.boxes) <= 2
    assert len(of_many.boxes) >= 10


# ---- average precision ----


def pycocotools_ap(detections, scenes, kind):
    pytest.importorskip("pycocotools")
    import contextlib

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    size = scenes[0].image.shape[1:]
    truth, results = [], []
    for n, (scene, found) in enumerate(zip(scenes, detections, strict=True), start=1):
        for box, k, mask in zip(scene.boxes.tolist(), scene.classes.tolist(), scene.masks, strict=True):
            truth.append({
                "id": len(truth) + 1, "image_id": n, "category_id": k + 1, "iscrowd": 0, "area": int(mask.sum()),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "segmentation": {"size": list(size), "counts": coco.compress(coco.rle_counts(mask))},
            })  # fmt: skip
        for box, k, s, mask in zip(found.boxes.tolist(), found.classes.tolist(), found.scores.tolist(),
                                   found.masks.numpy(), strict=True):  # fmt: skip
            results.append({
                "image_id": n, "category_id": k + 1, "score": s,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "segmentation": {"size": list(size), "counts": coco.compress(coco.rle_counts(mask))},
            })  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "images": [{"id": n + 1, "height": size[0], "width": size[1]} for n in range(len(scenes))],
            "categories": [{"id": k + 1, "name": str(k)} for k in range(4)], "annotations": truth, "info": {},
        }  # fmt: skip
        reference.createIndex()
        loaded = reference.loadRes([{**r} for r in results])
        evaluation = COCOeval(reference, loaded, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3]


def noisy_detections(rng, scenes):
    """The truth, disturbed: moved, doubled, missed, invented, confused."""
    result = []
    for scene in scenes:
        H, W = scene.image.shape[1:]
        masks, kinds = [], []
        for mask, kind in zip(scene.masks, scene.classes, strict=True):
            for _ in range(rng.integers(0, 4)):
                masks.append(np.roll(mask, rng.integers(-3, 4, 2), (0, 1)))
                kinds.append(kind if rng.random() < 0.85 else rng.integers(4))
        for _ in range(rng.integers(1, 3)):
            mask = np.zeros((H, W), bool)
            y, x = rng.integers(0, H - 20, 2)
            mask[y : y + 15, x : x + 12] = True
            masks.append(mask)
            kinds.append(rng.integers(4))
        boxes = shape_scenes.boxes_of(np.array(masks)) + rng.uniform(-2, 2, (len(masks), 4)).astype(np.float32)
        scores = torch.tensor(
            rng.permutation(np.linspace(0.1, 0.9, 60))[: len(masks)]
        )  # some are equal to another image's
        result.append(library.Detections(torch.from_numpy(boxes), torch.tensor(np.array(kinds)), scores,
                                         torch.tensor(np.array(masks))))  # fmt: skip
    return result


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_average_precision_is_that_of_pycocotools(seed):
    rng = np.random.default_rng(seed)
    scenes = shape_scenes.scenes(12, seed=seed + 10)
    detections = noisy_detections(rng, scenes)
    for kind, of in (("bbox", "boxes"), ("segm", "masks")):
        mine = library.coco_ap(detections, scenes, 4, of)
        theirs = pycocotools_ap(detections, scenes, kind)
        # They compare a recall such as 7/20 with 0.35000000000000003: a hundredth may be counted differently.
        np.testing.assert_allclose([mine["AP"], mine["AP50"], mine["AP75"]], theirs, atol=0.003)
        assert 0.05 < mine["AP"] < 0.95


def test_average_precision_without_any_object_is_not_a_number():
    assert np.isnan(library.average_precision([(torch.tensor([0.5]), torch.zeros(1, 0))]))


def test_unknown_kind_of_overlap_is_refused():
    with pytest.raises(ValueError, match="masks"):
        library.coco_ap([], [], 4, of="keypoints")


# ---- tracking ----


def test_identities_are_kept_through_an_occlusion():
    frames = shape_scenes.crossing()
    hidden = [k for k, frame in enumerate(frames) if 0 not in frame.ids]
    assert len(hidden) >= 10
    assert hidden == list(range(hidden[0], hidden[-1] + 1))
    boxes = [torch.from_numpy(frame.boxes) for frame in frames]
    for numbers, frame in zip(library.follow(boxes), frames, strict=True):
        assert numbers.tolist() == frame.ids.tolist()
    assert max(int(n.max()) for n in library.track_by_iou(boxes)) > 2  # IoU with the last box alone loses the disc


def test_following_copes_with_frames_without_boxes():
    none = torch.zeros(0, 4)
    numbers = library.follow([none, none])
    assert [n.tolist() for n in numbers] == [[], []]


def test_of_several_detections_in_one_place_one_is_followed():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [40, 0, 50, 10], [80, 0, 90, 10]])
    many = library.Detections(boxes, torch.tensor([0, 1, 1, 0]), torch.tensor([0.9, 0.8, 0.7, 0.2]), boxes > 0)
    assert library.sure(many).boxes.tolist() == boxes[[0, 2]].tolist()
    assert library.usual_class([torch.tensor([0, 1])] * 3, [torch.tensor([2, 0])] * 2 + [torch.tensor([1, 0])]) == {
        0: 2,
        1: 0,
    }


def test_pairs_are_taken_best_first():
    assert tracking.pair_up(torch.tensor([[0.5, 0.6], [0.4, 0.9]]), 0.3) == [(1, 1), (0, 0)]


# ---- scenes, pictures, files ----


def test_boxes_are_tight_around_visible_masks_that_do_not_overlap():
    for scene in shape_scenes.scenes(10, seed=4):
        assert scene.masks.sum(axis=0).max() <= 1
        for box, mask in zip(scene.boxes.astype(int), scene.masks, strict=True):
            y, x = np.nonzero(mask)
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_the_same_seed_draws_the_same_scenes_and_streams_share_none():
    a, b = shape_scenes.scenes(2, 5), shape_scenes.scenes(3, 5)
    assert all(np.array_equal(x.image, y.image) for x, y in zip(a, b, strict=False))
    assert not np.array_equal(a[0].image, shape_scenes.scenes(1, 5, stream=1)[0].image)


def test_a_mask_without_a_pixel_has_no_box():
    with pytest.raises(ValueError, match="no box"):
        shape_scenes.boxes_of(np.zeros((1, 4, 4), bool))


def test_a_video_keeps_the_ids_of_its_objects():
    shots = shape_scenes.video(1, frames=12, n=4)
    assert len(shots) == 12
    assert {k for shot in shots for k in shot.ids} == {0, 1, 2, 3}


@pytest.mark.parametrize("polygons", [False, True])
def test_coco_files_come_back_as_they_were_written(tmp_path, polygons):
    scenes = [*shape_scenes.scenes(3, seed=6), shape_scenes.scenes(1, seed=0, objects=(0, 0))[0]]
    coco.write_coco(tmp_path / "scenes.json", scenes, shape_scenes.CLASSES, polygons=polygons)
    back, classes = coco.read_coco(tmp_path / "scenes.json")
    assert classes == list(shape_scenes.CLASSES)
    for scene, read in zip(scenes, back, strict=True):
        for part in ("image", "boxes", "classes", "masks"):
            np.testing.assert_array_equal(getattr(read, part), getattr(scene, part))


def test_outlines_of_random_masks_are_exact(rng):
    for _ in range(30):
        mask = rng.random((7, 9)) < 0.4
        drawn = coco.outline(mask)
        if drawn is not None:
            back = np.zeros_like(mask)
            for polygon in drawn:
                back |= coco.polygon_mask(polygon, 7, 9)
            np.testing.assert_array_equal(back, mask)
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert coco.outline(ring) is None


def test_run_lengths_are_those_of_pycocotools(rng):
    tool = pytest.importorskip("pycocotools.mask")
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        mask = rng.random((23, 31)) < share
        theirs = tool.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        assert coco.compress(coco.rle_counts(mask)) == theirs
        np.testing.assert_array_equal(coco.rle_mask(theirs, 23, 31), mask)
        np.testing.assert_array_equal(coco.rle_mask(coco.rle_counts(mask), 23, 31), mask)


BAD = {
    "annotation 0 .*no image 7": lambda t: t["annotations"][0].update(image_id=7),
    "annotation 0 .*no category 9": lambda t: t["annotations"][0].update(category_id=9),
    "annotation 0 .*bbox.*above 0": lambda t: t["annotations"][0].update(bbox=[3, 3, 0, 5]),
    "annotation 0 .*outside the image": lambda t: t["annotations"][0].update(bbox=[3, 3, 500, 5]),
    "annotation 0 .*run lengths add up": lambda t: t["annotations"][0].update(
        segmentation={"size": [128, 128], "counts": [5, 6]}),
    "annotation 0 .*negative": lambda t: t["annotations"][0].update(
        segmentation={"size": [128, 128], "counts": [-5, 6]}),
    "annotation 0 .*at least three points": lambda t: t["annotations"][0].update(segmentation=[[1, 2, 3, 4]]),
    "annotation 0 .*covers no pixel": lambda t: t["annotations"][0].update(segmentation=[[1, 1, 1, 1, 1, 1]]),
    "annotation 0 .*polygons or run lengths": lambda t: t["annotations"][0].update(segmentation=None),
    "annotation 0 .*the size is": lambda t: t["annotations"][0].update(segmentation={"size": [1, 2], "counts": [2]}),
    "annotation 0 .*middle of a number": lambda t: t["annotations"][0].update(
        segmentation={"size": [128, 128], "counts": "o"}),
    "image 0.*no file": lambda t: t["images"][0].update(file_name="nowhere.png"),
    "image 0.*outside the folder": lambda t: t["images"][0].update(file_name="../secret.png"),
    "image 0.*the entry says": lambda t: t["images"][0].update(width=5),
    "image 1.*used twice": lambda t: t["images"].append(t["images"][0]),
    "no list 'categories'": lambda t: t.pop("categories"),
}  # fmt: skip


@pytest.mark.parametrize("message", BAD)
def test_bad_entries_of_a_coco_file_are_named(tmp_path, message):
    coco.write_coco(tmp_path / "scenes.json", shape_scenes.scenes(1, seed=6), shape_scenes.CLASSES)
    table = json.loads((tmp_path / "scenes.json").read_text())
    BAD[message](table)
    (tmp_path / "scenes.json").write_text(json.dumps(table))
    with pytest.raises(ValueError, match=message):
        coco.read_coco(tmp_path / "scenes.json")


def test_a_gif_has_all_frames_and_none_is_refused(tmp_path):
    scene = shape_scenes.scenes(1, seed=0)[0]
    frames = [pictures.truth(scene, shape_scenes.CLASSES), pictures.overlay(scene.image)]
    data = pictures.gif(frames, tmp_path / "two.gif")
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert (tmp_path / "two.gif").read_bytes() == data
    assert frames[0].shape == (384, 384, 3)
    shown = pictures.inline(data, "two <scenes>")
    assert shown.startswith('<img alt="two &lt;scenes&gt;" src="data:image/gif;base64,R0lGOD')
    with pytest.raises(ValueError, match="frame"):
        pictures.gif([])


def test_the_widget_says_how_many_boxes_are_kept():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 70, 70]])
    widget = explore.suppression(library.nms, boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3), ("disc",))
    assert "<b>2</b> of 3 boxes kept" in widget.picture.value
    widget.controls["percent"].value = 100
    assert "<b>3</b> of 3 boxes kept" in widget.picture.value


# ---- other right answers ----


def iou_one_row_at_a_time(a, b):
    rows = []
    for box in a:
        w = (torch.minimum(box[2], b[:, 2]) - torch.maximum(box[0], b[:, 0])).relu()
        h = (torch.minimum(box[3], b[:, 3]) - torch.maximum(box[1], b[:, 1])).relu()
        union = (box[2] - box[0]) * (box[3] - box[1]) + (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) - w * h
        rows.append(w * h / union.clamp(min=1e-12))
    return torch.stack(rows)


def encode_by_columns(boxes, anchors):
    x1, y1, x2, y2 = boxes.T
    a1, b1, a2, b2 = anchors.T
    w, h, wa, ha = x2 - x1, y2 - y1, a2 - a1, b2 - b1
    return torch.stack([((x1 + x2) - (a1 + a2)) / wa * 5, ((y1 + y2) - (b1 + b2)) / ha * 5, 5 * torch.log(w / wa),
                        5 * torch.log(h / ha)], dim=1)  # fmt: skip


def encode_in_numpy(boxes, anchors):
    b, a = boxes.numpy().astype(float), anchors.numpy().astype(float)
    size, size_a = b[:, 2:] - b[:, :2], a[:, 2:] - a[:, :2]
    t = np.hstack([(b[:, :2] + size / 2 - a[:, :2] - size_a / 2) / size_a, np.log(size) - np.log(size_a)])
    return t / (0.1, 0.1, 0.2, 0.2)


def decode_by_columns(offsets, anchors):
    a1, b1, a2, b2 = anchors.T
    x, y, log_w, log_h = (offsets * torch.tensor([0.1, 0.1, 0.2, 0.2])).T
    w = (a2 - a1) * torch.exp(log_w.clamp(max=4))
    h = (b2 - b1) * torch.exp(log_h.clamp(max=4))
    x, y = (a1 + a2) / 2 + x * (a2 - a1), (b1 + b2) / 2 + y * (b2 - b1)
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=1)


def decode_in_numpy(offsets, anchors):
    t, a = offsets.numpy().astype(float) * (0.1, 0.1, 0.2, 0.2), anchors.numpy().astype(float)
    size = a[:, 2:] - a[:, :2]
    centre, size = a[:, :2] + size / 2 + t[:, :2] * size, size * np.exp(np.minimum(t[:, 2:], 4))
    return np.hstack([centre - size / 2, centre + size / 2])


def anchors_by_loops(height, width, stride, sizes, ratios):
    boxes = []
    for i in range(height):
        for j in range(width):
            x, y = (j + 0.5) * stride, (i + 0.5) * stride
            for s in sizes:
                for r in ratios:
                    w, h = s * r**0.5, s / r**0.5
                    boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return torch.tensor(boxes)


def anchors_in_numpy(height, width, stride, sizes, ratios):
    w = np.outer(sizes, np.sqrt(ratios)).ravel()
    h = np.outer(sizes, 1 / np.sqrt(ratios)).ravel()
    y, x, k = np.indices((height, width, len(w))).reshape(3, -1)
    x, y = stride * (x + 0.5), stride * (y + 0.5)
    return np.stack([x - w[k] / 2, y - h[k] / 2, x + w[k] / 2, y + h[k] / 2], axis=1)


def match_by_loops(iou, low=0.3, high=0.7):
    match = []
    for row in iou.tolist():
        most = max(row, default=0.0)
        match.append(-1 if not row or most < np.float32(low) else row.index(most) if most >= np.float32(high) else -2)
    for m, column in enumerate(iou.T.tolist()):
        if max(column) > 0:
            match[column.index(max(column))] = m
    return torch.tensor(match)


def match_step_by_step(iou, low=0.3, high=0.7):
    match = torch.full((iou.shape[0],), -2)
    if iou.shape[1] == 0:
        return match + 1
    match[(iou < low).all(dim=1)] = -1
    sure = (iou >= high).any(dim=1)
    match[sure] = iou.argmax(dim=1)[sure]
    for m in range(iou.shape[1]):
        if iou[:, m].max() > 0:
            match[iou[:, m].argmax()] = m
    return match


def rpn_loss_by_formula(logits, offsets, match, targets):
    C, P = match > -2, match > -1
    y = P[C].to(logits.dtype)
    bce = logits[C].clamp(min=0) - logits[C] * y + torch.log1p(torch.exp(-logits[C].abs()))
    d = (offsets[P] - targets[P]).abs()
    smooth = torch.where(d < 1, d * d / 2, d - 0.5)
    return (bce.sum() + smooth.sum()) / max(1, int(C.sum()))


def rpn_loss_with_weights(logits, offsets, match, targets):
    weight = (match != -2).float()
    first = F.binary_cross_entropy_with_logits(logits, (match >= 0).float(), weight=weight, reduction="sum")
    second = F.huber_loss(offsets[match >= 0], targets[match >= 0], reduction="sum", delta=1.0)
    return (first + second) / weight.sum().clamp(min=1)


def nms_with_a_mask(boxes, scores, classes, threshold=0.5):
    order, kept = torch.sort(scores, descending=True, stable=True).indices, []
    while len(order):
        kept.append(order[0])
        over = library.box_iou(boxes[order[:1]], boxes[order])[0] > threshold
        order = order[1:][~(over & (classes[order] == classes[order[0]]))[1:]]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)


def align_by_hand(features, boxes, stride, size, samples=2):
    """Four gathers instead of grid_sample."""
    (C, H, W), K = features.shape, size * samples
    steps = (torch.arange(K) + 0.5) / K
    found = []
    for x1, y1, x2, y2 in boxes:
        x = ((x1 + steps * (x2 - x1)) / stride - 0.5).clamp(0, W - 1)
        y = ((y1 + steps * (y2 - y1)) / stride - 0.5).clamp(0, H - 1)
        j, i = x.floor().long().clamp(max=W - 2), y.floor().long().clamp(max=H - 2)
        t, s = x - j, (y - i)[:, None]
        rows = (1 - s) * features[:, i] + s * features[:, i + 1]  # (C, K, W)
        grid = (1 - t) * rows[:, :, j] + t * rows[:, :, j + 1]
        found.append(F.avg_pool2d(grid, samples))
    return torch.stack(found) if found else torch.zeros(0, C, size, size)


def paste_by_matrices(masks, boxes, height, width):
    """Interpolation as a product with a matrix from each side."""
    m = masks.shape[-1]

    def weights(low, high, n):
        place = (torch.arange(n) + 0.5 - low[:, None]) / (high - low)[:, None] * m - 0.5  # (N, n)
        return (1 - (place[:, :, None] - torch.arange(m)).abs()).clamp(min=0)

    return weights(boxes[:, 1], boxes[:, 3], height) @ masks @ weights(boxes[:, 0], boxes[:, 2], width).transpose(1, 2)


def ap_by_loops(images, threshold=0.5):
    entries, total = [], 0
    for scores, iou in images:
        taken, total = set(), total + iou.shape[1]
        for s, row in sorted(zip(scores.tolist(), iou.tolist(), strict=True), key=lambda e: -e[0]):
            able = [(v, m) for m, v in enumerate(row) if v >= threshold and m not in taken]
            taken |= {max(able, key=lambda e: e[0])[1]} if able else set()
            entries.append((s, bool(able)))
    entries.sort(key=lambda e: -e[0])
    curve, hits = [], 0
    for n, (_, hit) in enumerate(entries, start=1):
        hits += hit
        curve.append((hits / total, hits / n))
    return sum(max((p for r, p in curve if r >= k / 100), default=0.0) for k in range(101)) / 101


def ap_by_searchsorted(images, threshold=0.5):
    right = torch.cat([library.match_detections(s, i, threshold) for s, i in images]).numpy()
    order = np.argsort(-torch.cat([s for s, _ in images]).numpy(), kind="stable")
    hits = right[order].cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    recall = hits / sum(i.shape[1] for _, i in images)
    return best[np.searchsorted(recall, np.arange(101) / 100)].mean()


def track_with_a_dictionary(frames, threshold=0.3, patience=2):
    alive, count, result = {}, 0, []  # number: (box, frame in which it was seen)
    for now, boxes in enumerate(frames):
        mine = [None] * len(boxes)
        pairs = [
            (iou_of_two(box, boxes[k]), number, k) for number, (box, _) in alive.items() for k in range(len(boxes))
        ]
        used = set()
        for iou, number, k in sorted(pairs, key=lambda p: -p[0]):
            if iou >= threshold and number not in used and mine[k] is None:
                mine[k] = number
                used.add(number)
        for k in range(len(boxes)):
            if mine[k] is None:
                mine[k], count = count, count + 1
            alive[mine[k]] = (boxes[k], now)
        alive = {number: entry for number, entry in alive.items() if now - entry[1] <= patience}
        result.append(np.array(mine, dtype=np.int64))
    return result


def track_with_arrays(frames, threshold=0.3, patience=2):
    numbers, last, missed, count, result = np.zeros(0, int), torch.zeros(0, 4), np.zeros(0, int), 0, []
    for boxes in frames:
        table, mine = library.box_iou(last, boxes).numpy().copy(), np.full(len(boxes), -1)
        missed = missed + 1
        last = last.clone()
        for _ in range(min(table.shape)):
            t, k = np.unravel_index(table.argmax(), table.shape)
            if table[t, k] < threshold:
                break
            mine[k], missed[t], last[t] = numbers[t], 0, boxes[k]
            table[t], table[:, k] = -1, -1
        new = np.flatnonzero(mine < 0)
        mine[new] = count + np.arange(len(new))
        count += len(new)
        keep = missed <= patience
        numbers = np.concatenate([numbers[keep], mine[new]])
        missed = np.concatenate([missed[keep], np.zeros(len(new), int)])
        last = torch.cat([last[torch.from_numpy(keep)], boxes[torch.from_numpy(new)]])
        result.append(torch.from_numpy(mine))
    return result


RIGHT = {
    "box_iou": [iou_by_loops, iou_one_row_at_a_time],
    "encode_boxes": [encode_by_columns, encode_in_numpy],
    "decode_boxes": [decode_by_columns, decode_in_numpy],
    "make_anchors": [anchors_by_loops, anchors_in_numpy],
    "match_anchors": [match_by_loops, match_step_by_step],
    "rpn_loss": [rpn_loss_by_formula, rpn_loss_with_weights],
    "nms": [nms_by_loops, nms_with_a_mask],
    "roi_pool": [pool_by_loops, library.roi_pool],
    "roi_align": [align_by_loops, align_by_hand],
    "paste_masks": [paste_by_loops, paste_by_matrices],
    "average_precision": [ap_by_loops, ap_by_searchsorted],
    "track_by_iou": [track_with_a_dictionary, track_with_arrays],
}
EQUIVALENT = {
    "nms": {
        "True  ->  False": "PyTorch's sort on a CPU is stable in any case",
        "(i, i + 1:)  ->  (i + 1:, i)": "the table of rivals is symmetric",
    },
    "track_by_iou": {"-1  ->  -2": "any number below 0 says that a box has no track yet"},
}
