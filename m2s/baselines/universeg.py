"""UniverSeg."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2s.baselines.blocks import resize_corners
from m2s.baselines.support import InContext
from m2s.errors import InputError
from m2s.units import check_size


def fold(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer for images on each of S support entries: ``(N, S, C, H, W)`` → ``(N, S, C', H', W')``."""
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def make_grey(x: Tensor) -> Tensor:
    """RGB ``(…, 3, H, W)`` → luma ``(…, 1, H, W)``."""
    return (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(-3, keepdim=True)


class Conv(nn.Sequential):
    """3×3 convolution and leaky ReLU, with He's initial values: ``(N, in, H, W)`` → ``(N, out, H, W)``."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.LeakyReLU())
        nn.init.kaiming_normal_(self[0].weight)
        nn.init.zeros_(self[0].bias)


class CrossBlock(nn.Module):
    """CrossBlock (Section 3.2): the query ``(N, C, H, W)`` and S support entries ``(N, S, C', H, W)`` meet.

    One convolution sees the query beside each entry. What it gives is averaged for the query and kept for the entries,
    and both pass a convolution of their own: ``(N, out, H, W)`` and ``(N, S, out, H, W)``.

    As in the released code and unlike in the paper's equations, no activation follows the first convolution.
    """

    def __init__(self, query_channels: int, support_channels: int, out_channels: int):
        super().__init__()
        self.sizes = (query_channels, support_channels)
        self.cross = nn.Conv2d(sum(self.sizes), out_channels, 3, padding=1)
        nn.init.kaiming_normal_(self.cross.weight, nonlinearity="linear")
        nn.init.zeros_(self.cross.bias)
        self.query, self.support = Conv(out_channels, out_channels), Conv(out_channels, out_channels)

    def forward(self, query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        # The convolution of channels side by side is a sum, in which the query's part is the same for all entries.
        for_query, for_support = self.cross.weight.split(self.sizes, 1)
        pairs = fold(lambda x: F.conv2d(x, for_support, padding=1), support)
        pairs = pairs + F.conv2d(query, for_query, self.cross.bias, padding=1)[:, None]  # (N, S, out, H, W)
        return self.query(pairs.mean(1)), fold(self.support, pairs)


class UniverSeg(InContext):
    """UniverSeg (Butoi et al., "UniverSeg: universal medical image segmentation", ICCV 2023): a U of cross blocks.

    It segments what the masks of a support set show, in images of a task that it need not be trained on. 1,182,785
    parameters, of which 36,928 have no effect: those of the last block's convolution for the support.

    Departs: the publication trains on many tasks at once, with soft Dice and Adam, and its examples are of another
    task in each step; here the examples are of the tasks that the network is trained on, and the loss is the run's.
    Its weights are not read. Images are made grey, in [0, 1], as it has them.

    Args:
        encoder, pretrained: not used; the network has no pretrained encoder.
        width: channels of every block; the paper has 64.
        levels: blocks in the encoder, with a max-pool between each two; the paper has 4.
        support: examples of each task; the paper has 64 at most.
    """

    def __init__(
        self, encoder: str = "", pretrained: bool = False, num_classes: int = 1, width: int = 64, levels: int = 4,
        support: int = 64,
    ):  # fmt: skip
        if width < 1 or levels < 1:
            raise InputError(f"width={width}, levels={levels}: give 1 or more of each")
        super().__init__(None, num_classes, support)
        self.mean, self.std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        self.encode = nn.ModuleList([CrossBlock(1, 2, width)])
        self.encode.extend(CrossBlock(width, width, width) for _ in range(levels - 1))
        self.decode = nn.ModuleList(CrossBlock(2 * width, 2 * width, width) for _ in range(levels - 1))
        self.head = nn.Conv2d(width, 1, 1)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="linear")
        nn.init.zeros_(self.head.bias)

    def segment(self, x: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        """Logits ``(N, 1, H, W)``; the order of the examples has no effect.

        The paper has sides of 128 pixels; none may be smaller than the deepest block's stride.
        """
        check_size(x, 2 ** (len(self.encode) - 1))
        query, support, skips = make_grey(x), torch.cat([make_grey(images), masks], 2), []
        for i, block in enumerate(self.encode):
            if i:
                query, support = F.max_pool2d(query, 2), fold(nn.MaxPool2d(2), support)
            query, support = block(query, support)  # (N, width, H/2^i, W/2^i), (N, S, width, H/2^i, W/2^i)
            skips.append((query, support))
        for block, (query_skip, support_skip) in zip(self.decode, skips[-2::-1], strict=True):
            size = query_skip.shape[2:]
            query = torch.cat([resize_corners(query, size), query_skip], 1)
            support = torch.cat([fold(lambda x, size=size: resize_corners(x, size), support), support_skip], 2)
            query, support = block(query, support)
        return self.head(query)
