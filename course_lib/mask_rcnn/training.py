"""Training: batches with flips, a learning rate that rises and falls, and losses that can be watched."""

import math
from pathlib import Path

import numpy as np
import torch


def tensors(scene):
    """A scene's boxes, classes and masks as tensors: what :meth:`MaskRCNN.losses` wants for one image."""
    return torch.from_numpy(scene.boxes), torch.from_numpy(scene.classes), torch.from_numpy(scene.masks)


def images_of(scenes):
    """The images of scenes as one tensor of uint8, shape (B, 3, H, W)."""
    return torch.from_numpy(np.stack([scene.image for scene in scenes]))


def mirrored(image, boxes, classes, masks):
    """The same scene seen in a mirror: image, boxes and masks move together."""
    W, (x1, y1, x2, y2) = image.shape[-1], boxes.T
    return image.flip(-1), torch.stack([W - x2, y1, W - x1, y2], dim=1), classes, masks.flip(-1)


def rate(step, steps, warm_up):
    """The share of the learning rate at a step: a straight rise, then half a cosine wave down to 0."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def train(model, scenes, steps=700, batch=8, lr=2e-3, seed=0, watch=None, progress=True):
    """Train with AdamW.

    Parameters
    ----------
    model : MaskRCNN
    scenes : sequence of Scene
    steps, batch : int
    lr : float
        The highest learning rate.
    seed : int
        Of the order of the images, of the flips, and of the anchors and regions that count.
    watch : callable, optional
        ``watch(history)`` after each step.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    dict of str to list of float
        Each loss after each step.
    """
    generator = torch.Generator().manual_seed(seed)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr, fused=True)
    order, history = [], {name: [] for name in ("proposals", "classes", "boxes", "masks")}
    model.train()
    from tqdm.auto import tqdm  # not there where later chapters are graded, and not needed there

    for step in tqdm(range(steps), desc="steps", disable=not progress):
        if len(order) < batch:
            order = torch.randperm(len(scenes), generator=generator).tolist()
        chosen, order = [scenes[k] for k in order[:batch]], order[batch:]
        flip = torch.rand(len(chosen), generator=generator) < 0.5
        examples = [(torch.from_numpy(scene.image), *tensors(scene)) for scene in chosen]
        examples = [mirrored(*e) if f else e for e, f in zip(examples, flip, strict=True)]
        for group in optimizer.param_groups:
            group["lr"] = lr * rate(step, steps, warm_up=min(60, steps // 4 + 1))
        losses = model.losses(torch.stack([e[0] for e in examples]), [e[1:] for e in examples], generator)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        for name, loss in losses.items():
            history[name].append(float(loss.detach()))
        if watch is not None:
            watch(history)
    return history


def new_model(n_classes, seed=0):
    """A :class:`MaskRCNN` with weights drawn from ``seed``; the global generator is left as it was."""
    from course_lib.mask_rcnn.model import MaskRCNN

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MaskRCNN(n_classes)


WEIGHTS = Path(__file__).resolve().parents[2] / "data" / "mask_rcnn_weights.npz"


def store(model, path=WEIGHTS):
    """Write a network's weights as small whole numbers, with one scale for each output channel.

    A step is a tenth of the channel's root mean square, in the one layer that holds half of all weights a third.
    Compressed, that is 5 bits a weight; average precision stays the same to .01.
    """
    arrays = {}
    for name, w in model.state_dict().items():
        arrays[name] = w.numpy()
        if w.ndim > 1:
            rows, steps = w.flatten(1), 3 if w.numel() > 500_000 else 10
            scale = torch.maximum(rows.square().mean(dim=1).sqrt() / steps, rows.abs().amax(dim=1) / 127)
            arrays[name] = (rows / scale[:, None]).round().to(torch.int8).view_as(w).numpy()
            arrays[f"{name} scale"] = scale.numpy()
    np.savez_compressed(path, **arrays)


def trained(path=WEIGHTS):
    """The network as ``new_model(4, 0)`` and 700 steps of :func:`train` leave it, for whoever does not want to wait.

    Its weights were rounded by :func:`store`. ``python -m benchmarks.mask_rcnn weights`` makes the file.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} is not there; train a network, or run python -m benchmarks.mask_rcnn weights")
    with np.load(path) as file:
        state = {name: torch.from_numpy(file[name]) for name in file.files}
    for name in [name for name in state if name.endswith(" scale")]:
        scale, weight = state.pop(name), name.removesuffix(" scale")
        state[weight] = (state[weight].flatten(1) * scale[:, None]).view_as(state[weight])
    model = new_model(4)
    model.load_state_dict(state)
    return model


def detect_all(model, scenes, batch=10, **how):
    """The detections in each scene, a list."""
    found = []
    for k in range(0, len(scenes), batch):
        found += model.detect(images_of(scenes[k : k + batch]), **how)
    return found
