"""SAM 2, and MedSAM-2 on top of it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from m2s.baselines.foundation import Foundation, refuse_classes, whole_box
from m2s.encoders import Network
from m2s.units import resize

NAME, BANK = "sam2.1-hiera-large", 16
"""Of the weights; and the most entries of MedSAM-2's memory."""


def configure_vision(small: bool) -> tuple[Any, int]:
    """The image encoder, Hiera-L or a form that trains on a CPU, and its image's side in pixels."""
    from transformers import Sam2HieraDetConfig, Sam2VisionConfig

    side, width, depths, global_blocks = (
        (128, 16, [1, 1, 2, 1], [3]) if small else (1024, 144, [2, 6, 36, 4], [23, 33, 43])
    )
    widths = [width, 2 * width, 4 * width, 8 * width]
    heads = [1, 2, 4, 8] if small else [2, 4, 8, 16]
    hiera = Sam2HieraDetConfig(
        image_size=[side, side], hidden_size=width, embed_dim_per_stage=widths, blocks_per_stage=depths,
        num_attention_heads=heads[0], num_attention_heads_per_stage=heads, global_attention_blocks=global_blocks,
        window_size_per_stage=[8, 4, 8, 4] if small else [8, 4, 16, 8],
    )  # fmt: skip
    sizes = [[side // stride] * 2 for stride in (4, 8, 16)]
    vision = Sam2VisionConfig(backbone_config=hiera, backbone_channel_list=widths[::-1], backbone_feature_sizes=sizes)
    return vision, side


class SAM2(Network):
    """SAM 2 (Ravi et al., "SAM 2: segment anything in images and videos", 2024) on images, of transformers.

    216,924,865 parameters with Hiera-L (224,446,642 with the memory for videos), images of 1024 pixels, to which others
    are resized. ``(N, 3, H, W)`` → logits ``(N, 1, H, W)``.

    The tables do not say how it was prompted. Here the prompt is a box around the whole image, which tells nothing
    about the mask, and the network is trained on by the run's loss.

    ``small``: a form without pretrained weights that trains on a CPU, at 128 pixels.
    """

    def __init__(self, encoder: str = "", pretrained: bool = True, num_classes: int = 1, small: bool = False):
        from transformers import Sam2Config, Sam2Model

        refuse_classes(num_classes)
        vision, self_side = configure_vision(small)
        config = Sam2Config(vision_config=vision, prompt_encoder_config={"image_size": self_side})
        super().__init__(Foundation(Sam2Model, config, NAME, pretrained and not small))
        self.side = self_side

    def forward(self, x: Tensor) -> Tensor:
        boxes = whole_box(len(x), self.side, x.device)
        pixels = resize(x, (self.side, self.side))
        masks = self.encoder.body(pixel_values=pixels, input_boxes=boxes, multimask_output=False).pred_masks
        return resize(masks[:, 0], x.shape[2:])  # (N, 1, 1, side/4, side/4) → (N, 1, H, W)


class MedSAM2(Network):
    """MedSAM-2 (Zhu et al., "Medical SAM 2: segment medical images as video via SAM 2", 2024), of transformers' parts.

    The images of a set are seen one after the other, like frames of a video, with a memory of at most 16 of them. An
    image attends to entries that are drawn by how similar their image is to it (cosine, softmax). Into a full memory it
    goes in place of one of the two entries that are most alike: the one less sure of its mask, if the new one is surer
    than it less 0.1 and is itself less like the memory than those two are like each other. 224,446,642 parameters, as
    SAM 2 for videos; those for pointers to objects have no part here. The memory is emptied by ``train()`` and
    ``eval()``: at the beginning of each epoch and of each set. In evaluation all entries are taken.

    Departs: the publication clicks on the object in every fifth image of its training; here there is no prompt at all,
    and no gradient goes into the memory. Which of the two alike entries leaves, the facts we had do not say.

    ``small``: a form without pretrained weights that trains on a CPU, at 128 pixels.
    """

    def __init__(self, encoder: str = "", pretrained: bool = True, num_classes: int = 1, small: bool = False):
        from transformers import Sam2VideoConfig, Sam2VideoModel

        refuse_classes(num_classes)
        vision, side = configure_vision(small)
        config = Sam2VideoConfig(
            vision_config=vision, prompt_encoder_config={"image_size": side}, image_size=side,
            memory_attention_rope_feat_sizes=[side // 16] * 2,
            **({"memory_attention_num_layers": 1, "memory_attention_feed_forward_hidden_size": 256} if small else {}),
        )  # fmt: skip
        super().__init__(Foundation(Sam2VideoModel, config, NAME, pretrained and not small))
        self.side = side
        self.memory: list[dict[str, Tensor]] = []

    def train(self, mode: bool = True) -> "MedSAM2":
        self.memory = []
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.encoder.body.get_image_features(resize(x, (self.side, self.side)), return_dict=True)
        features, positions = seen.fpn_hidden_states, seen.fpn_position_encoding[-1]  # each (h·w, N, C)
        logits = [self.segment_one([f[:, i : i + 1] for f in features], positions[:, i : i + 1]) for i in range(len(x))]
        return resize(torch.cat(logits), x.shape[2:])

    def segment_one(self, features: list[Tensor], positions: Tensor) -> Tensor:
        """Logits ``(1, 1, side/4, side/4)`` of one image by its features ``(h·w, 1, C)`` and the memory."""
        body, deep = self.encoder.body, features[-1]
        look = F.normalize(deep.detach().mean(0), dim=-1)  # (1, C)
        if self.memory:
            recalled = self.recall(look)
            memory, places = (torch.cat([entry[name] for entry in recalled]) for name in ("features", "positions"))
            attended = body.memory_attention(deep, memory, positions, places)
            deep = attended.reshape(deep.shape)
        else:
            deep = deep + body.no_memory_embedding
        maps = [
            f.permute(1, 2, 0).unflatten(2, tuple(size))
            for f, size in zip([*features[:-1], deep], body.backbone_feature_sizes, strict=True)
        ]  # (1, C, side/4, side/4), then half of that, and half again
        nowhere = deep.new_zeros(1, 1, 1, 2)  # a point with the label -1 is no prompt
        sparse, dense = body.prompt_encoder(
            input_points=nowhere,
            input_labels=-torch.ones(1, 1, 1, dtype=torch.int32, device=deep.device),
            input_boxes=None,
            input_masks=None,
        )
        masks, ious, *_ = body.mask_decoder(
            image_embeddings=maps[-1], image_positional_embeddings=body.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense, multimask_output=False,
            high_resolution_features=maps[:-1],
        )  # fmt: skip
        logits = masks[:, 0]
        with torch.no_grad():
            mask = resize(logits.sigmoid(), (self.side, self.side)) * body.config.sigmoid_scale_for_mem_enc
            plain = features[-1].permute(1, 2, 0).unflatten(2, maps[-1].shape[2:])
            kept, places = body.memory_encoder(plain, mask + body.config.sigmoid_bias_for_mem_enc)
            kept, places = (part.flatten(2).permute(2, 0, 1) for part in (kept, places))  # (h·w, 1, 64)
        self.remember({"features": kept, "positions": places, "look": look, "iou": ious.detach().max()})
        return logits

    def recall(self, look: Tensor) -> list[dict[str, Tensor]]:
        """As many entries as the memory has, drawn by their likeness to an image; in evaluation each once."""
        if not self.training:
            return self.memory
        likeness = torch.cat([entry["look"] for entry in self.memory]) @ look[0]
        chosen = torch.multinomial(likeness.softmax(0), len(self.memory), replacement=True)
        return [self.memory[i] for i in chosen.tolist()]

    def remember(self, entry: dict[str, Tensor]) -> None:
        """Put an entry into the memory, or leave it out."""
        if len(self.memory) < BANK:
            self.memory.append(entry)
            return
        looks = torch.cat([one["look"] for one in self.memory])  # (16, C)
        alike = (looks @ looks.T).fill_diagonal_(-1)
        first, second = divmod(int(alike.argmax()), BANK)
        leaving = min(first, second, key=lambda i: float(self.memory[i]["iou"]))
        likeness = (looks @ entry["look"][0]).max()
        if likeness < alike.max() and entry["iou"] > self.memory[leaving]["iou"] - 0.1:
            self.memory[leaving] = entry
