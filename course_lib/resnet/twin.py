"""The same network in PyTorch: a twin of the basic residual network, and Keras's weights in torch's layout."""

import torch
from torch import nn


def to_torch(weights):
    """Rename and turn Keras's weights into a state that torch loads.

    ==================  ====================  ============================================
    Keras               torch                 the array
    ==================  ====================  ============================================
    kernel, 4-D         weight                (FH, FW, C, OC) becomes (OC, C, FH, FW)
    kernel, 2-D         weight                (D, K) becomes (K, D)
    gamma, beta         weight, bias          as it is
    moving_mean         running_mean          as it is
    moving_variance     running_var           as it is
    bias                bias                  as it is
    ==================  ====================  ============================================

    Parameters
    ----------
    weights : dict of str to ndarray
        Keys such as ``"conv1/kernel"``: layer and kind.

    Returns
    -------
    dict of str to ndarray
        Keys such as ``"conv1.weight"``.
    """
    names = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias",
             "moving_mean": "running_mean", "moving_variance": "running_var"}  # fmt: skip
    state = {}
    for key, value in weights.items():
        layer, kind = key.split("/")
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif value.ndim == 2:
            value = value.T
        state[f"{layer}.{names[kind]}"] = value
    return state


class TorchBlock(nn.Module):
    """The basic block, with torch's layers."""

    def __init__(self, C, filters, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(C, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        if stride != 1 or C != filters:
            self.conv3 = nn.Conv2d(C, filters, 1, stride, bias=False)
            self.bn3 = nn.BatchNorm2d(filters)

    def forward(self, x):
        """``x``: (N, C, H, W);  returns (N, filters, H / stride, W / stride)"""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        straight = self.bn3(self.conv3(x)) if hasattr(self, "conv3") else x
        return torch.relu(y + straight)


def block_weights(model):
    """The weights of a Keras basic block as ``"conv1/kernel"``, ``"bn1/gamma"`` ..., in the twin's names.

    The two 3×3 convolutions come first and second, whatever the order in which the layers were made.
    """
    kinds = {"Conv2D": "conv", "BatchNormalization": "bn"}
    chosen = [layer for layer in model.layers if type(layer).__name__ in kinds]
    convs = [layer for layer in chosen if type(layer).__name__ == "Conv2D"]
    norms = [layer for layer in chosen if type(layer).__name__ == "BatchNormalization"]
    # A projection's filter is 1×1; its normalisation is the one that reads it.
    found = {}
    numbers = {id(layer): k for k, layer in enumerate(sorted(convs, key=lambda c: c.kernel_size[0] == 1), 1)}
    for layer in convs:
        found[f"conv{numbers[id(layer)]}/kernel"] = layer.kernel.numpy()
    for layer in norms:
        before = layer.input._keras_history.operation
        for weight in layer.weights:
            found[f"bn{numbers[id(before)]}/{weight.name}"] = weight.numpy()
    return found


def twin_of_block(model, C, filters, stride=1):
    """A :class:`TorchBlock` with the weights of a Keras basic block, ready for the test time."""
    block = TorchBlock(C, filters, stride)
    state = {name: torch.tensor(value.copy()) for name, value in to_torch(block_weights(model)).items()}
    block.load_state_dict(state, strict=False)  # all but torch's counter of batches
    return block.eval()
