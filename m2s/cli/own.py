"""``m2s train --images DIR --masks DIR --name NAME``: a user's own images."""

import argparse
from pathlib import Path

from m2s.errors import InputError
from m2s.paths import expand


def train_on_own_images(args: argparse.Namespace) -> None:
    """Train on two folders, and say what is done, why, and what came out."""
    if not (args.images and args.masks and args.name):
        raise InputError("a training on your own images needs --images DIR, --masks DIR and --name NAME")
    if args.key or args.list:
        raise InputError("--key and --list are of the published tables' runs: leave them out, or --images")

    import torch

    from m2s.data.leaks import leaks
    from m2s.data.own import list_left_out, load_own_images
    from m2s.runs.own import ENCODER, SIZES, plan_own_run, summarize_scores, train_own

    both = load_own_images(args.images, args.masks, args.name, args.val, args.group)
    named = dict(model=args.model or "m2snet", encoder=args.encoder or ENCODER, size=args.size, epochs=args.epochs)
    run = plan_own_run(*both, **named, seed=args.seed or 0)
    recipe, gpu = run.recipe, torch.cuda.is_available()
    print(f"{len(both[0])} images to train on, {len(both[1])} held out; classes: {', '.join(run.classes)}")
    if left_out := list_left_out(args.images, args.masks):
        print(f"warning: {len(left_out)} images in folders below {args.images} are left out, such as {left_out[0]}")
    device = "on the GPU" if gpu else f"without a GPU (with one, the default is {SIZES['cuda'][0]} px)"
    print(f"{run.model}, encoder {run.encoder}, {recipe.size} px {device}, {recipe.epochs} epochs, seed {recipe.seed}")
    pairs = leaks({image_set.split: image_set for image_set in both})
    if crossing := sum(pairs["split_a"] != pairs["split_b"]):
        print(
            f"warning: {crossing} pairs of a training image and a held-out image are nearly equal, so the scores will "
            "be too high: if they are of one patient or video, name it with --group"
        )
    folder = train_own(run, *both)
    print("\nDice on the held-out images (threshold 0.5; in brackets the 95 % interval of the mean):")
    for row in summarize_scores(folder).itertuples():
        name = run.classes[0] if len(run.classes) == 1 else row[1]
        print(f"  {name}: {row.mean:.3f} ± {row.sd:.3f} ({row.low:.3f} to {row.high:.3f}), worst {row.worst:.3f}")
    print(f"{folder}\n  curves.png, worst.png: how it was trained, and where it fails")
    print(f"  m2s predict PHOTO --network {run.name} --out maps --overlay")


def parse_held_out(text: str) -> float | Path:
    """A part of the images, between 0 and 1, or a folder, for ``argparse``."""
    try:
        share = float(text)
    except ValueError:
        return expand(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a folder nor a number between 0 and 1")
    return share
