"""What every network of the tables costs, side by side, and whether it trains: ``python results/bench/systems.py``.

It writes ``systems.csv``, first counts, then steps, each as soon as it is there, and goes on where it was stopped.
Parameters and multiply-adds are of the form that the profile ``paper`` trains, with one class in 2-D, fourteen in 3-D.
Steps are of the form of the short runs (studies "short" and "short_volumes"), with random weights: eight images of the
sample, or a batch of made-up volumes (4, of Swin UNETR 1), AdamW with rate 0.001, the run's own loss, one thread.
``step_ratio`` is the time of a step over that of U-Net (over lite0, 64 px; in 3-D: MONAI's, cubes of 32), in turns and
in processor seconds, since the machine may be busy: the median of three pairs. "trains": within 200 steps the loss
falls to half of the first one, after ``steps_to_halve``. SegGPT, SAM 2 and MedSAM-2 need the extra ``foundation``.
"""

import csv
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from m2s.baselines.support import InContext
from m2s.data.crops import CropSet
from m2s.data.load import load_images
from m2s.data.tensors import TensorSet, normalize
from m2s.features.cost import count
from m2s.paths import whole_file
from m2s.runs.build import build_loss, build_network
from m2s.runs.small import count_steps_to_halve
from m2s.runs.train import make_optimizer
from m2s.studies import STUDIES, published
from m2s.studies.run import Run
from m2s.studies.short import NAMESAKES
from m2s.studies.study import Row

FILE = Path(__file__).with_name("systems.csv")
COLUMNS = (
    "system", "table", "network", "encoder", "parameters", "publication", "printed_M",
    "GMAC_256", "GMAC_352", "printed_G", "step_form", "step_size", "step_ratio", "trains", "steps_to_halve",
)  # fmt: skip
EFFICIENCY = ("m2snet_v1_table06", "m2snet_revised_table06")
TABLES = {
    **dict.fromkeys(("polyps", "videos", "lung", "breast"), EFFICIENCY), "one_model": (),
    "lgmsnet": ("lgmsnet_table01",), "btcv": ("lgmsnet_table03",),
}  # fmt: skip
"""Study → where its parameters and multiply-adds are printed, the safer reading first."""
PUBLICATIONS = {
    "UTNet": 10_019_049, "TransUNet": 105_322_001, "PraNet": 30_498_319, "ResUNet++": 4_062_993, "ACSNet": 29_450_709,
    "PNS-Net": 9_793_731, "Inf-Net": 31_072_721, "BCS-Net": 44_822_583, "SKU-Net": 3_935_553, "NU-Net": 77_052_833,
    "H-vmunet": 8_569_231, "UniverSeg": 1_182_785, "SegGPT": 370_723_203, "SAM 2": 216_924_865,
    "MedSAM-2": 224_446_642, "Spider": 176_723_360, "LGMSNet's U-Net": 34_527_041,
    "LGMSNet's Attention U-Net": 34_878_573, "LGMSNet's U-Net++": 26_904_137, "Swin-UNet": 27_168_132,
    "MissFormer": 35_452_225, "UCTransNet": 66_430_657, "MADGNet": 31_555_684, "CMUNeXt": 3_149_185,
    "MedT": 1_524_553, "UniRepLKNet": 5_852_509, "UNeXt": 1_471_921, "TinyU-Net": 481_105, "ERDUNet": 10_212_611,
    "LGMSNet": 2_321_393, "SegMamba in 3-D": 67_363_262, "LGMSNet in 3-D": 6_193_742,
}  # fmt: skip
"""Of the released code, in the layers that run; Spider's with its frozen second encoder, ACSNet's over ResNet-34. Of
systems that are not here no exact count is known, or they are MSNet and M2SNet, whose tables print it."""
STEPS, PAIRS = 200, 3


class System(NamedTuple):
    """A row of a table, and its network in two sizes."""

    name: str
    study: str
    row: str
    paper: Run
    """Of the profile ``paper``."""
    short: Run
    """The short run, or the run of the profile ``full`` where there is no short one."""


def list_systems() -> Iterator[System]:
    """Every system of the tables that is trained here, once."""
    seen = set()
    for study in TABLES:
        for row, made in STUDIES[study].rows.items():
            name = NAMESAKES.get(row, row) if study == "lgmsnet" else row
            if study == "btcv" and row in seen:
                name = f"{row} in 3-D"
            if not isinstance(made, Row) or name in seen:
                continue
            seen.add(name)
            short, key = ("short", name) if study != "btcv" else ("short_volumes", row)
            if key not in STUDIES[short].rows:
                short = "volumes"
            paper, short = STUDIES[study].runs(row, "paper", "real")[0], STUDIES[short].runs(key, "full", "real")[0]
            yield System(name, study, row, paper, short)


def count_costs(run: Run) -> dict[str, object]:
    """Parameters, and multiply-adds at two sizes of images, of the network of a run."""
    network = build_network(replace(run, num_classes=14 if run.volumetric else 1), pretrained=False)
    costs: dict[str, object] = {"parameters": sum(p.numel() for p in network.parameters())}
    if not run.volumetric and run.model != "medsam2":  # whose memory, without gradients, PyTorch's counter refuses
        costs |= {f"GMAC_{size}": round(count(network, size)["FLOPs_G"], 2) for size in (256, 352)}
    return costs


def find_printed(study: str, row: str) -> dict[str, float]:
    """What the papers print as parameters (millions) and multiply-adds (10⁹) of a row, if anything."""
    found = {}
    for table in TABLES[study]:
        cells = published.load_table(table).set_index(["row", "metric"])["value"].to_dict()
        columns = {"printed_M": "Params_M", "printed_G": "FLOPs_G"}
        found = {ours: cells[row, theirs] for ours, theirs in columns.items() if (row, theirs) in cells} | found
    return found


def make_step(run: Run) -> Callable[[], float]:
    """A training step of a run's network, untrained, on eight images; it returns the loss that it began with."""
    torch.manual_seed(0)
    network, loss, size = build_network(run, pretrained=False).train(), build_loss(run), run.recipe.size
    if run.volumetric:
        crops = CropSet(load_images("hippocampus", "train", "phantom", limit=run.recipe.batch_size), size)
        images, masks = (torch.stack(part) for part in zip(*crops, strict=True))
    else:
        tensors = TensorSet(load_images("kvasir", "train", "sample", limit=8), size)
        images, masks = normalize(tensors.images, network.mean, network.std), tensors.masks
    masks, examples = masks.float(), []
    if isinstance(network, InContext):  # each image gets the others as examples
        shifts = [torch.arange(8).roll(-1 - i) for i in range(network.drawn)]
        examples = [torch.stack([part[shift] for shift in shifts], 1) for part in (images, masks)]
    optimizer = make_optimizer(network, replace(run.recipe, optimizer="adamw"))
    for group in optimizer.param_groups:
        group["lr"] = 1e-3

    def step() -> float:
        total: Tensor = sum(loss.parts(network(images, *examples), masks).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return total.item()

    return step


def measure_step(run: Run) -> dict[str, object]:
    """The time of a training step over that of U-Net's, and after how many steps the loss is half of the first one."""
    reference = STUDIES["volumes"].runs("U-Net in 3-D", "full", "real")[0]
    reference = reference if run.volumetric else STUDIES["short"].runs("U-Net", "full", "real")[0]
    step, other, ratios = make_step(run), make_step(reference), []

    def timed() -> float:
        if len(ratios) > PAIRS:
            return step()
        start = time.process_time()
        value = step()
        middle = time.process_time()
        other()
        ratios.append((middle - start) / (time.process_time() - middle))
        return value

    steps = count_steps_to_halve(timed, STEPS)
    while len(ratios) <= PAIRS:
        timed()
    form = run.title.split(f", {' '.join(run.train_sets)}")[0]
    return {
        "step_form": form, "step_size": run.recipe.size, "step_ratio": round(statistics.median(ratios[1:]), 2),
        "trains": "no" if steps is None else "yes", "steps_to_halve": steps,
    }  # fmt: skip


def main() -> None:
    """Count what is not in :data:`FILE` yet, then measure the steps that it lacks."""
    torch.set_num_threads(1)
    done: dict[str, dict[str, object]] = {}
    if FILE.exists():
        with FILE.open(encoding="utf-8", newline="") as file:
            done = {line["system"]: line for line in csv.DictReader(file)}
    systems = list(list_systems())
    for system in systems:
        if system.name not in done:
            line = {"system": system.name, "table": system.study}
            line |= {"network": system.paper.model, "encoder": system.paper.encoder}
            line |= {"publication": PUBLICATIONS.get(system.name)} | count_costs(system.paper)
            done[system.name] = line | find_printed(system.study, system.row)
            write(done)
    for system in systems:
        if not done[system.name].get("trains"):
            done[system.name] |= measure_step(system.short)
            write(done)


def write(done: dict[str, dict[str, object]]) -> None:
    """Write :data:`FILE`, and tell how far it is."""
    with whole_file(FILE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(done.values())
    print(f"{len(done)} counted, {sum(bool(line.get('trains')) for line in done.values())} with steps", flush=True)


if __name__ == "__main__":
    main()
