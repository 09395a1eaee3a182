"""Make a network to take home from a finished polyp run: python weights/make.py RUN-FOLDER NAME.

Writes ``weights/NAME/``: ``config.json``, ``model.safetensors`` (float16) and ``README.md``, the model card. The folder
has the form of a Hugging Face model, so that publishing it is one upload.
"""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from m2s.data.sets import CATALOGUE
from m2s.errors import InputError
from m2s.pretrained import CONFIG, FOLDER, MODEL, halve_state, load_pretrained
from m2s.runs.models import load_model
from m2s.runs.store import RECORD, SCORES
from m2s.studies import STUDIES
from m2s.studies.published import load_table
from m2s.studies.run import split_of
from m2s.tables.text import describe_lossnet

LIMIT = 9e6
"""Bytes of one file."""
ROWS = {"m2snet": "M2SNet", "msnet": "MSNet"}
"""Model → row of the printed table."""
PRINTED = ["mDice", "mIoU", "wFm", "Sm", "Em", "MAE"]
PLAIN = ["Dice", "IoU", "Precision", "Recall", "HD95"]

CARD = """---
license: other
license_name: for-research-and-education
library_name: m2s
pipeline_tag: image-segmentation
tags: [medical, polyp-segmentation, {model}]
metrics: [dice, iou]
---

# {name}

{title} for polyps in colonoscopy images ([paper](https://arxiv.org/abs/2303.10894)), trained by m2s, a tutorial and
reproduction of MSNet, M2SNet and LGMSNet. These are not the authors' weights.

**This is no medical device.** It is made for teaching and research. Do not use it for a diagnosis or for any decision
about a patient.

```python
import m2s
from m2s.data import read_image

network = m2s.load_pretrained("{name}")
probabilities = m2s.predict(network, read_image("photo.jpg"))  # (H, W), at the image's own size
```

On the command line: `m2s predict photo.jpg --network {name} --out maps --overlay`.

## Scores

Of the run that this file was made from, one seed; the paper's own figure in brackets, "–" where it prints none. The
paper's settings are Res2Net-50, 352 px, 50 epochs.

Convention of the papers ("released": the map is stretched to 0 … 1, Dice is soft, IoU at 0.5):

{printed}

At the threshold 0.5, without stretching; HD95 in pixels of the mask, over images where something was found:

{plain}

## Training

{settings}

## Data and licences

{data}

The code is under the MIT licence. The weights were learnt from these images, so the terms of the images hold as well.

## Known failures

{failures}

- All training images show a polyp. On images without one the network was never tested; expect false alarms.
- It saw still images of {sets} only. Other light (narrow band), other organs, blur and instruments were not tested.
"""


def main(folder: Path, name: str) -> Path:
    """Write ``weights/<name>`` from the run in ``folder``; replaces an older one."""
    network, size = load_model(folder)
    record = json.loads((folder / RECORD).read_text())
    settings, scores = record["settings"], pd.read_csv(folder / SCORES)
    if settings["model"] not in ROWS or settings["num_classes"] != 1 or settings["data"] != "real":
        raise InputError(f"{folder} is no run of MSNet or M2SNet on real polyp images")
    trained_on = [split_of(train_set, "train")[0] for train_set in settings["train_sets"]]
    config = {
        "model": settings["model"],
        "encoder": settings["encoder"],
        "options": dict(settings["options"]),
        "num_classes": settings["num_classes"],
        "classes": list(CATALOGUE[trained_on[0]].classes),
        "size": size,
        "mean": list(network.mean),
        "std": list(network.std),
        "run": record["key"],
        "scores": scores.drop(columns="image").groupby("dataset", sort=False).mean().round(4).to_dict("index"),
    }
    target = FOLDER / name
    temporary = target.with_name(f".{name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(halve_state(network.state_dict()), temporary / MODEL)
    (temporary / MODEL).chmod(0o644)
    if (temporary / MODEL).stat().st_size > LIMIT:
        raise InputError(f"{temporary / MODEL} has more than {LIMIT / 1e6:.0f} MB: take a run with a smaller encoder")
    (temporary / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    (temporary / "README.md").write_text(write_card(name, record, scores, len(pd.read_csv(folder / "log.csv"))))
    load_pretrained(temporary)
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    return target


def write_card(name: str, record: dict, scores: pd.DataFrame, done: int) -> str:
    """The model card, every figure from the run's record and scores; ``done`` is the number of epochs."""
    settings = record["settings"]
    options = ", ".join(f"{key} {value}" for key, value in dict(settings["options"]).items())
    title = ROWS[settings["model"]] + (f" ({options})" if options else " as released")
    sets = [CATALOGUE[split_of(one, "train")[0]] for one in settings["train_sets"]]
    return CARD.format(
        name=name, title=title, model=settings["model"], printed=list_printed(settings["model"], scores),
        plain=list_plain(scores), settings=describe_training(record, done),
        data="\n".join(f"- {one.title}: {one.citation}; {one.licence}." for one in sets),
        failures=list_failures(scores), sets=" and ".join(one.title for one in sets),
    )  # fmt: skip


def list_printed(model: str, scores: pd.DataFrame) -> str:
    """The scores in the papers' convention beside the printed ones, as Markdown."""
    study = STUDIES["polyps"]
    table = load_table(study.published)
    paper = table[table["row"] == ROWS[model]].set_index(["dataset", "metric"])["value"]
    rows = []
    for name, of_set in scores.groupby("dataset", sort=False):
        means, printed = of_set[PRINTED].mean(), study.datasets.get(name)
        cells = [
            f"{means[m]:.3f} ({paper.get((printed, m), float('nan')):.3f})".replace("(nan)", "(–)") for m in PRINTED
        ]
        rows.append([CATALOGUE[name].title, str(len(of_set)), *cells])
    return write_table(["test set", "images", *PRINTED], rows)


def list_plain(scores: pd.DataFrame) -> str:
    """Dice, IoU, precision, recall and HD95 at 0.5, as Markdown."""
    groups = scores.rename(columns={"Jaccard": "IoU", "IoU": "IoU of LGMSNet"}).groupby("dataset", sort=False)
    rows = []
    for name, of_set in groups:
        means = of_set[PLAIN].mean()
        shares = [f"{means[metric]:.3f}" for metric in PLAIN[:-1]]
        rows.append([CATALOGUE[name].title, *shares, f"{means['HD95']:.1f}"])
    return write_table(["test set", *PLAIN], rows)


def list_failures(scores: pd.DataFrame) -> str:
    """How many polyps of each set were missed, or mostly missed."""
    lines = []
    for name, of_set in scores.groupby("dataset", sort=False):
        missed, poor = (of_set["Dice"] < 0.1).sum(), (of_set["Dice"] < 0.5).sum()
        text = f"{missed} of {len(of_set)} images have a Dice below 0.1 (the polyp is missed), {poor} below 0.5"
        lines.append(f"- {CATALOGUE[name].title}: {text}.")
    return "\n".join(lines)


def describe_training(record: dict, done: int) -> str:
    """The settings of the run, of which so many epochs are done, as a list in Markdown."""
    settings, recipe = record["settings"], record["settings"]["recipe"]
    gpu = record["machine"]["gpu"]
    epochs = f"{recipe['epochs']} epochs" if done == recipe["epochs"] else f"{done} of {recipe['epochs']} epochs"
    return "\n".join([
        f"- Encoder {settings['encoder']}, weights from: {record['weights']}; {record['parameters']:,} parameters.",
        f"- {record['data'][0]['images']:,} training images, {recipe['size']} px, {epochs}, "
        f"batches of {recipe['batch_size']}, seed {recipe['seed']}; {recipe['optimizer']}, learning rates "
        f"{recipe['lr']} and {recipe['encoder_lr']} (encoder), schedule {recipe['schedule']}.",
        f"- Loss: {' and '.join(settings['loss_terms'])} ({settings['loss_form']}); {describe_lossnet(settings)}.",
        f"- {record['seconds']['training'] / 60:.0f} minutes on {gpu or record['machine']['processor']}; torch "
        f"{record['machine']['versions']['torch']}.",
        f"- Run `{record['key']}`, finished {record['finished']}.",
        *([f"- Remark: {record['remark']}."] if "remark" in record else []),
    ])  # fmt: skip


def write_table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python weights/make.py RUN-FOLDER NAME")
    try:
        print(main(Path(sys.argv[1]), sys.argv[2]))
    except InputError as error:
        sys.exit(f"m2s: error: {error}")
