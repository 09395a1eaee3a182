"""The networks as a whole: M2SNet with its triangle, its two wirings side by side, and LGMSNet."""

from canvas import LARGE, NORMAL, SMALL, Box, Drawing

CHANNELS, STRIDES = (64, 256, 512, 1024, 2048), (4, 4, 8, 16, 32)
"""Of the five levels of Res2Net-50, the papers' encoder."""


def draw_network() -> Drawing:
    """Fig. 2: encoder, triangle, enhanced features, decoder."""
    d = Drawing(
        "M2SNet: five levels, ten subtractions, one mask",
        "An encoder gives five levels. Each is reduced to 64 channels, MS_1. Neighbouring levels are subtracted, "
        "and the differences again, up to order 5: a triangle of ten units. Each row is summed up to an enhanced "
        "feature CE. The decoder goes from the deepest level to the shallowest and gives the mask.",
        628,
    )
    rows = [148 + 78 * i for i in range(5)]
    columns = [188, 274, 360, 446, 532]
    for x, words in (
        (72, "encoder"),
        (188, "order 1"),
        (360, "orders 2 to 5: subtraction units"),
        (628, "sums"),
        (732, "decoder"),
    ):
        d.text(x if x != 360 else 403, 62, words, bold=True)
    nodes: dict[tuple[int, int], Box] = {}
    for i, y in enumerate(rows, start=1):  # the sums lie behind the nodes
        d.arrow((columns[0], y - 32), (628, y - 32), (628, y - 17), color="green")
        for n in range(1, 7 - i):
            d.line((columns[n - 1], y - 32), (columns[n - 1], y - 17), color="green")
    for i, y in enumerate(rows, start=1):
        level = d.box(72, y, 112, 34, f"E^{i}", "orange", LARGE)
        d.text(72, y + 28, f"{CHANNELS[i - 1]} channels, 1/{STRIDES[i - 1]}", SMALL, kind="muted")
        for n in range(1, 7 - i):
            color = "orange" if n == 1 else "blue"
            nodes[n, i] = d.box(columns[n - 1], y, 58, 34, f"MS_{n}^{i}", color, LARGE)
        d.arrow(level.right, nodes[1, i].left)
    for (n, i), node in nodes.items():
        if n > 1:
            d.arrow(nodes[n - 1, i].right, node.left, color="sky")
            x, y = nodes[n - 1, i + 1].top
            d.arrow((x + 18, y), (node.x - 20, node.y + 17), color="orange")
    d.box(628, rows[4], 54, 34, "CE^5", "green", LARGE)
    d.line((655, rows[4]), (732, rows[4]), color="purple")
    deeper = 732, rows[4]
    for i in (4, 3, 2, 1):
        ce = d.box(628, rows[i - 1], 54, 34, f"CE^{i}", "green", LARGE)
        here = d.box(732, rows[i - 1], 84, 34, f"D^{i}", "purple", LARGE)
        d.arrow(ce.right, here.left, color="green")
        d.arrow(deeper, here.bottom, color="purple")
        deeper = here.top
    d.arrow(deeper, d.box(732, 92, 84, 30, "mask", "purple").bottom, color="purple")
    legend = (
        ("sky", "shallow input", "orange", "deep input, enlarged to the shallow one's size"),
        ("green", "the row's sum, then Conv", "purple", "enlarged, added to CE^i, then Conv"),
    )
    for row, (first, words, second, more) in enumerate(legend):
        y = 520 + 24 * row
        for x, color, text in ((20, first, words), (300, second, more)):
            d.arrow((x, y), (x + 34, y), color=color)
            d.text(x + 44, y, text, LARGE if "^" in text else NORMAL, "start")
    d.note(574, "1/4: a quarter of the image's height and width. Conv: 3×3, BatchNorm, ReLU, 64 channels.")
    d.note(593, "The last one, at level 1, is a 3×3 convolution to one map of logits, enlarged to the image's size.")
    d.note(612, "Drawn as published, with Res2Net-50. The released code differs in six places.")
    return d


def _draw_wiring(d: Drawing, x0: float, published: bool) -> None:
    """One of the two wirings, its nodes as circles; a small square is a Conv, what differs is red and has a number."""
    rows, columns = [126 + 57 * i for i in range(5)], [x0 + 88 + 50 * n for n in range(5)]
    sums, end = x0 + 318, x0 + 364
    d.text(x0 + 188, 64, "as published, Eq. 2 and 3" if published else "as released", bold=True)
    for i, y in enumerate(rows, start=1):
        d.text(x0 + 28, y, f"E^{i}", LARGE)
        d.text(end, y, f"CE^{i}", LARGE)
        changed = "vermilion" if i == 1 else "grey"
        d.arrow((x0 + 42, y), (columns[0] - 9, y), color=changed)
        if published or i > 1:
            d.area(x0 + 58, y, 10, 10, changed, radius=0)
        for n in range(2, 7 - i):
            d.arrow((columns[n - 2], y), (columns[n - 1] - 9, y), color="sky")
            d.arrow((columns[n - 2], rows[i]), (columns[n - 1] - 6, y + 8), color="orange")
        if i == 5 and not published:  # around the node: the second reduction begins at the encoder
            d.line((x0 + 28, y + 13), (x0 + 28, y + 26), (sums, y + 26), (sums, y), color="vermilion")
            d.area(x0 + 58, y + 26, 10, 10, "vermilion", radius=0)
            d.arrow((sums, y), (end - 18, y), color="vermilion")
            continue
        first, last = 1 if published else 2, 6 - i
        color = "vermilion" if i == 5 or (i == 4 and not published) else "green"
        for n in range(first, last + 1):
            own = "vermilion" if n == 1 else color
            d.line((columns[n - 1], y), (columns[n - 1], y - 21), color=own)
            d.line((columns[n - 1], y - 21), (columns[n] if n < last else sums, y - 21), color=own)
        d.arrow((sums, y - 21), (sums, y), (end - 18, y), color=color)
        if published or i < 4:
            d.area(sums, y - 8, 10, 10, "vermilion" if i > 3 else "green", radius=0)
    for i, y in enumerate(rows, start=1):
        for n in range(1, 7 - i):
            d.circle(columns[n - 1], y, 8, color="orange" if n == 1 else "blue")
    if not published:
        d.area((columns[3] + columns[4]) / 2 - 4, (rows[0] + rows[1]) / 2 + 5, 10, 10, "vermilion", radius=0)
    marks = {
        1: (x0 + 58, rows[0] - 17),
        2: (columns[2] + 22, rows[2]),
        3: (columns[4] + 6, rows[0] + 20),
        4: (columns[0] - 14, rows[1] - 21),
        5: (sums + 16, rows[3] - 16),
        6: (sums + 16, rows[4] - 16 if published else rows[4] + 22),
    }
    for mark, place in marks.items():
        d.circle(*place, 9, str(mark), "vermilion", SMALL)


def draw_wirings() -> Drawing:
    """The six places where the released network and the paper differ."""
    d = Drawing(
        "M2SNet twice: six places differ",
        "Two triangles side by side, the released wiring and the published one. 1: E1 is used as it is, or "
        "reduced. 2: the filters sum over all channels, with BatchNorm and ReLU, or work on each channel by "
        "itself. 3: one more convolution before the last unit, or none. 4: CE leaves out the level's own feature, "
        "or adds it. 5: CE4 has no convolution, or one. 6: CE5 is a second reduction of E5, or a convolution of "
        "MS_1^5.",
        560,
    )
    _draw_wiring(d, 12, published=False)
    _draw_wiring(d, 412, published=True)
    d.text(400, 90, "circles: features of 64 channels; squares: Conv (3×3, BatchNorm, ReLU)", SMALL, kind="muted")
    lines = (
        ("E^1 is used as it is", "E^1 is reduced like the other levels"),
        ("filters sum over channels; BatchNorm, ReLU", "filters: each channel by itself, no more"),
        ("one more Conv before MS_5^1", "no Conv there"),
        ("CE^1 to CE^3 without MS_1^i", "CE^i with the level's own MS_1^i"),
        ("CE^4 is MS_2^4 itself", "CE^4 is a Conv of a sum"),
        ("CE^5 is a second reduction of E^5", "CE^5 is a Conv of MS_1^5"),
    )
    for i, pair in enumerate(lines, start=1):
        for x, words in zip((40, 440), pair, strict=True):
            d.circle(x - 8, 400 + 25 * i - 12, 9, str(i), "vermilion", SMALL)
            d.text(x + 8, 400 + 25 * i - 12, words, LARGE if "^" in words else 15, "start")
    return d
