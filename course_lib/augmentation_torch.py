"""Chapter 06 in PyTorch: the transforms of :mod:`course_lib.augmentation` with PyTorch's own operations.

Images are ``(N, C, H, W)`` tensors, parameters tensors of length ``N``, on one device. ``torch.nn.functional`` samples
with ``grid_sample``, which has conventions of its own: positions are ``(x, y)``, not ``(row, column)``, and run from -1
to 1 over the image. With ``align_corners=False`` -1 and 1 are the *outer edges* of the border pixels.
"""

import math

import torch
import torch.nn.functional as F


def flip(x, which):
    """Mirror some images left to right; see :func:`course_lib.augmentation.flip`."""
    return torch.where(which[:, None, None, None], x.flip(-1), x)


def shift(x, dy, dx, fill=0):
    """Move each image by whole pixels; see :func:`course_lib.augmentation.shift`."""
    N, C, H, W = x.shape
    i = torch.arange(H, device=x.device) - dy[:, None]  # (N, H): the row that each row comes from
    j = torch.arange(W, device=x.device) - dx[:, None]
    n = torch.arange(N, device=x.device)[:, None, None]
    found = x[n, :, i.clamp(0, H - 1)[:, :, None], j.clamp(0, W - 1)[:, None, :]]  # (N, H, W, C)
    inside = ((i >= 0) & (i < H))[:, :, None] & ((j >= 0) & (j < W))[:, None, :]  # (N, H, W)
    return torch.where(inside[:, None], found.permute(0, 3, 1, 2), torch.as_tensor(fill, dtype=x.dtype))


def brightness(x, gain):
    """Multiply each image and clip; see :func:`course_lib.augmentation.brightness`."""
    y = x * gain[:, None, None, None]
    if x.dtype == torch.uint8:
        return y.clamp(0, 255).round().to(torch.uint8)
    return y.clamp(0, 1).to(x.dtype)


def warp(x, matrix, offset=None, fill=0):
    """Move every point of each image; see :func:`course_lib.augmentation.warp`."""
    N, C, H, W = x.shape
    back = torch.linalg.inv(matrix)  # (N, 2, 2), on (row, column) in pixels from the centre
    b = torch.zeros(N, 2, dtype=back.dtype, device=x.device) if offset is None else offset
    back = torch.cat([back, -(back @ b[:, :, None])], dim=2)  # (N, 2, 3)
    # From pixels to grid_sample's units: (x, y) in place of (row, column), halves of W and H in place of pixels.
    half = torch.tensor([W / 2, H / 2], dtype=back.dtype, device=x.device)
    theta = back.flip(1)  # row <-> column of the result
    theta = torch.cat([theta[:, :, :2].flip(2), theta[:, :, 2:]], dim=2)  # and of the argument
    scale = torch.cat([half, half.new_ones(1)])
    theta = theta * scale / half[:, None]
    grid = F.affine_grid(theta.to(x.dtype), x.shape, align_corners=False)  # (N, H, W, 2)
    return F.grid_sample(x - fill, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + fill


def rotation(angle):
    """The matrices ``(N, 2, 2)`` that turn by ``angle``, counter-clockwise as one sees the picture."""
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


def rotate(x, angle, fill=0):
    """Turn each image about its centre; see :func:`course_lib.augmentation.rotate`."""
    return warp(x, rotation(angle), None, fill)


def zoom(x, factor, fill=0):
    """Enlarge each image about its centre; see :func:`course_lib.augmentation.zoom`."""
    return warp(x, factor[:, None, None] * torch.eye(2, dtype=factor.dtype, device=x.device), None, fill)


def shear(x, slant, fill=0):
    """Slant each image; see :func:`course_lib.augmentation.shear`."""
    one, zero = torch.ones_like(slant), torch.zeros_like(slant)
    return warp(x, torch.stack([torch.stack([one, zero], -1), torch.stack([slant, one], -1)], -2), None, fill)


def cutout(x, cy, cx, size, fill=0):
    """Cover a square of each image; see :func:`course_lib.augmentation.cutout`."""
    H, W = x.shape[2:]
    i = torch.arange(H, device=x.device) - (cy - size // 2)[:, None]  # (N, H)
    j = torch.arange(W, device=x.device) - (cx - size // 2)[:, None]
    covered = ((i >= 0) & (i < size))[:, :, None] & ((j >= 0) & (j < size))[:, None, :]  # (N, H, W)
    return x.masked_fill(covered[:, None], fill)


def mixup(x, y, share, partner):
    """Mix each image and its label with another's; see :func:`course_lib.augmentation.mixup`."""
    along_x, along_y = share.to(x.dtype)[:, None, None, None], share.to(y.dtype)[:, None]
    return torch.lerp(x[partner], x, along_x), torch.lerp(y[partner], y, along_y)


def augment(x, u, angle=math.pi, zoom=1.1, shift=0.05, flip=0.5, gain=0.2, fill=0, training=True):
    """Turn, zoom, shift, mirror, brighten; see :func:`course_lib.augmentation.augment`."""
    if not training:
        return x
    H, W = x.shape[2:]
    A = rotation((2 * u[:, 0] - 1) * angle) * (zoom ** (2 * u[:, 1] - 1))[:, None, None]  # (N, 2, 2)
    mirror = torch.where(u[:, 4] < flip, -1.0, 1.0).to(u.dtype)
    A = torch.stack([A[:, :, 0], A[:, :, 1] * mirror[:, None]], -1)
    b = (2 * u[:, 2:4] - 1) * shift * torch.tensor([H, W], device=x.device)  # (N, 2)
    return brightness(warp(x, A, b, fill), 1 + (2 * u[:, 5] - 1) * gain)


# ---- the network of course_lib.augmentation_training ----


class TorchLearner:
    """The same network as :class:`course_lib.augmentation_training.NumPyLearner`, in PyTorch.

    Parameters
    ----------
    network : course_lib.cnn.Sequential
        Its weights are copied.
    limits : dict, optional
        Of :func:`augment`; none: images are left as they are.
    device : str
    """

    name = "PyTorch"

    def __init__(self, network, limits=None, device="cpu"):
        self.limits, self.device = limits, device
        self.network = torch.nn.Sequential(*map(_layer, network.layers)).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters())

    def augment(self, x, u):
        """What a step makes of images ``(N, 3, 32, 32)`` between 0 and 1."""
        return augment(x, u, **self.limits) if self.limits else x

    def step(self, x, y, u, lr):
        """One step of Adam on a batch of NumPy arrays. Returns the batch's loss."""
        x, y, u = (torch.from_numpy(a).to(self.device) for a in (x, y, u))
        loss = F.cross_entropy(self.network(self.augment(x, u) - 0.5), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()
        return loss.item()

    def scores(self, x):
        """The scores of images, shape (N, 10). Nothing is augmented."""
        with torch.no_grad():
            return self.network(torch.from_numpy(x).to(self.device) - 0.5).cpu().numpy()


def _layer(layer):
    """The twin of a layer of chapters 03 and 04, with the same weights."""
    kind = type(layer).__name__
    if kind in ("Conv2D", "Linear"):
        W, b = (torch.from_numpy(layer.params[name].copy()) for name in "Wb")
        if kind == "Linear":
            made = torch.nn.Linear(*W.shape[::-1])
        else:
            OC, C, *size = W.shape
            made = torch.nn.Conv2d(C, OC, size, layer.stride, layer.padding)
        made.weight.data, made.bias.data = W, b
        return made
    if kind == "MaxPool2D":
        return torch.nn.MaxPool2d(layer.size, layer.stride)
    return {"ReLU": torch.nn.ReLU, "Flatten": torch.nn.Flatten}[kind]()
