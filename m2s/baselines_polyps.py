"""Polyp networks that the M2SNet papers compare with: PraNet, ACSNet and SFA, each over any timm encoder."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import SelectiveKernel, SEModule
from torch import Tensor, nn

from m2s.network import WIDTH, Encoder
from m2s.units import ConvBNReLU, check_size, resize


def foreground(logits: Tensor) -> Tensor:
    """Probability ``(N, 1, h, w)`` of any foreground class, from logits ``(N, num_classes, h, w)``.

    The attentions of PraNet, ACSNet, Inf-Net and BCS-Net are made of one foreground map. With several one-vs-rest maps
    (the background first) we take the largest probability after the background's; the papers have one class only.
    """
    return logits.sigmoid()[:, min(1, logits.shape[1] - 1) :].amax(1, keepdim=True)


class Baseline(nn.Module):
    """What the networks here share: ``(N, 3, H, W)`` → logits ``(N, num_classes, H, W)``, both sides from 32 pixels up.

    A subclass gives ``decode(levels)``: from E¹ … E⁵ (:class:`m2s.network.Encoder`) to logits of any size, the final
    ones first. All are resized to the image (bilinear, as everywhere here). In evaluation the first is returned; in
    training mode a list of all, where there are several (deep supervision).
    """

    def __init__(self, encoder: str, pretrained: bool):
        super().__init__()
        self.encoder = Encoder(encoder, pretrained)
        self.mean, self.std, self.weights_source = self.encoder.mean, self.encoder.std, self.encoder.weights_source

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_size(x)
        size = x.shape[-2:]
        outputs = self.decode(self.encoder(x))
        if self.training and len(outputs) > 1:
            return [resize(logits, size) for logits in outputs]
        return resize(outputs[0], size)


class ConvBN(nn.Sequential):
    """Convolution without bias, then BatchNorm, and no ReLU; height and width stay."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int] = 3, dilation: int = 1):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding="same", dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class ReceptiveFieldBlock(nn.Module):
    """RFB of PraNet: four branches that see 1×1 to about 7×7, dilated, plus a shortcut; ``in_channels`` → ``width``."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.branches = nn.ModuleList([ConvBN(in_channels, width, 1)])
        for k in (3, 5, 7):
            row_and_column = [ConvBN(width, width, (1, k)), ConvBN(width, width, (k, 1))]
            self.branches.append(
                nn.Sequential(ConvBN(in_channels, width, 1), *row_and_column, ConvBN(width, width, dilation=k))
            )
        self.merge = ConvBN(4 * width, width)
        self.shortcut = ConvBN(in_channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.merge(torch.cat([branch(x) for branch in self.branches], 1)) + self.shortcut(x))


class PartialDecoder(nn.Module):
    """Parallel partial decoder: levels 5, 4, 3 of ``width`` channels → one coarse map of logits at level 3."""

    def __init__(self, width: int, num_classes: int):
        super().__init__()
        self.up = nn.ModuleDict({name: ConvBN(width, width) for name in ("5*4", "5*3", "4*3", "5+4")})
        self.up["4+3"] = ConvBN(2 * width, 2 * width)
        self.merge4, self.merge3 = ConvBN(2 * width, 2 * width), ConvBN(3 * width, 3 * width)
        self.head = nn.Sequential(ConvBN(3 * width, 3 * width), nn.Conv2d(3 * width, num_classes, 1))

    def forward(self, x5: Tensor, x4: Tensor, x3: Tensor) -> Tensor:
        size4, size3 = x4.shape[-2:], x3.shape[-2:]
        y5 = resize(x5, size4)
        y4 = self.up["5*4"](y5) * x4
        y3 = self.up["5*3"](resize(x5, size3)) * self.up["4*3"](resize(x4, size3)) * x3
        y4 = self.merge4(torch.cat([y4, self.up["5+4"](y5)], 1))
        y3 = self.merge3(torch.cat([y3, self.up["4+3"](resize(y4, size3))], 1))
        return self.head(y3)


class ReverseAttention(nn.Module):
    """Refine coarse logits where they say "background": ``coarse + f(level · (1 − σ(coarse)))``.

    ``depth`` convolutions of ``width`` channels and size ``kernel`` stand between the 1×1 reduction and the head.
    ``guidance`` counts the channels of a further feature given to them (Inf-Net's edge feature).
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        width: int = 64,
        depth: int = 2,
        kernel: int = 3,
        head_kernel: int = 3,
        guidance: int = 0,
    ):
        super().__init__()
        self.reduce = ConvBN(in_channels, width, 1)
        inputs = [width + guidance] + [width] * (depth - 1)
        self.convs = nn.Sequential(*[nn.Sequential(ConvBN(i, width, kernel), nn.ReLU(inplace=True)) for i in inputs])
        self.head = ConvBN(width, num_classes, head_kernel)

    def forward(self, level: Tensor, coarse: Tensor, guidance: Tensor | None = None) -> Tensor:
        size = level.shape[-2:]
        coarse = resize(coarse, size)
        x = self.reduce(level * (1 - foreground(coarse)))
        if guidance is not None:
            x = torch.cat([x, resize(guidance, size)], 1)
        return self.head(self.convs(x)) + coarse


class PraNet(Baseline):
    """PraNet: parallel reverse attention network (Fan et al., MICCAI 2020).

    Taken: RFBs of 32 channels on E³ … E⁵, the parallel partial decoder that makes the coarse map of E³'s size, and the
    reverse attentions on E⁵, E⁴, E³ (the first with 256 channels and 5×5 convolutions). All four maps are supervised;
    the last reverse attention counts.

    Departs: bilinear resizing does not align corners; ``num_classes`` > 1 (see :func:`foreground`). With Res2Net-50 it
    has 30.50 M parameters, as Table 6 of the revised M2SNet paper prints; the 32.55 M printed elsewhere count the
    backbone's unused ImageNet classifier (2.05 M) too.
    """

    guidance = 0
    """Channels of a feature that guides the reverse attentions; Inf-Net has one."""

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        *_, c3, c4, c5 = self.encoder.channels
        self.rfb = nn.ModuleList([ReceptiveFieldBlock(c, 32) for c in (c5, c4, c3)])
        self.partial_decoder = PartialDecoder(32, num_classes)
        self.reverse = nn.ModuleList(
            [
                ReverseAttention(c5, num_classes, 256, depth=3, kernel=5, head_kernel=1, guidance=self.guidance),
                ReverseAttention(c4, num_classes, guidance=self.guidance),
                ReverseAttention(c3, num_classes, guidance=self.guidance),
            ]
        )

    def decode(self, levels: Sequence[Tensor], guidance: Tensor | None = None) -> list[Tensor]:
        levels = levels[:1:-1]  # E⁵, E⁴, E³
        outputs = [self.partial_decoder(*(rfb(level) for rfb, level in zip(self.rfb, levels, strict=True)))]
        for attention, level in zip(self.reverse, levels, strict=True):
            outputs.append(attention(level, outputs[-1], guidance))
        return outputs[::-1]


class NonLocal(nn.Module):
    """Non-local block (Wang et al., CVPR 2018), embedded Gaussian, with keys and values at half the resolution.

    The last BatchNorm's scale starts at zero, so that the block starts as the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels // 2, 1) for _ in range(3))
        self.out = nn.Sequential(nn.Conv2d(channels // 2, channels, 1), nn.BatchNorm2d(channels))
        nn.init.zeros_(self.out[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool2d(self.key(x), 2, ceil_mode=True), F.max_pool2d(self.value(x), 2, ceil_mode=True)
        query, key, value = (t.flatten(2).mT[:, None] for t in (self.query(x), *pooled))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0]
        return x + self.out(attended.mT.unflatten(2, x.shape[-2:]))


class GlobalContextModule(nn.Module):
    """GCM of ACSNet: E⁵ pooled to 1, 3 and 5 cells, and a non-local view of it, merged once for each decoder level."""

    def __init__(self, in_channels: int, outs: Sequence[int], width: int = 64):
        super().__init__()
        self.pooled = nn.ModuleList(
            [
                nn.Sequential(nn.AdaptiveAvgPool2d(cells), nn.Conv2d(in_channels, width, 1), nn.ReLU(inplace=True))
                for cells in (1, 3, 5)
            ]
        )
        self.whole = nn.Sequential(nn.Conv2d(in_channels, width, 1), nn.ReLU(inplace=True), NonLocal(width))
        self.outs = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(4 * width, out, 3, padding=1), nn.ReLU(inplace=True)) for out in outs]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        views = [resize(view(x), x.shape[-2:]) for view in self.pooled]
        context = torch.cat([*views, self.whole(x)], 1)
        return [out(context) for out in self.outs]


class ACSNet(Baseline):
    """ACSNet: adaptive context selection (Zhang et al., MICCAI 2020).

    Taken: at levels 4 … 1 the decoder puts together (1) local context, E^i weighted by ``1 + (1 − |σ(p) − ½|/½)``,
    which is largest where the deeper prediction p is undecided; (2) the deeper decoder feature after a non-local block;
    (3) the level's global context (:class:`GlobalContextModule`); and selects among their channels by squeeze and
    excitation. All five maps are supervised; the shallowest counts. E¹ has stride 2 here, without the max-pool.

    Departs: the decoder has the widths of ResNet-34, the publication's encoder; other encoders' features are brought to
    them by ConvBNReLU. Each head stands before its level's upsampling; the selection has biases; ``num_classes`` > 1
    (see :func:`foreground`). With ResNet-34 it has 29.45 M parameters (not verified against the publication).
    """

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        self.encoder.pool_first = False  # E¹ stays at stride 2
        # Channels of E¹ … E⁵ in ResNet-34; of the decoder features and global contexts that come to levels 1 … 4.
        widths, deep, contexts = (64, 64, 128, 256, 512), (64, 128, 256, 512), (64, 64, 128, 256)
        self.adapt = nn.ModuleList(
            [nn.Identity() if c == w else ConvBNReLU(c, w) for c, w in zip(self.encoder.channels, widths, strict=True)]
        )
        totals = [sum(channels) for channels in zip(widths[:4], deep, contexts, strict=True)]
        self.context = GlobalContextModule(widths[4], contexts)
        self.non_local = nn.ModuleList([NonLocal(d) for d in deep])
        self.select = nn.ModuleList([SEModule(total, rd_divisor=1) for total in totals])
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(ConvBNReLU(i, i // 4), ConvBNReLU(i // 4, out))
                for i, out in zip((*totals, widths[4]), (64, *deep), strict=True)
            ]
        )
        self.heads = nn.ModuleList(
            [
                nn.Sequential(ConvBNReLU(d, hidden), nn.Dropout2d(0.1), nn.Conv2d(hidden, num_classes, 1))
                for d, hidden in zip((64, *deep), (32, 16, 32, 64, 128), strict=True)
            ]
        )

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        e = [adapt(level) for adapt, level in zip(self.adapt, levels, strict=True)]
        contexts = self.context(e[4])
        d = self.blocks[4](e[4])
        outputs = [self.heads[4](d)]
        for i in (3, 2, 1, 0):
            size = e[i].shape[-2:]
            d = resize(d, size)
            undecided = 1 - (foreground(resize(outputs[-1], size)) - 0.5).abs() / 0.5
            local = e[i] * (1 + undecided)
            d = self.blocks[i](self.select[i](torch.cat([local, self.non_local[i](d), resize(contexts[i], size)], 1)))
            outputs.append(self.heads[i](d))
        return outputs[::-1]


class SFA(Baseline):
    """SFA: selective feature aggregation with an area and a boundary branch (Fang et al., MICCAI 2019).

    Taken: one encoder and two decoders of the same form, for area and boundary; three up-concatenations, each a level
    beside the next deeper one, that both decoders read; selective kernel modules in the decoders' convolutions.

    Departs: **the boundary branch has no loss of its own**, nor is there the publication's boundary-sensitive loss, as
    training here has no edge target; the area head reads both branches and passes its gradient to both. The encoder is
    a timm one instead of the publication's, every feature has 64 channels, and the selective kernels are 3, 5 and 7
    wide, the wider ones as dilated 3×3 (Li et al., CVPR 2019; timm). The layers are ours where the abstract does not
    fix them; the parameter count is not verified. One output, in training too.
    """

    def __init__(self, encoder: str = "res2net50d", pretrained: bool = True, num_classes: int = 1):
        super().__init__(encoder, pretrained)
        self.reduce = nn.ModuleList([ConvBNReLU(c, WIDTH) for c in self.encoder.channels[1:]])
        self.up_concatenate = nn.ModuleList([ConvBNReLU(2 * WIDTH, WIDTH) for _ in range(3)])
        self.area, self.boundary = (
            nn.ModuleList(
                [
                    nn.Sequential(
                        ConvBNReLU(2 * WIDTH, WIDTH), SelectiveKernel(WIDTH, kernel_size=[3, 5, 7], split_input=False)
                    )
                    for _ in range(3)
                ]
            )
            for _ in range(2)
        )
        self.head = nn.Conv2d(2 * WIDTH, num_classes, 3, padding=1)

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        e = [reduce(level) for reduce, level in zip(self.reduce, levels[1:], strict=True)]
        up = []
        for conv, level, deeper in zip(self.up_concatenate, e[:3], e[1:], strict=True):
            up.append(conv(torch.cat([level, resize(deeper, level.shape[-2:])], 1)))
        area = boundary = e[3]
        for i in (2, 1, 0):
            size = up[i].shape[-2:]
            area = self.area[i](torch.cat([resize(area, size), up[i]], 1))
            boundary = self.boundary[i](torch.cat([resize(boundary, size), up[i]], 1))
        return [self.head(torch.cat([area, boundary], 1))]
