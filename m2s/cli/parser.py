"""The arguments of every command."""

import argparse
from collections.abc import Callable
from pathlib import Path

from m2s.cli.own import parse_held_out
from m2s.errors import InputError
from m2s.paths import data_label, expand

DEFAULT_NETWORK = "m2snet-polyps"
"""Of ``m2s predict``."""


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are one line, like those of all other bad input."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> None:
        raise InputError(f"{message} (see {self.prog} --help)")


def build_parser() -> Parser:
    """The parser of ``m2s``; ``args.command`` is the name of the command."""
    parser = Parser(prog="m2s", description="MSNet, M2SNet and LGMSNet: tutorials and reproductions")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, help: str, example: str) -> Callable:
        """Begin a command; return what adds an argument to it."""
        epilog = f"example: m2s {name} {example}".rstrip()
        return commands.add_parser(name, help=help, description=help, epilog=epilog).add_argument

    def add_profile_and_data(add: Callable) -> None:
        add("--profile", default="lab", help="how large: smoke, lab (default), full, large or paper")
        help = "'sample' (default: real images on board, else made-up ones), 'phantom' (made-up) or a folder"
        add("--data", default="sample", type=parse_data, help=help)

    def add_task(add: Callable) -> None:
        help = "of a network with a support set for several tasks, such as 'lung CT': the one whose examples it gets"
        add("--task", metavar="NAME", help=help)

    add = command("doctor", "what is installed and found here, and what each profile will take", "--data ~/polyps")
    add("--data", type=parse_data, help="a folder of data sets (default: the variable M2S_DATA)")

    add = command("reproduce", "train every run and execute every notebook", "--profile lab --only 20_polyp_table")
    add_profile_and_data(add)
    add("--cores", type=parse_positive, help="how many cores to use (default: all)")
    add("--only", nargs="+", default=[], metavar="NOTEBOOK", help="these notebooks and the runs they need")
    add("--notebooks", type=parse_path, metavar="DIR", help="another folder of notebooks")
    add("--dry-run", action="store_true", help="list what would be done")
    help = "slurm or another executor plugin of Snakemake (default: local, on this machine)"
    add("--executor", default="local", metavar="NAME", help=help)
    add("--jobs", type=parse_positive, metavar="N", help="how many jobs may be on the cluster at once (default: 20)")
    help = "a folder with Snakemake's config.yaml for the cluster (default: profiles/EXECUTOR)"
    add("--workflow-profile", type=parse_path, metavar="DIR", help=help)

    help = (
        "train on your own images, or a run of the published tables, or go on with it; without --images and --key, the "
        "profile's M2SNet on polyps with your changes"
    )
    add = command("train", help, "--images photos --masks masks --name mine")
    add("--images", type=parse_path, metavar="DIR", help="a folder of your own images")
    add(
        "--masks",
        type=parse_path,
        metavar="DIR",
        help="their masks, paired by name; several classes: with a classes.txt",
    )
    add("--name", metavar="NAME", help="what the trained network is to be called")
    help = "the part that is held out to score on, or a folder with images/ and masks/ (default: 0.2)"
    add("--val", type=parse_held_out, default=0.2, metavar="DIR|PART", help=help)
    help = "a column of a CSV file beside the images (patient, video): what belongs together is held out together"
    add("--group", metavar="COLUMN", help=help)
    add_profile_and_data(add)
    add("--list", action="store_true", help="list the keys and titles of the profile's runs")
    add("--key", nargs="+", help="the keys of some runs of that list, or names that only one has")
    add("--model", metavar="NAME", help="see m2s list")
    add("--encoder", metavar="NAME", help="a timm model name")
    add("--epochs", type=parse_positive)
    add("--size", type=parse_positive, help="side of the training images in pixels")
    add("--seed", type=int)

    add = command("predict", "segment images with a trained network", "photo.jpg folder --out maps --overlay")
    help = "pictures (PNG, JPEG, BMP, TIFF, DICOM), folders of them, or NIfTI volumes for a 3-D network"
    add("images", nargs="+", type=parse_path, metavar="IMAGE", help=help)
    add("--out", type=parse_path, required=True, metavar="DIR", help="where the grey PNGs go, at each image's own size")
    help = f"a network of weights/ (default: {DEFAULT_NETWORK}), a run (its name, key or folder), or an ONNX file"
    add("--network", default=DEFAULT_NETWORK, metavar="NAME|RUN", help=help)
    add_task(add)
    add("--size", type=parse_positive, help="side of the network's input in pixels (default: as trained)")
    help = "write 255 where the probability is above T and 0 elsewhere, instead of the probabilities"
    add("--threshold", type=parse_share, metavar="T", help=help)
    add("--overlay", action="store_true", help="also write the images with the outline, into DIR/overlays")

    add = command("export", "write a trained network as an ONNX file", "m2snet-polyps --out m2snet.onnx")
    add("network", metavar="NAME|RUN", help="a network of weights/, or a run: its name (m2s runs), key or folder")
    add_task(add)
    add(
        "--out", type=parse_path, required=True, metavar="FILE.onnx", help="the file; a card (.md) is written beside it"
    )

    help = "score a folder of prediction maps, or a trained network on a folder of images"
    add = command("evaluate", help, "--pred maps --gt masks --convention released")
    add("--pred", type=parse_path, metavar="DIR", help="grey prediction maps, 255 for probability 1")
    add("--images", type=parse_path, metavar="DIR", help="in place of --pred: images that the network segments first")
    add("--network", default=DEFAULT_NETWORK, metavar="NAME|RUN", help="for --images: as in m2s predict")
    add_task(add)
    add("--gt", type=parse_path, required=True, metavar="DIR", help="the masks, paired with the maps by name")
    add("--convention", default="released", help="released (default), pranet, lgmsnet or monai")
    add("--partial", action="store_true", help="score only the images that have both a map and a mask")
    add("--json", type=parse_path, metavar="F", help="write the means here too")

    add = command("data", "the data sets: what is there, and how to get the rest", "kvasir --root ~/polyps")
    add("name", nargs="?", metavar="NAME", help="show this one in full")
    add_root(add)
    add("--json", action="store_true", help="print it as JSON")

    help = "for a class: notebooks without solutions, and one archive for a room without a network"
    add = command("student", help, "--out build")
    help = "where student/, m2s-student.zip and the teacher's answers.md go, replacing older ones (default: build)"
    add("--out", type=parse_path, default=Path("build"), metavar="DIR", help=help)
    add("--profile", default="lab", help="whose trained networks go into the archive (default: lab)")
    add("--nbgrader", type=parse_path, metavar="DIR", help="write an nbgrader course there instead, with hidden checks")

    help = "time M2SNet in all its forms (as released, fast, compiled, ONNX Runtime) side by side, or a training step"
    add = command("bench", help, "--size 352 --batch 1 --out bench.csv")
    help = "sides of the images in pixels (default: 256 352; with --train the profile's)"
    add("--size", nargs="+", type=parse_positive, metavar="S", help=help)
    help = "images at a time (default: 1 8; with --train the profile's)"
    add("--batch", nargs="+", type=parse_positive, metavar="N", help=help)
    add("--rounds", type=parse_positive, default=5, help="how often each is timed, in turns (default: 5)")
    add("--encoder", metavar="NAME", help="a timm model name (default: res2net50d; with --train the profile's)")
    add("--no-compile", action="store_true", help="leave out the compiled form, which takes minutes to make")
    add("--train", action="store_true", help="time the parts of a training step of M2SNet and MSNet")
    add("--profile", default="full", help="for --train: whose encoder, LossNet, size and batch (default: full)")
    add("--loader", action="store_true", help="time the training loader, with 0, 1 and 2 workers")
    add("--out", type=parse_path, metavar="FILE.csv", help="write the table here too")

    command("list", "the names of the models", "")
    command("runs", "list the finished runs: their names and scores", "")
    add = command("curves", "draw the loss and the learning rate of a run", "m2snet-polyps-160px-s0 --out curves.png")
    add("run", metavar="RUN", help="the name of a run (m2s runs), its key or its folder")
    add("--out", type=parse_path, metavar="F.png", help="the picture (default: KEY-curves.png in this folder)")
    return parser


def build_script_parser(name: str) -> Parser:
    """The parser of ``data_scripts/<name>.py``."""
    script = f"python data_scripts/{name}.py"
    text = f"Fetch, verify and prepare {name}; archives that you put there yourself are used as well."
    parser = Parser(prog=script, description=text, epilog=f"example: {script} --root ~/polyps")
    add = parser.add_argument
    add_root(add)
    add("--check", action="store_true", help="verify what is there, and fetch nothing")
    help = "a download link from the set's page, where there is no fixed one"
    add("--url", action="append", default=[], help=help)
    add("--part", action="store_true", help="prepare an incomplete set as well")
    return parser


def add_root(add: Callable) -> None:
    """Add the option for the folder of all data sets."""
    help = "the folder of all data sets (default: the variable M2S_DATA, or data)"
    add("--root", type=parse_path, metavar="DIR", help=help)


def parse_share(text: str) -> float:
    """A number between 0 and 1, for ``argparse``."""
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1")
    return share


def parse_path(text: str) -> Path:
    """A path with its ``~`` looked up, for ``argparse``."""
    try:
        return expand(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_data(text: str) -> str:
    """``"sample"``, ``"phantom"`` or a folder, for ``argparse``."""
    return str(parse_path(text)) if data_label(text) == "real" else text


def parse_positive(text: str) -> int:
    """A whole number from 1 up, for ``argparse``."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 up")
    return int(text)
