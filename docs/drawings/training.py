"""What happens in training: LossNet, one step, and a run's life from its settings to a table."""

from canvas import LARGE, NORMAL, SMALL, Box, Drawing


def _lesion(d: Drawing, x: float, y: float, color: str, soft: bool) -> Box:
    """A map with a blob in it: a prediction (soft) or a mask."""
    frame = d.area(x, y, 70, 70, color, radius=2)
    if soft:
        d.circle(x + 3, y - 1, 23, color=color)
    d.dot(x, y, 16, color)
    return frame


def draw_lossnet() -> Drawing:
    """Eq. 5 and 6: prediction and mask through one frozen network, compared at four levels."""
    d = Drawing(
        "LossNet: prediction and mask through one frozen network",
        "The prediction P and the mask G are repeated to three channels, normalised and resized to 224×224. Both "
        "pass the same frozen VGG-16. At four levels the mean of the squared difference of their features is "
        "taken; the sum is the loss L_f. Gradients flow back through the branch of the prediction alone.",
        468,
    )
    top, bottom, middle = 138, 348, 243
    for y, color, name in ((top, "orange", "P, probabilities"), (bottom, "sky", "G, the mask")):
        image = _lesion(d, 62, y, color, soft=y == top)
        d.text(62, y + 50, name, SMALL)
        before = d.box(178, y, 118, 66, "3 channels,\nnormalised,\n224×224", size=SMALL)
        d.chain(image, before, color=color)
        previous = before
        for i, (channels, stride) in enumerate(((64, 1), (128, 2), (256, 4), (512, 8))):
            x, h = 304 + 104 * i, (84, 68, 52, 36)[i]
            here = d.stack(x, y, 40, h, color, i + 2)
            d.chain(previous, here, color=color)
            previous = here
            term = Box(x, middle, 74, 44)
            begin = (x, here.bottom[1]) if y == top else (x, here.top[1])
            d.arrow(begin, term.top if y == top else term.bottom, color=color)
            if y == bottom:
                d.box(*term, f"l_f^{i + 1}", "vermilion", LARGE)
                d.text(x, 424, f"{channels} ch., 1/{stride}", SMALL)
    total = d.circle(740, middle, 24, "L_f", "vermilion")
    d.text(740, middle + 40, "their sum", SMALL)
    for i in range(3):
        d.line((341 + 104 * i, middle), (371 + 104 * i, middle), color="vermilion")
    d.arrow((653, middle), total.left, color="vermilion")
    d.frame(460, 244, 416, 322)
    d.text(
        460,
        446,
        "VGG-16, frozen: nothing in it is learned. Mean squared difference at four levels.",
        SMALL,
        kind="muted",
    )
    d.arrow(total.top, (740, 62), (62, 62), (62, 103), color="vermilion", dashed=True)
    d.text(178, 78, "gradient: to P alone", SMALL)
    return d


def draw_training_step() -> Drawing:
    """One step of training, as published."""
    d = Drawing(
        "One training step of M2SNet",
        "A batch of 16 images and masks, each flipped and rotated at random, is normalised and resized as a whole "
        "to one of five sizes. The network gives logits. Weighted IoU, weighted BCE and LossNet are added up. SGD "
        "changes the weights of the network with a learning rate that rises and falls over the epochs; LossNet is "
        "frozen.",
        464,
    )
    y = 120
    batch = d.stack(64, y, 62, 62, "orange", 4)
    d.text(64, 182, "16 images,\n16 masks, 352²", SMALL)
    augment = d.box(192, y, 112, 62, "each: flip,\nrotation by\nup to ±10°", size=SMALL)
    norm = d.box(316, y, 92, 62, "normalise\nimages", size=SMALL)
    for size in (352, 320, 288, 256, 224):
        d.area(440, y + 48 - size * 0.135, size * 0.27, size * 0.27, "sky", radius=0)
    d.text(494, 94, "one size for\nthe batch:", SMALL, "start")
    d.text(494, 144, "224, 256, 288,\n320 or 352", SMALL, "start")
    network = d.box(696, y, 140, 70, "M2SNet", "blue", LARGE)
    d.chain(batch, augment, norm, Box(440, y, 96, 0))
    d.arrow((592, y), network.left)
    logits = d.box(696, 270, 96, 42, "logits", "purple")
    d.arrow(network.bottom, logits.top, color="purple")
    total = d.circle(350, 270, 20, "+", "vermilion", 20)
    for i, words in enumerate(("IoU, weighted", "BCE, weighted", "λ · LossNet")):
        loss = d.box(506, 222 + 48 * i, 130, 38, words, "vermilion")
        d.arrow(logits.left, (612, 270), (612, loss.y), loss.right, color="purple")
        side = 14 if i != 1 else 20
        d.arrow(loss.left, (400, loss.y), (350 + side, 270 + side * (i - 1)), color="vermilion")
    d.text(506, 190, "each compares with the masks", SMALL, kind="muted")
    d.text(696, 316, "λ: 1 in the paper,\n0.1 in the released code", SMALL, kind="muted")
    sgd = d.box(160, 270, 200, 76, "SGD: Nesterov momentum\n0.9, weight decay 0.0005", size=SMALL)
    d.arrow(total.left, sgd.right, color="vermilion")
    d.text(294, 254, "gradients", SMALL)
    d.arrow(sgd.bottom, (160, 440), (784, 440), (784, y), network.right, color="blue")
    d.text(600, 424, "new weights of the network", SMALL)
    d.line((206, 350), (206, 414), (330, 414), color="grey")
    d.line((210, 412), (268, 354), (326, 412), color="blue", width=2.2)
    d.text(
        346,
        382,
        "learning rate over the epochs: up and\ndown again; at its peak 0.05, for the\nencoder 0.005",
        SMALL,
        "start",
    )
    return d


def draw_run_life() -> Drawing:
    """From the plain settings of a run to a cell of a table."""
    d = Drawing(
        "The life of a run: from settings to a cell of a table",
        "A study lists rows; each row is a run, plain settings with a key. If the key's folder holds a record, "
        "the run is done. Otherwise it is trained, with a checkpoint after every epoch from which a killed run "
        "goes on, then scored, and published by renaming its folder. Tables read the scores of finished runs; "
        "each cell says how it came.",
        470,
    )
    study = d.box(
        112, 104, 184, 74, "a row of a study:\nnetwork, encoder, loss,\nimages, size, epochs, seed", size=SMALL
    )
    key = d.box(326, 104, 168, 74, "key: a hash of these\nsettings and of the\ncode's version", "sky", size=SMALL)
    there = d.box(530, 104, 152, 74, "is there a folder\nof that key\nwith a record?", "orange", size=SMALL)
    d.chain(study, key, there)
    train = d.box(
        530, 240, 178, 74, "train: after each epoch\na checkpoint, so that a\nkilled run goes on", "blue", size=SMALL
    )
    score = d.box(312, 240, 168, 74, "score every test image\nat its mask's own size", "blue", size=SMALL)
    publish = d.box(104, 240, 168, 74, "publish all files by\none rename: never\nhalf a run", "blue", size=SMALL)
    d.arrow(there.bottom, train.top)
    d.text(544, 172, "no", NORMAL, "start")
    d.arrow(train.left, score.right)
    d.arrow(score.left, publish.right)
    folder = d.box(140, 396, 240, 92, "runs/KEY/\nrecord.json, scores.csv,\nlog.csv, model.safetensors", "green")
    d.arrow(publish.bottom, (104, 350))
    cell = d.box(
        602, 396, 356, 92,
        "a cell of each table that has this row:\nmean ± sd over seeds (the paper's)\n"
        "or “published only”, “not run, because …”", "purple", SMALL,
    )  # fmt: skip
    d.arrow(folder.right, cell.left)
    d.text(342, 376, "measured", SMALL)
    d.arrow(there.right, (744, 104), (744, 350), color="green")
    d.text(614, 90, "yes", NORMAL, "start")
    return d


def draw_bce_forms() -> Drawing:
    """The weighted BCE as published and as written, on four pixels."""
    b, w = (0.1, 0.2, 0.3, 2.0), (1, 1, 1, 6)
    mean, total = sum(b) / len(b), sum(w)
    weighted = [x * y for x, y in zip(b, w, strict=True)]
    d = Drawing(
        "The weighted BCE, as published and as written in the released code",
        "Four pixels with their BCE b and their weights w. As published each pixel is weighted, and the sum is "
        "divided by the sum of the weights. As written the mean of b is taken first, so that the weights cancel.",
        330,
    )
    d.text(20, 62, "four pixels", NORMAL, "start", bold=True)
    for x, name, values, color in ((100, "b", b, "sky"), (160, "w", w, "orange")):
        d.text(x, 92, name, LARGE)
        for i, value in enumerate(values):
            d.box(x, 124 + 44 * i, 50, 34, f"{value:g}", color)
    d.text(20, 256, "(a thin\ntip)", SMALL, "start", "muted")
    d.text(300, 62, "as published: weigh each pixel", NORMAL, "start", bold=True)
    products = [d.box(330 + 62 * i, 112, 52, 34, f"{value:g}", "purple") for i, value in enumerate(weighted)]
    d.text(300, 84, "w · b", SMALL, "start")
    sums = d.box(640, 112, 110, 34, f"Σ w·b = {sum(weighted):g}", "purple", SMALL)
    d.arrow(products[-1].right, sums.left)
    d.box(
        640,
        164,
        250,
        36,
        f"{sum(weighted):g} / Σ w = {sum(weighted):g} / {total} = {sum(weighted) / total:.2f}",
        "green",
    )
    d.arrow(sums.bottom, (640, 146))
    d.text(300, 220, "as written: the mean comes first", NORMAL, "start", bold=True)
    first = d.box(358, 268, 116, 36, f"mean b = {mean:g}", "purple")
    d.box(620, 268, 290, 36, f"Σ w · {mean:g} / Σ w = {mean * total / total:.2f}, whatever w is", "vermilion")
    d.arrow(first.right, (475, 268))
    d.note(
        314,
        "The IoU is weighted in both. PyTorch reads reduce='none' as a switch that is on; reduction='none' was meant.",
    )
    return d


def draw_deep_supervision() -> Drawing:
    """A loss at every stage of the decoder, LossNet at the last alone."""
    d = Drawing(
        "Deep supervision: a loss at every stage of the decoder",
        "The stages D4, D3, D2 and D1 of the decoder each give logits, enlarged to the size of the mask. IoU and "
        "BCE are summed over all four. LossNet sees the last output alone.",
        352,
    )
    total, previous = d.circle(716, 164, 20, "+", "vermilion", 20), None
    for row, i in enumerate((1, 2, 3, 4)):
        y = 84 + 62 * row
        stage = d.box(90, y, 110, 40, f"D^{i}", "purple", LARGE)
        logits = d.box(276, y, 150, 40, "logits" if i == 1 else "3×3 conv: logits", size=SMALL)
        large = d.box(440, y, 110, 40, "enlarged", size=SMALL)
        loss = d.box(588, y, 116, 40, "IoU + BCE", "vermilion")
        d.chain(stage, logits, large, loss)
        d.arrow(loss.right, (total.x - 18, total.y + (y - total.y) / 12), color="vermilion")
        if previous:
            d.arrow(stage.top, previous.bottom, color="purple")
        previous = stage
    lossnet = d.box(588, 316, 116, 36, "λ · LossNet", "vermilion")
    d.arrow((510, 84), (510, 316), lossnet.left, color="vermilion")
    d.arrow(lossnet.right, (716, 316), total.bottom, color="vermilion")
    return d
