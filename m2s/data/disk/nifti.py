"""Read volumes and their masks from NIfTI files, always in one orientation."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from m2s.data.disk.numbers import check_finite, to_indices
from m2s.errors import InputError, unreadable
from m2s.paths import MARK

EXTENSIONS = (".nii.gz", ".nii")


def _load_canonical(path: Path) -> nib.nifti1.Nifti1Image:
    """The file's volume with axes from left to right, back to front and below to above (RAS+)."""
    try:
        if not path.stat().st_size:
            raise InputError(f"cannot read {path}: the file is empty; fetch it again")
        given = nib.load(path)
        shape = given.shape
        if len(shape) != 3 and not (len(shape) == 4 and shape[3] == 1):
            raise InputError(f"{path} has {len(shape)} dimensions {shape}; a volume has three")
        volume = nib.as_closest_canonical(given)
        if not all(np.isfinite(volume.affine).ravel()) or not all(volume.header.get_zooms()[:3]):
            raise InputError(f"{path} does not say where its voxels lie: its header has spacings of 0 or NaN")
        if volume.get_data_dtype().kind not in "biuf":
            raise InputError(f"{path} holds {volume.get_data_dtype()} values (colours or complex numbers), not numbers")
        values = volume.get_fdata(dtype=np.float32)  # decoded here, so that a broken file is one error
    except InputError:
        raise
    except Exception as error:  # decoders raise nearly anything for a broken file
        raise unreadable(path, error) from error
    check_finite(values, path)
    return volume


def _to_array(volume: nib.nifti1.Nifti1Image) -> np.ndarray:
    values = volume.get_fdata(dtype=np.float32)
    return np.ascontiguousarray((values[..., 0] if values.ndim == 4 else values).transpose(2, 1, 0))


def _measure_spacing(volume: nib.nifti1.Nifti1Image) -> tuple[float, float, float]:
    """The distance of voxels (z, y, x) in mm, however the axes are stored."""
    steps = np.empty(3)
    steps[nib.io_orientation(volume.affine)[:, 0].astype(int)] = volume.header.get_zooms()[:3]
    x, y, z = steps.tolist()
    return z, y, x


def read_volume(path: str | Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """A volume as float32 (D, H, W) with its own values (Hounsfield units for CT), and its spacing (z, y, x) in mm.

    However the file is stored, z runs from below to above, y from back to front, x from left to right (RAS+).
    """
    volume = _load_canonical(Path(path))
    return _to_array(volume), _measure_spacing(volume)


def read_volume_mask(path: str | Path, classes: int) -> np.ndarray:
    """The mask of a volume: uint8 (D, H, W) of class indices 0 to ``classes``, oriented like :func:`read_volume`."""
    return to_indices(_to_array(_load_canonical(Path(path))), classes, path)


def encode_labels(labels: np.ndarray, path: str | Path) -> bytes:
    """Class indices uint8 (D, H, W), oriented like :func:`read_volume`, as a ``.nii.gz`` file that lies on ``path``."""
    given, canonical = nib.load(path), _load_canonical(Path(path))
    volume = nib.Nifti1Image(labels.transpose(2, 1, 0), canonical.affine)
    back = nib.orientations.ornt_transform(nib.io_orientation(canonical.affine), nib.io_orientation(given.affine))
    volume = volume.as_reoriented(back)
    volume.header["descrip"] = MARK
    return gzip.compress(volume.to_bytes(), mtime=0)


@dataclass(frozen=True)
class VolumePair:
    """A volume file and its mask file."""

    name: str
    image: Path
    masks: tuple[Path, ...]
    group: str = ""
    classes: int = 1

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Image float32 (D, H, W) and mask uint8 (D, H, W), of the same voxels."""
        volume, mask = _load_canonical(self.image), _load_canonical(self.masks[0])
        if volume.shape[:3] != mask.shape[:3] or not np.allclose(volume.affine, mask.affine, atol=0.1):
            raise InputError(
                f"{self.masks[0]} does not lie on {self.image}: {_describe_place(mask)} against "
                f"{_describe_place(volume)}; mask and image must cover the same voxels"
            )
        return _to_array(volume), to_indices(_to_array(mask), self.classes, self.masks[0])

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The distance of voxels (z, y, x) in mm, from the header alone."""
        return _measure_spacing(nib.load(self.image))


def _describe_place(volume: nib.nifti1.Nifti1Image) -> str:
    corner = ", ".join(f"{c:.1f}" for c in volume.affine[:3, 3])
    return f"{'×'.join(map(str, volume.shape[:3]))} voxels from ({corner}) mm"
