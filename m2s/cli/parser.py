"""The arguments of every command."""

import argparse
from pathlib import Path

from m2s.errors import InputError


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are one line, like those of all other bad input."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> None:
        raise InputError(f"{message} (see {self.prog} --help)")


ROOT_HELP = "the folder of all data sets (default: the variable M2S_DATA, or data)"


def build_parser() -> Parser:
    """The parser of ``m2s``; ``args.command`` is the name of the command."""
    parser = Parser(prog="m2s", description="MSNet, M2SNet and LGMSNet: tutorials and reproductions")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, help: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=help, epilog=f"example: m2s {example}")

    def knobs(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--profile", default="lab", help="how large: smoke, lab (default), full or paper")
        sub.add_argument(
            "--data", default="phantom", help="'phantom' (made-up images, default) or a folder of data sets"
        )

    sub = command(
        "doctor", "what is installed and found here, and what each profile will take", "doctor --data ~/polyps"
    )
    sub.add_argument("--data", help="a folder of data sets (default: the variable M2S_DATA)")

    sub = command(
        "reproduce", "train every run and execute every notebook", "reproduce --profile lab --only 20_polyp_table"
    )
    knobs(sub)
    sub.add_argument("--cores", type=parse_positive, help="how many cores to use (default: all)")
    sub.add_argument("--only", nargs="+", default=[], metavar="NOTEBOOK", help="these notebooks and the runs they need")
    sub.add_argument("--notebooks", type=Path, metavar="DIR", help="another folder of notebooks")
    sub.add_argument("--dry-run", action="store_true", help="list what would be done")

    sub = command(
        "train",
        "train a run, or go on with it; without --key, the profile's M2SNet on polyps with your changes",
        "train --profile lab --model msnet --seed 1",
    )
    knobs(sub)
    sub.add_argument("--list", action="store_true", help="list the keys and titles of the profile's runs")
    sub.add_argument("--key", nargs="+", help="the keys of some runs of that list")
    sub.add_argument("--model", metavar="NAME", help="see m2s list")
    sub.add_argument("--encoder", metavar="NAME", help="a timm model name")
    sub.add_argument("--epochs", type=parse_positive)
    sub.add_argument("--size", type=parse_positive, help="side of the training images in pixels")
    sub.add_argument("--seed", type=int)

    sub = command(
        "predict",
        "segment images with a trained run",
        "predict a.jpg b.jpg --checkpoint results/lab-phantom/runs/KEY --out maps",
    )
    sub.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    sub.add_argument(
        "--checkpoint", type=Path, required=True, metavar="F", help="the folder of a run, or its model.safetensors"
    )
    sub.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the grey PNGs go, at each image's own size"
    )
    sub.add_argument("--size", type=parse_positive, help="side of the network's input in pixels (default: as trained)")

    sub = command(
        "evaluate", "score a folder of prediction maps", "evaluate --pred maps --gt masks --convention released"
    )
    sub.add_argument(
        "--pred", type=Path, required=True, metavar="DIR", help="grey prediction maps, 255 for probability 1"
    )
    sub.add_argument("--gt", type=Path, required=True, metavar="DIR", help="the masks, paired with the maps by name")
    sub.add_argument("--convention", default="released", help="released (default), pranet, lgmsnet or monai")
    sub.add_argument("--partial", action="store_true", help="score only the images that have both a map and a mask")
    sub.add_argument("--json", type=Path, metavar="F", help="write the means here too")

    sub = command("data", "the data sets: what is there, and how to get the rest", "data kvasir --root ~/polyps")
    sub.add_argument("name", nargs="?", metavar="NAME", help="show this one in full")
    sub.add_argument("--root", type=Path, metavar="DIR", help=ROOT_HELP)
    sub.add_argument("--json", action="store_true", help="print it as JSON")

    sub = command(
        "student",
        "for a class: notebooks without solutions, and one archive for a room without a network",
        "student --out build",
    )
    sub.add_argument(
        "--out",
        type=Path,
        default=Path("build"),
        metavar="DIR",
        help="where student/, m2s-student.zip and the teacher's answers.md go, replacing older ones (default: build)",
    )
    sub.add_argument("--profile", default="lab", help="whose trained networks go into the archive (default: lab)")
    sub.add_argument(
        "--nbgrader", type=Path, metavar="DIR", help="write an nbgrader course there instead, with hidden checks"
    )

    sub = command("bench", "time M2SNet against the same network with dense all-one filters", "bench --size 352")
    sub.add_argument("--size", type=parse_positive, default=352)
    sub.add_argument("--encoder", default="res2net50d", metavar="NAME")
    sub.add_argument("--loader", action="store_true", help="time the training loader instead")

    command("list", "the names of the models", "list")
    return parser


def parse_positive(text: str) -> int:
    """A whole number from 1 up, for ``argparse``."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 up")
    return int(text)
