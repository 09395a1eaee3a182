"""The commands of ``python -m m2s.nnunet``."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path

from m2s.cli.guard import guarded
from m2s.cli.parser import Parser, parse_positive
from m2s.data.imageset import ImageSet
from m2s.data.load import load_images
from m2s.errors import InputError, unknown
from m2s.nnunet.run import RAW, ROWS, TRAINERS, keep_scores, score_predictions, short_run, write_raw
from m2s.paths import data_label, results_dir


def load_sets(names: Sequence[str], split: str, data: str, limit: int | None) -> list[ImageSet]:
    """The named sets; ``busi/fold1-train`` names another split than ``split``."""
    return [load_images(*(name.split("/") if "/" in name else (name, split)), data, limit) for name in names]


@guarded
def main(argv: Sequence[str] | None = None) -> None:
    """``python -m m2s.nnunet write | score | short | trainers``; return the exit code."""
    args = build_parser().parse_args(argv)
    if args.command == "trainers":
        print(TRAINERS)
        return
    if not os.environ.get(RAW):
        raise InputError("set nnU-Net's folders first: nnUNet_raw, for writing and scoring")
    raw = Path(os.environ[RAW], args.dataset)
    if args.command == "write":
        train = load_sets(args.train, "train", args.data, args.train_limit)
        tests = load_sets(args.test, "test", args.data, args.test_limit)
        print(write_raw(reduce(add, train), tests, raw, args.size, data_label(args.data)))
        return
    if args.command == "short":
        if args.trainer not in ROWS:
            raise unknown("trainer", args.trainer, ROWS)
        row = ROWS[args.trainer]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nnU-Net ends its worker processes by it
        predictions, settings = short_run(args.dataset, args.trainer, args.epochs, args.iterations)
    else:
        row, predictions, settings = args.row, args.predictions, args.settings
    scores = score_predictions(raw, predictions)
    data = json.loads((raw / "dataset.json").read_text(encoding="utf-8"))["data"]
    print(scores.groupby("dataset", sort=False).mean(numeric_only=True).round(3).to_string())
    print(keep_scores(scores, row, settings, results_dir(args.profile, data)))


def build_parser() -> Parser:
    """The arguments of every command."""
    parser = Parser(prog="python -m m2s.nnunet", description="M2SNet in the framework of nnU-Net v2")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND", parser_class=Parser)
    commands.add_parser("trainers", help="print the folder for the variable nnUNet_extTrainer")
    write = commands.add_parser("write", help="write data sets into $nnUNet_raw")
    write.add_argument("dataset", metavar="DatasetNNN_Name")
    write.add_argument("--train", nargs="+", required=True, metavar="NAME", help="a set, or a set/split")
    write.add_argument("--test", nargs="+", required=True, metavar="NAME")
    help = "'sample' (default), 'phantom' (made-up images) or a folder of data sets"
    write.add_argument("--data", default="sample", help=help)
    write.add_argument("--train-limit", type=parse_positive, help="take that many images of each training set")
    write.add_argument("--test-limit", type=parse_positive, help="take that many images of each test set")
    write.add_argument("--size", type=parse_positive, help="shrink images to this longer side in pixels")
    score = commands.add_parser("score", help="score nnU-Net's predictions of imagesTs for notebook 26")
    score.add_argument("dataset", metavar="DatasetNNN_Name")
    score.add_argument("predictions", type=Path, metavar="DIR")
    score.add_argument("--row", required=True, help=f"for instance one of {', '.join(dict.fromkeys(ROWS.values()))}")
    score.add_argument("--settings", required=True, help="in words: trainer, folds, epochs")
    short = commands.add_parser("short", help="plan, train for a few steps, predict and score")
    short.add_argument("dataset", metavar="DatasetNNN_Name")
    short.add_argument("--trainer", default="M2SNetLiteTrainer", metavar="NAME", help=f"one of {', '.join(ROWS)}")
    short.add_argument("--epochs", type=parse_positive, default=5)
    short.add_argument("--iterations", type=parse_positive, default=20, help="batches an epoch")
    for sub in (score, short):
        sub.add_argument("--profile", default="lab", help="whose results folder the scores go to")

    return parser


if __name__ == "__main__":
    sys.exit(main())
