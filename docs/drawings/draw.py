"""Draw every figure of this folder: ``python docs/drawings/draw.py`` writes ``notebooks/drawings/*.svg``."""

import argparse
from collections.abc import Callable
from pathlib import Path

import data
import lessons
import lgmsnet
import networks
import training
import units
from canvas import Drawing

from m2s.paths import ROOT, whole_file

DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "network": networks.draw_network,
    "wirings": networks.draw_wirings,
    "lossnet": training.draw_lossnet,
    "training_step": training.draw_training_step,
    "run_life": training.draw_run_life,
    "lgmsnet": lgmsnet.draw_lgmsnet,
    "lms": lgmsnet.draw_lms,
    "gms": lgmsnet.draw_gms,
    "metric_conventions": data.draw_metrics,
    "leak": data.draw_leak,
    "su": units.draw_su,
    "msu_released": units.draw_msu_released,
    "msu_published": units.draw_msu_published,
    "receptive_fields": units.draw_receptive_fields,
    "orders": units.draw_orders,
    "fast_filter": units.draw_fast_filter,
    "bce_forms": training.draw_bce_forms,
    "deep_supervision": training.draw_deep_supervision,
    "overlap": lessons.draw_overlap,
    "boundaries": lessons.draw_boundaries,
    "folds": lessons.draw_folds,
    "bootstrap": lessons.draw_bootstrap,
    "windows": lessons.draw_windows,
}


def main() -> None:
    """Write each drawing as a whole file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "notebooks" / "drawings", help="the folder to write to")
    out = parser.parse_args().out
    for name, draw in DRAWINGS.items():
        with whole_file(out / f"{name}.svg") as temporary:
            temporary.write_text(draw().svg(), encoding="utf-8", newline="\n")
    print(f"{len(DRAWINGS)} drawings in {out}")


if __name__ == "__main__":
    main()
