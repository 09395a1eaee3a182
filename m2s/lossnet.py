"""LossNet: the distance of prediction and mask in the features of a fixed network (M2SNet paper, Section 3.2)."""

import copy
from itertools import pairwise
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from m2s.errors import InputError
from m2s.losses import one_vs_rest
from m2s.weights import create_timm


def drop_unused_stages(network: Any) -> Any:
    """``network`` without the stages behind its last feature, which timm's EfficientNets compute all the same."""
    stages = [name.removeprefix("blocks.") for name in network.feature_info.module_name()]
    if hasattr(network, "blocks") and all(stage.isdigit() for stage in stages):
        network.blocks = network.blocks[: int(stages[-1]) + 1]
    return network


@torch.no_grad()
def fold_norms(network: Any, side: int) -> Any:
    """A frozen network with its BatchNorms folded into the convolutions before them: the same features up to rounding.

    A network whose modules do not work in the order in which they stand is returned as it is: features of a random
    image with ``side`` pixels a side tell.
    """
    folded = copy.deepcopy(network)
    for parent in folded.modules():
        for (conv_name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                if conv.out_channels != norm.num_features:
                    return network
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm).requires_grad_(False))
                behind: list[Any] = [norm.drop, norm.act] if hasattr(norm, "act") else []  # timm's has them in it
                setattr(parent, norm_name, nn.Sequential(*behind))
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    pairs = zip(network(image), folded(image), strict=True)
    return folded if all(torch.allclose(f, n, rtol=0, atol=1e-4 * n.abs().max().item()) for n, f in pairs) else network


class LossNet(nn.Module):
    """L_f = Σ l_f^i over four feature levels (Eq. 5), each the mean squared difference of the two feature maps.

    Eq. 6 writes the Euclidean distance; the released code takes the mean of the squares, and so does this class.

    The network is frozen: no gradient reaches its weights, and it stays in evaluation mode.

    Features are divided by ``unit``. It is 1, except for weights in pixel units: Oxford's VGG (as Keras and Caffe ship
    it) was trained on pixels of 0 to 255 with unit steps, so that all its features are about 255·std ≈ 58 times, and
    L_f more than 3000 times, what a network trained on normalised input gives, and no weight in the papers would fit.
    The magnitudes of other networks differ too, and ``SegmentationLoss.lossnet_weight`` has to follow: notebook 03
    measures them.

    Args:
        backbone: any timm model with ``features_only``; the levels are its first four:

            - ``vgg16``: the ReLU before each of the first four max-pools, strides 1, 2, 4, 8. As released: the pools
              are torchvision's layers 4, 9, 16, 23, at which the network is cut.
            - ``resnet50``, ``tf_efficientnet_lite0`` and most convolutional networks: strides 2, 4, 8, 16.
            - ``swin_tiny_patch4_window7_224`` and others that begin with patches: strides 4, 8, 16, 32.
        resize: the side to which both images are resized, bilinearly (released: 224, whatever the input's size is);
            None keeps their size. The cost grows with its square.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: str = "vgg16", pretrained: bool = True, resize: int | None = 224):
        super().__init__()
        self.backbone, self.resize = backbone, resize
        kwargs: dict[str, Any] = {"features_only": True, "out_indices": (0, 1, 2, 3)}
        known = timm.get_pretrained_cfg(backbone)
        if known is not None and known.fixed_input_size:
            if resize is None:
                raise InputError(f"'{backbone}' has a fixed input size: give LossNet a 'resize', for instance 224")
            kwargs["img_size"] = resize
        network, self.weights_source = create_timm(backbone, pretrained, **kwargs)
        self.network = fold_norms(drop_unused_stages(network.requires_grad_(False).eval()), resize or 64)
        self.strides = tuple(network.feature_info.reduction())
        self.unit = 1.0
        # Weights of the first layer: up to about 1 after training on normalised input, 40 with pixel units folded in.
        if next(network.parameters()).abs().max() > 10:
            self.unit = 255 * sum(network.pretrained_cfg["std"]) / 3
            self.weights_source += f", in pixel units: features divided by {self.unit:.1f}"
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(network.pretrained_cfg[name]).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "LossNet":
        """Keeps evaluation mode, whatever ``mode``: batch statistics would make the distance depend on the batch."""
        return super().train(False)

    def features(self, images: Tensor) -> list[Tensor]:
        """The four feature maps of one-channel images (N, 1, H, W) in [0, 1], repeated to RGB and normalised."""
        if self.resize is not None:
            images = F.interpolate(images, size=(self.resize, self.resize), mode="bilinear", align_corners=False)
        images = (images.expand(-1, 3, -1, -1) - self.mean) / self.std  # (N, 1, resize, resize) → (N, 3, …)
        features = self.network(images)  # (N, C_i, resize/stride_i, …) each
        return features if self.unit == 1 else [feature / self.unit for feature in features]

    def terms(self, probabilities: Tensor, mask: Tensor) -> list[Tensor]:
        """[l_f^1, …, l_f^4] (Eq. 6), scalars ≥ 0, from ``probabilities`` (N, C, H, W) and ``mask`` (N, 1, H, W).

        With more than one class, each class map is an image of its own: a term is the mean over images and classes.
        """
        target = one_vs_rest(mask, probabilities.shape[1])
        predicted = self.features(probabilities.flatten(0, 1).unsqueeze(1))  # (N, C, H, W) → (N·C, 1, H, W)
        with torch.no_grad():
            expected = self.features(target.flatten(0, 1).unsqueeze(1))
        return [F.mse_loss(p, e) for p, e in zip(predicted, expected, strict=True)]

    def forward(self, probabilities: Tensor, mask: Tensor) -> Tensor:
        """L_f, the sum of :meth:`terms`, a scalar ≥ 0."""
        return sum(self.terms(probabilities, mask))  # type: ignore[return-value]
