"""DICOM pictures as a viewer shows them: windows, inverted grey, colours, and what is refused."""

import io

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from m2s.data.disk.dicom import is_dicom
from m2s.data.disk.images import read_image
from m2s.errors import InputError


def write_dicom(path, pixels: np.ndarray, **tags):
    """A file with these pixels, unsigned or signed as they are, and further tags."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Modality = "OT"
    colored = tags.get("NumberOfFrames", 1) == 1 and pixels.ndim == 3
    dataset.Rows, dataset.Columns = pixels.shape[:2] if colored else pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = (3 if colored else 1), 0
    dataset.PhotometricInterpretation = "RGB" if colored else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_window_decides_what_is_black_and_white(tmp_path):
    """A CT slice: stored values less 1024 are Hounsfield units; a window of 400 around 40 is −160 … 239."""
    stored = np.array([[0, 864, 1064, 1263, 4000, 3000]], np.uint16)
    path = write_dicom(
        tmp_path / "ct.dcm",
        stored,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=[40, 300],
        WindowWidth=[400, 9],
    )
    values = read_image(path)
    assert values.shape == (1, 6, 3) and values.dtype == np.uint8
    assert list(values[0, :, 0]) == [0, 0, round(255 * 200 / 399), 255, 255, 255]


def test_without_a_window_eight_bits_stay_and_more_are_scaled_by_their_range(tmp_path):
    grey = np.array([[7, 90], [91, 120]], np.uint8)
    np.testing.assert_array_equal(read_image(write_dicom(tmp_path / "a.dcm", grey))[..., 0], grey)
    wide = np.array([[-100, 0], [100, 300]], np.int16)
    np.testing.assert_array_equal(
        read_image(write_dicom(tmp_path / "b.dcm", wide))[..., 0], np.rint((wide.astype(float) + 100) * 255 / 400)
    )


def test_inverted_grey_and_colours(tmp_path):
    grey = np.array([[0, 90], [91, 255]], np.uint8)
    inverted = write_dicom(tmp_path / "a.dcm", grey, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_image(inverted)[..., 1], 255 - grey)
    colors = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(write_dicom(tmp_path / "b.dcm", colors)), colors)


def test_a_file_without_extension_and_an_open_one_are_known_by_their_content(tmp_path):
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = write_dicom(tmp_path / "1.2.840.1", grey)
    assert is_dicom(path) and not is_dicom(__file__)
    np.testing.assert_array_equal(read_image(path)[..., 0], grey)
    opened = io.BytesIO(path.read_bytes())
    opened.name = "upload"
    np.testing.assert_array_equal(read_image(opened)[..., 0], grey)


def test_what_holds_no_single_picture_is_refused(tmp_path):
    frames = np.zeros((5, 4, 6), np.uint8)
    with pytest.raises(InputError, match=r"a\.dcm holds 5 frames"):
        read_image(write_dicom(tmp_path / "a.dcm", frames, NumberOfFrames=5))
    path = write_dicom(tmp_path / "b.dcm", frames[0])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"cannot read .*b\.dcm"):
        read_image(path)
    report = write_dicom(tmp_path / "c.dcm", frames[0], Modality="SR")
    import pydicom

    dataset = pydicom.dcmread(report)
    del dataset.PixelData
    dataset.save_as(report)
    with pytest.raises(InputError, match=r"c\.dcm holds no picture \(DICOM SR\)"):
        read_image(report)
