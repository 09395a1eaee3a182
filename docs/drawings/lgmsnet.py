"""LGMSNet and its two blocks, as released."""

from canvas import LARGE, NORMAL, SMALL, Box, Drawing


def draw_lgmsnet() -> Drawing:
    """The U of LGMSNet, stage by stage, for one image of 256×256."""
    d = Drawing(
        "LGMSNet, as released: LMS where pixels are many, GMS where they are few",
        "A U-shaped network. The contracting path has LMS blocks at 256, 128 and 64 pixels and GMS blocks at 32 "
        "and 16. The expanding path enlarges, joins the skip by Fusion, and at 32 and 64 pixels uses GMS again. A "
        "1×1 convolution gives the logits.",
        560,
    )
    rows = [112 + 92 * i for i in range(5)]
    left, right = 206, 594
    down = ("3×3 conv, BN, ReLU → 16\nLMS, 1×1 → 16", "LMS, 1×1 → 32", "LMS, 1×1 → 64", "GMS → 128")
    up = (
        ("Fusion → 16", "Up → 16"),
        ("Fusion → 32", "Up → 32"),
        ("Fusion → 64, GMS → 64", "Up → 64"),
        ("GMS → 128 (no Fusion)", "Up → 128"),
    )
    d.text(left, 66, "contracting path", bold=True)
    d.text(right, 66, "expanding path", bold=True)
    for i, y in enumerate(rows):
        d.text(20, y, f"{256 >> i}²", LARGE, "start")
    bottom = d.box(400, rows[4], 196, 50, "GMS → 128", "purple")
    boxes = []
    for i, (words, (join, enlarge)) in enumerate(zip(down, up, strict=True)):
        color = "purple" if i == 3 else "sky"
        a = d.box(left, rows[i], 196, 50, words, color, SMALL if i == 0 else NORMAL)
        b = d.box(right, rows[i], 196, 50, join, "purple" if i in (2, 3) else "green")
        d.arrow(a.right, b.left, color="orange")
        boxes.append((a, b, enlarge))
    d.text(400, rows[0] - 14, "skip", SMALL)
    for i, (a, b, enlarge) in enumerate(boxes):
        y = rows[i] + 46
        if i < 3:
            d.arrow(a.bottom, boxes[i + 1][0].top, color="blue")
            d.arrow(boxes[i + 1][1].top, b.bottom, color="green")
        else:
            d.arrow(a.bottom, (left, rows[4]), bottom.left, color="blue")
            d.arrow(bottom.right, (right, rows[4]), b.bottom, color="green")
        d.text(left - 10, y, "max-pool 2", SMALL, "end")
        d.text(right + 10, y, enlarge, SMALL, "start")
    d.arrow(boxes[0][1].right, (708, rows[0]), color="grey")
    d.box(744, rows[0], 70, 50, "1×1 → 1\nlogits", size=SMALL)
    d.note(
        524,
        "→ 64: channels of the result. Up: bilinear ×2, 3×3 conv, BN, ReLU. Where paths meet they are concatenated.",
        "",
    )
    d.note(544, "As published: Fusion at every skip, and LMS at 256² and 128² on the expanding path too.")
    return d


def draw_lms() -> Drawing:
    """The local block: four window sizes, then a bottleneck."""
    d = Drawing(
        "LMS, as released: four window sizes, each for a quarter of the channels",
        "The C channels are split into four quarters. Each has a depthwise convolution of its own size, 3, 5, 7 "
        "or 9. They are put together and the input is added; group norm, GELU, a 1×1 convolution to a quarter of "
        "the channels and a 3×3 convolution back; the input is added again.",
        384,
    )
    middle, colors = 200, ("orange", "sky", "green", "purple")
    start = d.area(40, middle, 32, 204, "grey", 2)
    d.text(50, 82, "x: C channels", SMALL, "start")
    together = d.area(262, middle, 32, 204, "grey", 2)
    for i, (kernel, color) in enumerate(zip((3, 5, 7, 9), colors, strict=True)):
        y = middle + 51 * (i - 1.5)
        d.area(40, y, 26, 44, color, 2), d.area(262, y, 26, 44, color, 2)
        side = 4.6 * kernel
        window = d.area(120, y, side, side, color, 0)
        d.arrow((start.right[0], y), window.left, color=color)
        d.text(150, y, f"{kernel}×{kernel}", NORMAL, "start")
        d.arrow((196, y), (together.left[0], y), color=color)
    d.text(146, 318, "depthwise: each channel by itself", SMALL)
    d.text(258, 82, "C channels", SMALL)
    plus = d.circle(322, middle, 15, "+", "vermilion", 20)
    norm = d.box(412, middle, 102, 60, "GroupNorm\n(4 groups),\nGELU", size=SMALL)
    squeeze = d.box(528, middle, 94, 60, "1×1\nC → C/4,\nBN, SiLU", size=SMALL)
    expand = d.box(640, middle, 94, 60, "3×3\nC/4 → C,\nBN, SiLU", size=SMALL)
    last = d.circle(722, middle, 15, "+", "vermilion", 20)
    d.chain(together, plus, norm, squeeze, expand, last, Box(778, middle, 4, 0))
    d.line((40, 98), (40, 62), (722, 62), color="vermilion")
    d.arrow((722, 62), last.top, color="vermilion")
    d.arrow((322, 62), plus.top, color="vermilion")
    d.text(520, 76, "x is added twice", SMALL)
    d.note(354, "As published: SiLU instead of GELU; x is added once, after the activation. BN: BatchNorm.")
    return d


def draw_gms() -> Drawing:
    """The global block: attention for some channels, a depthwise convolution for the others."""
    d = Drawing(
        "GMS, as released: attention for three quarters, convolution for one",
        "A 3×3 and a 1×1 convolution; then three quarters of the channels go through a transformer layer over "
        "four sequences of pixels that share their place in a 2×2 patch, and one quarter through depthwise "
        "convolutions with a residual. Both are joined by a 1×1 convolution, concatenated with the input of the "
        "block, and a 3×3 convolution gives the result.",
        488,
    )
    top, bottom, middle = 130, 300, 215
    x = d.box(48, middle, 56, 44, "x: d", "orange")
    local = d.box(148, middle, 92, 96, "3×3, d → c,\nBN, SiLU;\n1×1, c → c,\nBN, SiLU", size=SMALL)
    d.chain(x, local)
    patches = Box(292, top, 112, 112)
    for i in range(8):
        for j in range(8):
            color = ("orange", "sky", "green", "purple")[2 * (i % 2) + j % 2]
            d.area(292 + 14 * (j - 3.5), top + 14 * (i - 3.5), 14, 14, color, 0)
    attention = d.box(420, top, 92, 92, "+ attention\nin each\nsequence,\n4 heads of 8", "blue", SMALL)
    mlp = d.box(516, top, 64, 92, "+ MLP,\nt → 2c\n→ t", "blue", SMALL)
    d.chain(patches, attention, mlp)
    d.arrow(local.right, (214, middle), (214, top), patches.left, color="blue")
    d.text(204, 150, "¾: t", SMALL, "end")
    d.text(292, 202, "four sequences", SMALL)
    first = d.box(320, bottom, 132, 60, "depthwise 3×3,\nBN, ReLU", size=SMALL)
    second = d.box(462, bottom, 104, 60, "depthwise 1×1,\nBN", size=SMALL)
    plus = d.circle(544, bottom, 14, "+", "vermilion", 20)
    d.arrow(local.right, (214, middle), (214, bottom), first.left, color="green")
    d.text(204, 284, "¼: c − t", SMALL, "end")
    d.chain(first, second, plus)
    d.arrow((234, bottom), (234, 350), (544, 350), plus.bottom, color="vermilion")
    mix = d.box(622, middle, 72, 70, "concat,\n1×1,\nBN, SiLU", size=SMALL)
    d.arrow(mlp.right, (622, top), mix.top, color="blue")
    d.arrow(plus.right, (622, bottom), mix.bottom, color="green")
    out = d.box(724, middle, 92, 84, "concat x,\n3×3,\nc + d → c,\nBN, SiLU", size=SMALL)
    d.chain(mix, out)
    d.arrow(x.bottom, (48, 384), (724, 384), out.bottom, color="orange")
    d.arrow(out.top, (724, 60), color="grey")
    d.text(734, 66, "c", NORMAL, "start")
    d.text(380, 398, "x once more", SMALL)
    d.note(428, "Attention compares pixels of one colour only: they have the same place in their 2×2 patch.", "")
    d.note(448, "x has d channels, the result c, the attention t of them. +: a residual. BN: BatchNorm.", "")
    d.note(
        468,
        "As published: the 3×3 keeps d channels and the 1×1 expands them; one depthwise 3×3 is the whole lower branch.",
    )
    return d
