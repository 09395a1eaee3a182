"""The commands of ``m2s``, by name: each takes its parsed arguments (:mod:`m2s.cli.parser`), and prints what it did.

What a command needs is imported when it is called, so that ``m2s --help`` loads no torch.
"""

import argparse
import json
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from m2s.errors import InputError, RunError


def doctor(args: argparse.Namespace) -> int:
    """Tell what is installed and found here."""
    from m2s.cli.doctor import examine

    return examine(args.data)


def reproduce(args: argparse.Namespace) -> None:
    """Train every run and execute every notebook."""
    from m2s.cli.reproduce import reproduce

    if args.executor == "local" and (args.jobs or args.workflow_profile):
        raise InputError("--jobs and --workflow-profile are for a cluster: add --executor slurm, or give --cores")
    if args.executor != "local" and args.cores:
        raise InputError(f"--cores is for this machine: with --executor {args.executor}, give --jobs")
    where = args.executor, args.jobs, args.workflow_profile
    reproduce(args.profile, args.data, args.cores, args.only, args.dry_run, args.notebooks, *where)


def train(args: argparse.Namespace) -> None:
    """Train runs of the list, one with changed settings, or one on a user's own images; under torchrun, by several."""
    from m2s.runs.processes import join_processes

    with join_processes():
        if args.images or args.masks or args.name:
            from m2s.cli.own import train_on_own_images

            train_on_own_images(args)
        else:
            train_listed(args)


def train_listed(args: argparse.Namespace) -> None:
    """Train runs of the list, or one with changed settings."""
    from m2s import paths
    from m2s.runs.build import build_network
    from m2s.runs.execute import execute
    from m2s.runs.plan import find_runs, list_runs
    from m2s.studies import STUDIES

    if args.list:
        print(*(f"{run.key}  {run.title}" for run in list_runs(args.profile, args.data)), sep="\n")
        return
    network = {name: getattr(args, name) for name in ("model", "encoder") if getattr(args, name) is not None}
    recipe = {name: getattr(args, name) for name in ("size", "epochs", "seed") if getattr(args, name) is not None}
    if args.key and (network or recipe):
        raise InputError(f"--key names a run as it is in the list: leave out --{' and --'.join(network | recipe)}")
    if args.key:
        runs = find_runs(args.profile, args.data, args.key)
    else:
        list_runs(args.profile, args.data)  # reports a wrong profile or folder before anything is written
        run = STUDIES["polyps"].runs("M2SNet", args.profile, args.data)[0]
        runs = [replace(run, **network, recipe=replace(run.recipe, **recipe))]
        build_network(runs[0], pretrained=False)  # reports a name that does not exist before anything is written
    failed = []
    for run in runs:
        print(f"run {run.key}: {run.title}", flush=True)
        try:
            print(execute(run, paths.results_dir(args.profile, args.data), args.data), flush=True)
        except (InputError, RunError) as error:  # the others do not depend on it
            if len(runs) == 1:
                raise
            failed.append(f"{run.key}: {error}")
            print(f"m2s: error: {error}", file=sys.stderr)
    if failed:
        raise RunError("; ".join(failed))


def predict(args: argparse.Namespace) -> None:
    """Segment images with a trained network."""
    from m2s.runs.models import choose_task, load_network
    from m2s.runs.segment import list_inputs, segment_files

    list_inputs(args.images)  # a wrong path comes before a wrong network
    network = choose_task(load_network(args.network), args.task)
    for target, content in segment_files(network, args.images, args.out, args.size, args.threshold, args.overlay):
        write_file(target, content)
        tqdm.write(str(target))


def export(args: argparse.Namespace) -> None:
    """Write a trained network as an ONNX file, and a card beside it."""
    from m2s.paths import check_outputs
    from m2s.runs.export import export_onnx
    from m2s.runs.models import choose_task, load_network

    if args.out.suffix != ".onnx":
        raise InputError(f"--out {args.out}: give a name that ends in .onnx")
    card = args.out.with_suffix(".md")
    check_outputs([args.out, card])
    content, description = export_onnx(choose_task(load_network(args.network), args.task), Path(args.network).name)
    for target, written in ((args.out, content), (card, description.replace("FILE.onnx", args.out.name).encode())):
        write_file(target, written)
        print(target)


def evaluate(args: argparse.Namespace) -> None:
    """Score a folder of prediction maps, or a network on a folder of images."""
    from m2s.data.disk.images import EXTENSIONS
    from m2s.metrics.conventions import COLUMNS, report, summary
    from m2s.metrics.folders import evaluate_folders
    from m2s.paths import check_outputs

    def is_own(path: Path) -> bool:
        return json.loads(path.read_bytes()).keys() <= COLUMNS

    if (args.pred is None) == (args.images is None):
        raise InputError("give --pred, a folder of maps, or --images, a folder that --network segments first")
    if args.json:
        files = [path for folder in (args.pred or args.images, args.gt) for path in folder.glob("*")]
        check_outputs([args.json], [path for path in files if path.suffix.lower() in EXTENSIONS], is_own)
    with TemporaryDirectory() as maps:
        if args.images:
            from m2s.runs.models import choose_task, load_network
            from m2s.runs.segment import segment_files

            network = choose_task(load_network(args.network), args.task)
            for target, content in segment_files(network, [args.images], Path(maps)):
                write_file(target, content)
        table = evaluate_folders(args.pred or Path(maps), args.gt, args.convention, args.partial)
    print(report(table))
    if args.json:
        write_file(args.json, (summary(table).to_json(indent=2) + "\n").encode())


def write_file(target: Path, content: bytes) -> None:
    """Write a whole file or none."""
    from m2s.paths import whole_file

    try:
        with whole_file(target) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error


def data(args: argparse.Namespace) -> None:
    """Tell which data sets are there, and how to get the rest."""
    from m2s.data.get.obtain import default_root
    from m2s.data.get.status import describe_all_sources, describe_source, format_source, format_table

    if args.root and not args.root.is_dir():
        raise InputError(f"no such folder: {args.root}; give the folder that holds the data sets")
    root = args.root or default_root()
    status = describe_source(args.name, root) if args.name else describe_all_sources(root)
    if args.json:
        print(json.dumps(status, indent=2, ensure_ascii=False))
    elif args.name:
        print(format_source(status))
    else:
        print(format_table(status, root))


def student(args: argparse.Namespace) -> None:
    """Write the files for a class."""
    from m2s.classroom import archive, nbgrader

    if args.nbgrader:
        print(*nbgrader.write_course(args.nbgrader), sep="\n")
        return
    packed = archive.write_student(args.out, args.profile)
    copies = len(list((args.out / "student").glob("*.ipynb")))
    print(f"{args.out / 'student'}: {copies} notebooks without solutions")
    print(f"{args.out / 'answers.md'}: the answers, for the teacher")
    print(f"{packed}: all that a room without a network needs ({packed.stat().st_size / 1e6:.0f} MB)")


def bench(args: argparse.Namespace) -> None:
    """Time M2SNet's forms side by side, the parts of a training step, or the training loader."""
    import pandas as pd

    from m2s.paths import MARK, check_outputs
    from m2s.runs.bench import describe_conditions, time_forms, time_training
    from m2s.studies.profiles import find_profile

    if args.loader:
        from m2s.features.cost import loader_rate

        for size in args.size or [352]:
            for workers in (0, 1, 2):
                print(f"{workers} workers: {loader_rate(size, workers):.0f} images a second at {size} px, augmented")
        return
    check_outputs([args.out] if args.out else [])
    conditions = describe_conditions()
    if args.train:
        profile = find_profile(args.profile)
        sizes, batches = args.size or [profile.recipe.size], args.batch or [profile.recipe.batch_size]
        encoder = args.encoder or profile.encoder
        tables = time_training(encoder, profile.lossnet, profile.lossnet_resize, sizes, batches, args.rounds)
    else:
        sizes, batches = args.size or [256, 352], args.batch or [1, 8]
        tables = time_forms(args.encoder or "res2net50d", sizes, batches, args.rounds, not args.no_compile)
    measured = []
    for table in tables:  # each is shown as soon as it is there
        print(
            "" if measured else conditions,
            table.round(3).to_string(index=False),
            *table.attrs["notes"],
            sep="\n",
            flush=True,
        )
        table.attrs = {}
        measured.append(table)
    if args.out:
        written = f"# {MARK} bench: {conditions}\n{pd.concat(measured).round(4).to_csv(index=False)}"
        write_file(args.out, written.encode())
        print(args.out)


def runs(args: argparse.Namespace) -> None:
    """List the finished runs."""
    from m2s.paths import results_root
    from m2s.runs.store import summarize_runs

    table = summarize_runs()
    if table.empty:
        print(f"no finished runs in {results_root()}: m2s train makes one")
        return
    table["weights"] = table["weights"].map({True: "", False: "scores only"})
    heads = ["name", "results", "", "mean Dice by test set", "finished"]
    columns = [[head, *column] for head, (_, column) in zip(heads, table.items(), strict=True)]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    print(*(" ".join(line).rstrip() for line in zip(*padded, strict=True)), sep="\n")


def curves(args: argparse.Namespace) -> None:
    """Draw how a run was trained."""
    from m2s import figures
    from m2s.paths import MARK, check_outputs
    from m2s.runs.curves import draw_curves
    from m2s.runs.store import find_run_folder

    folder = find_run_folder(args.run)
    target = args.out or Path(f"{folder.name}-curves.png")
    check_outputs([target])
    figures.style()
    picture = BytesIO()
    draw_curves(folder).savefig(picture, format="png", metadata={"Comment": MARK})
    write_file(target, picture.getvalue())
    print(target)


def models(args: argparse.Namespace) -> None:
    """Print the names of the models."""
    from m2s.zoo import list_models

    print(*list_models(), sep="\n")


COMMANDS = {"list": models} | {
    command.__name__: command
    for command in (doctor, reproduce, train, predict, export, evaluate, data, student, bench, runs, curves)
}
