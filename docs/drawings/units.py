"""The units: SU, MSU as published and as released, and how far they see."""

from itertools import pairwise

from canvas import LARGE, NORMAL, SMALL, Drawing


def draw_su() -> Drawing:
    """Eq. 1 on the 5×5 pixels of notebook 01."""
    both = [[2 if 0 < i < 4 and 0 < j < 4 else 0 for j in range(5)] for i in range(5)]
    deep = [[v + (0 < i < 4 and j == 4) for j, v in enumerate(row)] for i, row in enumerate(both)]
    shallow = [[v + {(0, 0): 3, (2, 2): 1}.get((i, j), 0) for j, v in enumerate(row)] for i, row in enumerate(both)]
    apart = [[abs(a - b) for a, b in zip(*rows, strict=True)] for rows in zip(deep, shallow, strict=True)]
    d = Drawing(
        "Subtraction unit (SU), Eq. 1:  SU = Conv(|A − B|)",
        "A deep feature A, enlarged to the size of the shallow feature B, is subtracted from it. The absolute "
        "difference is zero where both agree. A 3×3 convolution with BatchNorm and ReLU follows.",
        266,
    )
    y = 156
    a, b, c = (d.grid(x, y, 25, rows, color, top=4) for x, rows, color in _columns(deep, shallow, apart))
    d.text(a.x, 68, "A, the deep feature,\nenlarged to B's size")
    d.text(b.x, 76, "B, the shallow feature")
    d.text(c.x, 76, "|A − B|")
    d.text((a.x + b.x) / 2, y, "−", 22)
    d.arrow((b.right[0] + 6, y), (c.left[0] - 6, y))
    d.text(a.x, 238, "spills over on the right", SMALL, kind="muted")
    d.text(b.x, 238, "a highlight, and texture", SMALL, kind="muted")
    d.text(c.x, 238, "zero where both agree", SMALL, kind="muted")
    conv = d.frame(584, y, 124, 148)
    d.text(conv.x, 64, "Conv")
    steps = [d.box(conv.x, y + i * 44, 104, 32, name) for i, name in ((-1, "3×3 conv"), (0, "BatchNorm"), (1, "ReLU"))]
    d.arrow((c.right[0] + 6, y), conv.left)
    for upper, lower in pairwise(steps):
        d.arrow(upper.bottom, lower.top)
    out = d.stack(720, y, 70, 70, "green")
    d.arrow(conv.right, (out.left[0] - 2, y))
    d.text(out.x, 90, "SU: 64 channels,\nB's size")
    return d


def _columns(deep, shallow, apart):
    return (85, deep, "orange"), (255, shallow, "sky"), (430, apart, "blue")


def _branches(d: Drawing, first: str, lower: str) -> None:
    """The upper half of both MSUs: A and B through three filters, differences, their sum, Conv; a heading below."""
    deep, shallow = d.stack(62, 110, 56, 44, "orange"), d.stack(62, 240, 56, 44, "sky")
    d.text(16, 66, "A, deep, enlarged", SMALL, "start")
    d.text(16, 283, "B, shallow", SMALL, "start")
    total = d.circle(476, 175, 18, "+", "blue", 20)
    d.text(476, 212, "sum", SMALL)
    for i, name in enumerate((first, "f_3({})", "f_5({})")):
        y = 85 + 90 * i
        minus = d.box(380, y, 66, 34, "| − |", "blue")
        for bus, source, letter, side, color in ((140, deep, "A", -17, "orange"), (156, shallow, "B", 17, "sky")):
            box = d.box(250, y + side, 120, 29, name.format(letter), color, LARGE)
            d.arrow(source.right, (bus, source.y), (bus, box.y), box.left, color=color)
            d.arrow(box.right, (minus.left[0], y + side / 2), color=color)
        d.arrow(minus.right, (442, y), (total.x - 13 * (i != 1) - 18 * (i == 1), 175 + 13 * (i - 1)), color="blue")
    conv = d.box(584, 175, 118, 70, "Conv: 3×3,\nBatchNorm,\nReLU")
    out = d.stack(720, 175, 64, 54, "green")
    d.chain(total, conv, out)
    d.text(720, 126, "MSU, 64 channels", SMALL)
    d.text(20, 326, lower, LARGE, "start", bold=True)


def draw_msu_released() -> Drawing:
    """The unit of the released code, and what is in its filters."""
    d = Drawing(
        "Multi-scale subtraction unit (MSU), as released",
        "A and B pass three filters each: the identity, f3 and f5. The absolute differences are added up and "
        "convolved. Inside f3 and f5 all 64 channels are added up first, then summed over a box; BatchNorm and "
        "ReLU make 64 scaled and shifted copies of this one map. One f3 and one f5 serve all ten units of the "
        "network.",
        478,
    )
    _branches(d, "{}, as it is", "Inside f_3 and f_5 (all ten units of the network share them)")
    y = 392
    maps = d.stack(62, y, 56, 44, sheets=4)
    steps = [
        d.box(174, y, 102, 54, "sum over all\n64 channels", size=SMALL),
        d.area(268, y, 46, 38, "purple", radius=2),
        d.box(370, y, 118, 54, "sum over a box,\n3×3 or 5×5", size=SMALL),
        d.area(472, y, 46, 38, "purple", radius=2),
        d.box(585, y, 140, 54, "BatchNorm, ReLU\n(learned: 64 γ, 64 β)", size=SMALL),
    ]
    d.chain(maps, *steps, d.stack(728, y, 56, 44, "purple", 4))
    for x, words in (
        (62, "64 maps"),
        (268, "one map"),
        (472, "one map"),
        (696, "64 times the same map,\nscaled, shifted, cut at 0"),
    ):
        d.text(x, 444, words, SMALL)
    return d


def draw_msu_published() -> Drawing:
    """The unit as Eq. 2 reads, and what is in its filters."""
    d = Drawing(
        "Multi-scale subtraction unit (MSU), as published, Eq. 2",
        "A and B pass three filters each, f1, f3 and f5. The absolute differences are added up and convolved. "
        "Each filter sums every channel by itself over a box of 1×1, 3×3 or 5×5 pixels; nothing in it is learned.",
        508,
    )
    _branches(d, "f_1({})", "Inside f_1, f_3 and f_5: each channel by itself (our reading of the text)")
    for i, channel in enumerate(("channel 1", "channel 2", "channel 64")):
        y = 366 + 48 * i + 14 * (i == 2)
        d.text(20, y, channel, SMALL, "start")
        before, after = d.area(132, y, 46, 34, "purple", 2), d.area(460, y, 46, 34, "purple", 2)
        d.chain(before, d.box(296, y, 190, 34, "sum over 1×1, 3×3 or 5×5", size=SMALL), after)
    for x in (132, 296, 460):
        d.text(x, 438, "⋮")
    d.text(
        506,
        414,
        "The 1×1 sum is the identity.\nNothing is learned,\nand nothing follows.\nSo f_k(A) − f_k(B) = f_k(A − B).",
        LARGE,
        "start",
    )
    return d


def draw_receptive_fields() -> Drawing:
    """What one pixel of MS_n^i reads on its own level, for three sets of kernels."""
    d = Drawing(
        "How far a node sees on its own level",
        "Nested squares: the window of pixels of MS_1 that one pixel of MS_n reads along the shallow inputs, for "
        "kernels {1}, {1, 3} and {1, 3, 5}. Each order adds the largest box and the 3×3 convolution of one unit.",
        440,
    )
    orders = dict(zip((5, 4, 3, 2), ("purple", "green", "sky", "orange"), strict=True))
    for i, (kernels, name) in enumerate(
        (((1,), "MSNet: kernel 1"), ((1, 3), "kernels 1, 3"), ((1, 3, 5), "M2SNet: kernels 1, 3, 5"))
    ):
        x, y, cell = 135 + 265 * i, 200, 9
        d.text(x, 62, name, bold=True)
        for order, color in orders.items():
            side = measure_side(order, max(kernels))
            d.area(x, y, side * cell, side * cell, color, radius=0)
        d.area(x, y, cell, cell, "vermilion", radius=0)
        sides = ", ".join(str(measure_side(order, max(kernels))) for order in range(2, 6))
        d.text(x, 334, f"sides: {sides} pixels", NORMAL)
    for i, (order, color) in enumerate(reversed(orders.items())):
        d.area(150 + 130 * i, 372, 16, 16, color, radius=0)
        d.text(166 + 130 * i, 372, f"MS_{order}^i", LARGE, "start")
    d.text(
        400,
        412,
        "Each unit adds k − 1 pixels for its largest box and 2 for its 3×3 convolution. Deep inputs see\n"
        "further: a pixel of level i + 1 covers 2×2 pixels of level i (levels 1 and 2 have the same size).",
        SMALL,
        kind="muted",
    )
    return d


def measure_side(order: int, kernel: int) -> int:
    """Side of the window of MS_1^i that one pixel of MS_n^i reads through the shallow inputs, n = ``order``."""
    return 1 + (order - 1) * (kernel - 1 + 2)


def draw_orders() -> Drawing:
    """The triangle of notebook 02 with a number for each level."""
    d = Drawing(
        "Differences of differences, with one number for each level",
        "Two triangles of numbers. The squares 1, 4, 9, 16, 25 have the differences 3, 5, 7, 9, then 2, 2, 2, "
        "then 0. A single level that differs, 0, 0, 1, 0, 0, is still seen at order 4.",
        400,
    )
    for x0, title, first in (
        (20, "levels that grow evenly", [1, 4, 9, 16, 25]),
        (420, "one level differs", [0, 0, 1, 0, 0]),
    ):
        d.text(x0, 62, title, NORMAL, "start", bold=True)
        column, places = first, {}
        for n in range(5):
            x = x0 + 50 + 68 * n
            d.text(x, 92, f"order {n + 1}", SMALL)
            for i, value in enumerate(column):
                places[n, i] = d.circle(
                    x, 128 + 56 * i, 17, str(value), "orange" if n == 0 else "blue" if value else "grey"
                )
            column = [abs(b - a) for a, b in pairwise(column)]
        for (n, i), here in places.items():
            if n:
                d.arrow(places[n - 1, i].right, here.left, color="sky")
                x, y = places[n - 1, i + 1].right
                d.arrow((x - 4, y - 12), (here.x - 12, here.y + 14), color="orange")
    d.note(388, "Each node is |the one below left − the one on its left|, without filters and convolutions.")
    return d


def draw_fast_filter() -> Drawing:
    """The all-one filter as released, and as it is computed here."""
    d = Drawing(
        "The released filter, and the same numbers at a small part of the work",
        "Above: a dense convolution with 64 times 64 all-one filters gives 64 equal maps. Below: the 64 channels "
        "are summed to one map, which is summed over a box. The result is the same.",
        342,
    )
    top, bottom = 120, 244
    for y, words in ((top, "as released"), (bottom, "in m2s")):
        d.text(20, y - 58, words, NORMAL, "start", bold=True)
    maps, out = d.stack(70, top, 56, 44, sheets=4), d.stack(724, top, 56, 44, "purple", 4)
    d.chain(
        maps,
        d.box(396, top, 300, 54, "convolution: for each of 64 outputs\na sum over 64 channels and k×k pixels"),
        out,
    )
    maps, out = d.stack(70, bottom, 56, 44, sheets=4), d.stack(724, bottom, 56, 44, "purple", 4)
    steps = (
        d.box(210, bottom, 130, 54, "sum over\n64 channels"),
        d.area(336, bottom, 46, 38, "purple", 2),
        d.box(462, bottom, 130, 54, "sum over\nk×k pixels"),
        d.area(588, bottom, 46, 38, "purple", 2),
    )
    d.chain(maps, *steps, out)
    d.text(336, bottom + 40, "one map", SMALL)
    d.text(588, bottom + 40, "one map", SMALL)
    d.text(724, bottom + 44, "64 times", SMALL)
    counts = {k: (64 * 64 * k * k, k * k) for k in (3, 5)}
    dense, fast = ([f"{counts[k][i]:,}" for k in counts] for i in (0, 1))
    d.text(396, top + 44, f"multiply-adds for each pixel: {dense[0]} for 3×3, {dense[1]} for 5×5", SMALL)
    d.text(
        396, bottom + 72, f"multiply-adds for each pixel: {fast[0]} for 3×3, {fast[1]} for 5×5, and 63 additions", SMALL
    )
    return d
