"""SegGPT."""

import torch
from torch import Tensor

from m2s.baselines.foundation import Foundation
from m2s.baselines.support import InContext
from m2s.units import resize

SMALL = {
    "hidden_size": 96, "num_hidden_layers": 6, "num_attention_heads": 4, "patch_size": 8, "pretrain_image_size": 64,
    "image_size": [128, 64], "merge_index": 1, "intermediate_hidden_state_indices": [2, 3, 4, 5],
    "decoder_hidden_size": 32,
}  # fmt: skip
"""A form that trains on a CPU: 6 layers of 96 channels at 64 pixels, 1,500,995 parameters."""
SLOPE = 8.0
"""From a color between 0 and 1 to a logit: 0.5 is 0, 1 is half of this. This project's choice."""


class SegGPT(InContext):
    """SegGPT (Wang et al., "SegGPT: segmenting everything in context", ICCV 2023), of transformers.

    It paints: above, an example and its mask, below, the image, and in place of its mask a hole that it fills. The mean
    of the three colors of what it paints is the map. 370,723,203 parameters (ViT-L/16), images of 448 pixels, to which
    others are resized. Several examples are averaged after each block from the third on, as published, which is done
    for one image at a time.

    Departs: it is trained on by the run's loss; the publication's is smooth L1 on the colors of hidden patches.

    Args:
        encoder: not used.
        small: the form of :data:`SMALL`, which has no pretrained weights.
        support: examples of each task.
    """

    def __init__(
        self, encoder: str = "", pretrained: bool = True, num_classes: int = 1, small: bool = False, support: int = 1
    ):
        from transformers import SegGptConfig, SegGptForImageSegmentation

        config = SegGptConfig(**(SMALL if small else {}))
        body = Foundation(SegGptForImageSegmentation, config, "seggpt-vit-large", pretrained and not small)
        super().__init__(body, num_classes, support)
        self.side = config.image_size[1]

    def segment(self, x: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        sides, count = x.shape[2:], images.shape[1]
        x = resize(x, (self.side, self.side))
        images, masks = (
            resize(part.flatten(0, 1), (self.side, self.side)).unflatten(0, part.shape[:2]) for part in (images, masks)
        )
        mean, std = (x.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        painted = (masks - mean) / std  # (G, S, 3, side, side), white where the object is
        if count == 1:
            colors = self.paint(x, images[:, 0].expand_as(x), painted[:, 0].expand_as(x), ensemble=False)
        else:
            examples = zip(
                images.expand(len(x), *images.shape[1:]), painted.expand(len(x), *images.shape[1:]), strict=True
            )
            colors = torch.cat([
                self.paint(one.expand(count, *one.shape), *both, ensemble=True).mean(0, keepdim=True)
                for one, both in zip(x, examples, strict=True)
            ])  # fmt: skip
        return resize(SLOPE * ((colors * std + mean).mean(1, keepdim=True) - 0.5), sides)

    def paint(self, x: Tensor, images: Tensor, painted: Tensor, ensemble: bool) -> Tensor:
        """The colors ``(N, 3, side, side)`` in place of the masks of ``x``, as the examples have them."""
        out = self.encoder.body(
            pixel_values=x, prompt_pixel_values=images, prompt_masks=painted, feature_ensemble=ensemble
        )
        return out.pred_masks[:, :, self.side :]  # below the example's mask
