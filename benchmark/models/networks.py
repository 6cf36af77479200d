"""Small networks that neither timm nor torchvision has, written from their papers: conf/bank/public.yaml has weights.

The last layer of each is a linear map from its features, named `classifier` (`linear` in CifarResNet), which
`features_from` of a bank's entry says. Images (n, 3, h, w) of any size from 28 pixels up.
"""

from __future__ import annotations

from itertools import pairwise
from operator import methodcaller

import torch
import torchvision
from timm.layers import create_pool2d
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-3
"""Keras's constant in the denominator of a batch norm."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions; the shortcut takes every `stride`-th pixel and fills new channels with zeros (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.more:
            before, after = self.more // 2, self.more - self.more // 2
            shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, after))
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class CifarResNet(nn.Module):
    """The residual network for CIFAR-10 of 6n + 2 layers; 64 features.

    Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.
    """

    def __init__(self, depth: int = 20, num_classes: int = 10):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise TypeError(f"depth must be 6n + 2. Got {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for stage, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            first = BasicBlock(inputs, outputs, 1 if stage == 1 else 2)
            rest = (BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1))
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        for stage in (1, 2, 3):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.linear(x.mean((2, 3)))


class SeparableNorm(nn.Module):
    """A 3×3 convolution of each channel, a 1×1 one across channels, and a batch norm."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.dw = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pw(self.dw(x)))


class XceptionBlock(nn.Module):
    """Two separable convolutions and max-pooling, beside a 1×1 convolution; both halve the side."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.sep1, self.sep2 = SeparableNorm(inputs, outputs), SeparableNorm(outputs, outputs)
        self.pool = create_pool2d("max", 3, 2, padding="same")  # TensorFlow's padding
        self.res = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        # a 1×1 convolution of stride 2, spelt out: PyTorch 2.14's CPU kernel for it writes past its memory when 8
        # channels come last
        shortcut = self.bn(self.res(x[:, :, ::2, ::2]))
        return self.pool(self.sep2(functional.relu(self.sep1(x)))) + shortcut


class MiniXception(nn.Module):
    """Mini-Xception for faces; 128 features, the mean of the last block's maps.

    out  channels of `last`, the 3×3 convolution to classes whose mean the authors' network gives: see `original`

    Source: Arriaga et al., Real-time Convolutional Neural Networks for Emotion and Gender Classification, 2017.
    Differs from theirs: a linear map from the features, for new classes, stands in the place of `last`.
    """

    def __init__(self, out: int, num_classes: int = 1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8, eps=EPS)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8, eps=EPS)
        widths = (8, 16, 32, 64, 128)
        self.blocks = nn.Sequential(*(XceptionBlock(a, b) for a, b in pairwise(widths)))
        self.last = nn.Conv2d(128, out, 3, padding=1).requires_grad_(False)
        self.classifier = nn.Linear(128, num_classes)

    def maps(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.blocks(functional.relu(self.bn2(self.conv2(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.maps(x).mean((2, 3)))

    def original(self, x: Tensor) -> Tensor:
        """The authors' outputs (n, out) before the softmax."""
        return self.last(self.maps(x)).mean((2, 3))


class DoodleNet(nn.Module):
    """Three blocks of two 3×3 convolutions and max-pooling, 3×3 average pooling, two dense layers; 512 features.

    activation  what follows the first dense layer, a function of torch by name; the released network has tanh there

    Source: github.com/yining1023/doodleNet, whose 28-pixel images leave 3×3 maps that need no average pooling.
    """

    def __init__(self, num_classes: int = 345, activation: str = "tanh"):
        super().__init__()
        if activation not in ("tanh", "relu"):
            raise TypeError(f"activation must be tanh or relu. Got {activation}")
        self.activation = getattr(torch, activation)
        parts: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
            parts += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            parts += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*parts)
        self.fc = nn.Linear(64 * 9, 512)
        self.classifier = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.adaptive_avg_pool2d(self.features(x), 3).flatten(1)
        return self.classifier(self.activation(self.fc(x)))


class SqueezeNet(nn.Module):
    """torchvision's SqueezeNet body, and one linear map after average pooling instead of before it; 512 features.

    Source: Iandola et al., SqueezeNet, 2016. The published order has a ReLU between, which is left out.
    """

    def __init__(self, version: str = "1_1", num_classes: int = 1000):
        super().__init__()
        self.features = torchvision.models.SqueezeNet(version).features
        self.classifier = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class Headed(nn.Module):
    """A body that ends in features or feature maps, averaged over places, with a linear map of one class after it.

    body   has `forward_features`, and perhaps timm's `forward_head(x, pre_logits=True)`
    size   side in pixels of the images that tell how many features there are, and `channels` of them
    """

    features_from = "classifier"

    def __init__(self, body: nn.Module, size: int, channels: int = 3):
        super().__init__()
        self.body = body.eval()
        device = next(body.parameters()).device
        with torch.no_grad():
            width = self.features(torch.zeros(1, channels, size, size, device=device)).shape[1]
        self.classifier = nn.Linear(width, 1, device=device)
        self.train()

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = methodcaller("forward_features", images)(self.body)
        if head := getattr(self.body, "forward_head", None):
            found = head(found, pre_logits=True)
        return found.flatten(2).mean(2) if found.ndim > 2 else found

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))
