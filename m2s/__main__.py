"""The command line, ``m2s`` or ``python -m m2s``. Exit codes: 0, 1 (failed), 2 (bad arguments or bad input)."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from m2s.errors import InputError, RunError

# torch and all that needs it is imported inside the commands, so that --help answers at once.


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are one line, like those of all other bad input."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> None:
        raise InputError(f"{message} (see {self.prog} --help)")


def doctor(args: argparse.Namespace) -> int:
    from m2s.doctor import examine

    return examine(args.data)


def reproduce(args: argparse.Namespace) -> None:
    from m2s.reproduce import reproduce

    reproduce(args.profile, args.data, args.cores, args.only, args.dry_run, args.notebooks)


def train(args: argparse.Namespace) -> None:
    from m2s import paths, runs, studies

    if args.list:
        for run in studies.runs(args.profile, args.data):
            print(f"{run.key}  {run.title}")
        return
    network = {name: getattr(args, name) for name in ("model", "encoder") if getattr(args, name) is not None}
    recipe = {name: getattr(args, name) for name in ("size", "epochs", "seed") if getattr(args, name) is not None}
    results = paths.results_dir(args.profile, args.data)
    if not args.key:
        studies.runs(args.profile, args.data)  # a wrong profile or folder is told before anything is written
        run = studies.STUDIES["polyps"].runs("M2SNet", args.profile, args.data)[0]
        run = replace(run, **network, recipe=replace(run.recipe, **recipe))
        run.create(pretrained=False)  # a name that does not exist is told before anything is written
        print(f"run {run.key}: {run.title}", flush=True)
        print(runs.execute(run, results, args.data))
        return
    if network or recipe:
        raise InputError(f"--key names a run as it is in the list: leave out --{' and --'.join(network | recipe)}")
    failed = {}
    for run in [studies.find(args.profile, args.data, key) for key in args.key]:
        print(f"run {run.key}: {run.title}", flush=True)
        try:
            print(runs.execute(run, results, args.data), flush=True)
        except (InputError, RunError) as error:  # the others do not depend on it
            if len(args.key) == 1:
                raise
            failed[run.key] = str(error)
            print(f"m2s: error: {error}", file=sys.stderr)
    if failed:
        raise RunError("; ".join(f"{key}: {error}" for key, error in failed.items()))


def predict(args: argparse.Namespace) -> None:
    targets = {args.out / f"{path.stem}.png": path for path in args.images}
    for path in args.images:
        if not path.is_file():
            raise InputError(f"no such image: {path}")
        if (other := targets[args.out / f"{path.stem}.png"]) != path:
            raise InputError(f"{path} and {other} would both be written as {path.stem}.png: predict one at a time")

    import numpy as np
    from PIL import Image

    from m2s import runs, training
    from m2s.data import read_image

    model, size = runs.load_model(args.checkpoint)
    for target, path in targets.items():
        prediction = training.predict(model, read_image(path), args.size or size)
        grey = prediction.argmax(0) if prediction.ndim == 3 else np.rint(prediction * 255)  # many classes: indices
        picture = BytesIO()
        Image.fromarray(grey.astype(np.uint8)).save(picture, "PNG")
        write(target, picture.getvalue())
        print(target)


def evaluate(args: argparse.Namespace) -> None:
    from m2s import metrics

    table = metrics.evaluate_folders(args.pred, args.gt, args.convention, args.partial)
    print(metrics.report(table))
    if args.json:
        write(args.json, (metrics.summary(table).to_json(indent=2) + "\n").encode())


def write(target: Path, content: bytes) -> None:
    """Write a whole file or none."""
    from m2s.paths import whole_file

    try:
        with whole_file(target) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error


def data(args: argparse.Namespace) -> None:
    import json

    from m2s.data import listing

    root = data_root(args.root)
    if args.root and not root.is_dir():
        raise InputError(f"no such folder: {root}; give the folder that holds the data sets")
    told = [listing.status(args.name, root)] if args.name else listing.overview(root)
    if args.json:
        print(json.dumps(told[0] if args.name else told, indent=2, ensure_ascii=False))
    elif args.name:
        print(listing.in_full(told[0]))
    else:
        print(listing.as_table(told, root))


def data_root(root: Path | None) -> Path:
    from m2s.data import obtain

    return root.expanduser() if root else obtain.default_root()


def data_script(name: str, argv: Sequence[str] | None = None) -> int:
    """The command line of ``data_scripts/<name>.py``; return the exit code."""

    def work() -> None:
        from m2s.data import obtain

        script = f"python data_scripts/{name}.py"
        text = f"Fetch, verify and prepare {name}; archives put there by hand are taken as well."
        parser = Parser(prog=script, description=text, epilog=f"example: {script} --root ~/polyps")
        parser.add_argument("--root", type=Path, metavar="DIR", help=ROOT_HELP)
        parser.add_argument("--check", action="store_true", help="verify what is there, and fetch nothing")
        parser.add_argument(
            "--url",
            action="append",
            default=[],
            help="a download link from the set's page, where there is no fixed one",
        )
        parser.add_argument("--part", action="store_true", help="prepare an incomplete set as well")
        args = parser.parse_args(argv)
        if args.check and (args.url or args.part):
            raise InputError("--check fetches and prepares nothing: leave out --url and --part")
        root = data_root(args.root)
        if args.check:
            obtain.check(name, root)
        else:
            obtain.get(name, root, tuple(args.url), args.part)

    return guarded(work)


def student(args: argparse.Namespace) -> None:
    from m2s import classroom

    if args.nbgrader:
        for path in classroom.write_course(args.nbgrader):
            print(path)
        return
    archive = classroom.write_student(args.out, args.profile)
    copies = len(list((args.out / "student").glob("*.ipynb")))
    print(f"{args.out / 'student'}: {copies} notebooks without solutions")
    print(f"{args.out / 'answers.md'}: the answers, for the teacher")
    print(f"{archive}: all that a room without a network needs ({archive.stat().st_size / 1e6:.0f} MB)")


def bench(args: argparse.Namespace) -> None:
    from m2s.bench import filters_ratio, loader_rate

    if args.loader:
        for workers in (0, 1, 2):
            print(
                f"{workers} workers: {loader_rate(args.size, workers):.0f} images a second at {args.size} px, augmented"
            )
        return
    ratio = filters_ratio(args.size, encoder=args.encoder)
    print(
        f"M2SNet ({args.encoder}, {args.size} px), one image: {ratio:.3f} of the time that dense all-one filters take"
    )


def models(args: argparse.Namespace) -> None:
    from m2s.zoo import list_models

    print("\n".join(list_models()))


ROOT_HELP = "the folder of all data sets (default: the variable M2S_DATA, or data)"


def build() -> Parser:
    parser = Parser(prog="m2s", description="MSNet, M2SNet and LGMSNet: tutorials and reproductions")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def command(function, help: str, example: str) -> argparse.ArgumentParser:
        name = "list" if function is models else function.__name__
        sub = commands.add_parser(name, help=help, description=help, epilog=f"example: m2s {example}")
        sub.set_defaults(function=function)
        return sub

    def knobs(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--profile", default="lab", help="how large: smoke, lab (default), full or paper")
        sub.add_argument(
            "--data", default="phantom", help="'phantom' (made-up images, default) or a folder of data sets"
        )

    sub = command(doctor, "what is installed and found here, and what each profile will take", "doctor --data ~/polyps")
    sub.add_argument("--data", help="a folder of data sets (default: the variable M2S_DATA)")

    sub = command(
        reproduce, "train every run and execute every notebook", "reproduce --profile lab --only 20_polyp_table"
    )
    knobs(sub)
    sub.add_argument("--cores", type=positive, help="how many cores to use (default: all)")
    sub.add_argument("--only", nargs="+", default=[], metavar="NOTEBOOK", help="these notebooks and the runs they need")
    sub.add_argument("--notebooks", type=Path, metavar="DIR", help="another folder of notebooks")
    sub.add_argument("--dry-run", action="store_true", help="list what would be done")

    sub = command(
        train,
        "train a run, or go on with it; without --key, the profile's M2SNet on polyps with your changes",
        "train --profile lab --model msnet --seed 1",
    )
    knobs(sub)
    sub.add_argument("--list", action="store_true", help="list the keys and titles of the profile's runs")
    sub.add_argument("--key", nargs="+", help="the keys of some runs of that list")
    sub.add_argument("--model", metavar="NAME", help="see m2s list")
    sub.add_argument("--encoder", metavar="NAME", help="a timm model name")
    sub.add_argument("--epochs", type=positive)
    sub.add_argument("--size", type=positive, help="side of the training images in pixels")
    sub.add_argument("--seed", type=int)

    sub = command(
        predict,
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
    sub.add_argument("--size", type=positive, help="side of the network's input in pixels (default: as trained)")

    sub = command(
        evaluate, "score a folder of prediction maps", "evaluate --pred maps --gt masks --convention released"
    )
    sub.add_argument(
        "--pred", type=Path, required=True, metavar="DIR", help="grey prediction maps, 255 for probability 1"
    )
    sub.add_argument("--gt", type=Path, required=True, metavar="DIR", help="the masks, paired with the maps by name")
    sub.add_argument("--convention", default="released", help="released (default), pranet, lgmsnet or monai")
    sub.add_argument("--partial", action="store_true", help="score only the images that have both a map and a mask")
    sub.add_argument("--json", type=Path, metavar="F", help="write the means here too")

    sub = command(data, "the data sets: what is there, and how to get the rest", "data kvasir --root ~/polyps")
    sub.add_argument("name", nargs="?", metavar="NAME", help="show this one in full")
    sub.add_argument("--root", type=Path, metavar="DIR", help=ROOT_HELP)
    sub.add_argument("--json", action="store_true", help="print it as JSON")

    sub = command(
        student,
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

    sub = command(bench, "time M2SNet against the same network with dense all-one filters", "bench --size 352")
    sub.add_argument("--size", type=positive, default=352)
    sub.add_argument("--encoder", default="res2net50d", metavar="NAME")
    sub.add_argument("--loader", action="store_true", help="time the training loader instead")

    command(models, "the names of the models", "list")
    return parser


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 up")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""

    def work() -> int | None:
        args = build().parse_args(argv)
        return args.function(args)

    return guarded(work)


def guarded(work: Callable[[], int | None]) -> int:
    """Do ``work``; return its exit code, with one line for what went wrong."""
    for name in ("SIGTERM", "SIGHUP"):  # so that ending us, or closing the terminal, ends what we started
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        return work() or 0
    except InputError as error:
        print(f"m2s: error: {error}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"m2s: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("m2s: interrupted; what was finished is kept, and the same command goes on from there", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
