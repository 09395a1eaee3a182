"""Segment a user's files: pictures with the 2-D networks, NIfTI volumes with the 3-D ones."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from m2s import figures
from m2s.data.crops import measure_at_spacing, normalize_volume
from m2s.data.disk import nifti
from m2s.data.disk.dicom import is_dicom
from m2s.data.disk.folders import is_visible
from m2s.data.disk.images import EXTENSIONS, encode_png, read_image
from m2s.errors import InputError, told_where
from m2s.paths import check_outputs
from m2s.runs.models import place_network
from m2s.runs.predict import predict, predict_volume

OVERLAYS = "overlays"
"""The folder, in that of the predictions, that takes the images with outlines."""


def list_inputs(paths: Sequence[Path]) -> list[Path]:
    """The files to segment: those given, and of a folder every picture and volume in it (not in folders below).

    Raises:
        InputError: a path that does not exist, or a folder without any.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            with told_where(path):
                inside = [one for one in sorted(path.iterdir()) if one.is_file() and is_visible(one)]
            found = [one for one in inside if _has_extension(one, EXTENSIONS + nifti.EXTENSIONS) or is_dicom(one)]
            if not found:
                raise InputError(f"no images in {path}: expected files such as a.png, a.jpg, a.dcm or a.nii.gz")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(f"no such image: {path}")
    return list(dict.fromkeys(files))


def segment_files(
    network: nn.Module, paths: Sequence[Path], out: Path, size: int | None = None, threshold: float | None = None,
    overlay: bool = False,
) -> Iterator[tuple[Path, bytes]]:  # fmt: skip
    """Each file to write with its content, one input after the other; everything is checked before the first.

    - A picture gives ``OUT/NAME.png`` at its own size: probabilities as 0 … 255, with a ``threshold`` 0 and 255, and of
      a network of several classes the class indices.
    - A NIfTI volume gives ``OUT/NAME.nii.gz``, the class indices on the voxels of the file.
    - With ``overlay``, ``OUT/overlays/NAME.png`` shows the outline (at the threshold, or 0.5) on the picture, or on
      that slice of a volume where most is found.

    Args:
        network: from :func:`m2s.runs.models.load_network`.
        size: the side of the network's input; by default as trained.

    Raises:
        InputError: an input that cannot be read or is not for this network, or an output that cannot be written.
    """
    files = list_inputs(paths)
    volumetric = any(p.ndim == 5 for p in network.parameters())
    if threshold is not None and (volumetric or len(network.classes) > 1):
        raise InputError(f"this network gives one of {len(network.classes) + 1} classes: leave out the threshold")
    extension = ".nii.gz" if volumetric else ".png"
    targets: dict[Path, Path] = {}
    for path in files:
        if _has_extension(path, nifti.EXTENSIONS) != volumetric:
            kinds = ("a picture", "volumes (NIfTI)") if volumetric else ("a volume", "pictures")
            raise InputError(f"{path} is {kinds[0]}, and this network takes {kinds[1]}: choose another with --network")
        target = out / f"{_plain_name(path)}{extension}"
        if (other := targets.setdefault(target, path)) != path:
            raise InputError(f"{path} and {other} would both be written as {target.name}: predict one at a time")
    drawn = {target: out / OVERLAYS / f"{_plain_name(path)}.png" for target, path in targets.items()}
    check_outputs([*targets, *(drawn.values() if overlay else ())], files)
    quiet = not sys.stderr.isatty()
    for path in tqdm(files, "checking", leave=False, disable=quiet):
        (nifti.read_volume if volumetric else read_image)(path)
    network = place_network(network, len(files), size or network.size)
    for target, path in tqdm(targets.items(), "segmenting", disable=quiet):
        work = _segment_volume if volumetric else _segment_picture
        content, picture = work(network, path, size, threshold)
        yield target, content
        if overlay:
            yield drawn[target], picture


def _segment_picture(
    network: nn.Module, path: Path, size: int | None, threshold: float | None
) -> tuple[bytes, bytes]:  # fmt: skip
    """A picture's prediction and its overlay, as PNG files."""
    image = read_image(path)
    probabilities = predict(network, image, size)
    if probabilities.ndim == 3:
        area = probabilities.argmax(0).astype(np.uint8)
        grey = area
    else:
        area = probabilities > (0.5 if threshold is None else threshold)
        grey = np.rint(255 * (probabilities if threshold is None else area)).astype(np.uint8)
    return encode_png(grey), encode_png(figures.draw_outline(image, area))


def _segment_volume(network: nn.Module, path: Path, size: int | None, _: float | None) -> tuple[bytes, bytes]:
    """A volume's class indices as a NIfTI file, and its fullest slice with their outlines as a PNG file."""
    values, spacing = nifti.read_volume(path)
    volume = torch.from_numpy(values)[None]
    if network.spacing:
        shape = measure_at_spacing(values.shape, spacing, network.spacing)
        volume = F.interpolate(volume[None], shape, mode="trilinear", align_corners=False)[0]
    volume = normalize_volume(volume, network.modality)
    labels = predict_volume(network, volume, values.shape, size or network.size)
    fullest = int((labels > 0).sum((1, 2)).argmax())
    low, high = np.percentile(values, (1, 99))
    grey = np.rint(255 * np.clip((values[fullest] - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
    image = np.repeat(grey[..., None], 3, 2)
    # Rows run from back to front in a volume: as radiologists see it, the front is above.
    picture = figures.draw_outline(image, labels[fullest])[::-1]
    return nifti.encode_labels(labels, path), encode_png(np.ascontiguousarray(picture))


def _has_extension(path: Path, extensions: Sequence[str]) -> bool:
    return path.name.lower().endswith(tuple(extensions))


def _plain_name(path: Path) -> str:
    """The file's name without its extension; a DICOM file without one may have dots in its name."""
    known = next((e for e in nifti.EXTENSIONS + EXTENSIONS if path.name.lower().endswith(e)), "")
    return path.name[: len(path.name) - len(known)]
