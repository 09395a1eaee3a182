"""Make the sample from the data sets as they are distributed: python samples/make.py FOLDER-OF-DATA-SETS.

The sample is small enough to come with the repository: see README.md in this folder for its licences. Images keep their
names; their longer side becomes 320 pixels. The layout is the one that ``m2s`` prepares every data set in.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pooch import file_hash

from m2s.data import load_images
from m2s.data.get.prepare import COLUMNS

HERE = Path(__file__).resolve().parent
SIDE, QUALITY = 320, 88


def main(root: Path) -> None:
    """Write ``samples/kvasir`` and ``samples/hippocampus``."""
    polyps = load_images("kvasir", "train", root), load_images("kvasir", "test", root)
    chosen = [(item, "train") for item in polyps[0].items[::3]] + [(item, "test") for item in polyps[1].items]
    write("kvasir", [write_image(item, split) for item, split in chosen])
    volumes = load_images("hippocampus", "train", root), load_images("hippocampus", "test", root)
    chosen = [(item, "train") for item in volumes[0].items[:20]] + [(item, "test") for item in volumes[1].items[:6]]
    write("hippocampus", [copy_volume(item, split) for item, split in chosen])


def write_image(item, split: str) -> dict[str, object]:
    """One image, smaller, and its mask: a line of the manifest."""
    image, mask = item.read()
    height, width = (max(1, round(side * SIDE / max(mask.shape))) for side in mask.shape)
    file, mask_file = Path("images", f"{item.name}.jpg"), Path("masks", f"{item.name}.png")
    for path in (file, mask_file):
        (HERE / "kvasir" / path).parent.mkdir(parents=True, exist_ok=True)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    small.save(HERE / "kvasir" / file, quality=QUALITY, optimize=True)
    soft = Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    whole = np.asarray(soft) > 0.5  # a pixel is lesion where more than half of what it stands for is
    Image.fromarray(whole).save(HERE / "kvasir" / mask_file, optimize=True)
    return line("kvasir", item.name, file, mask_file, whole, split)


def copy_volume(item, split: str) -> dict[str, object]:
    """One volume and its mask, as they are: a line of the manifest."""
    _, mask = item.read()
    file, mask_file = Path("images", item.image.name), Path("masks", item.masks[0].name)
    for source, path in ((item.image, file), (item.masks[0], mask_file)):
        (HERE / "hippocampus" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, HERE / "hippocampus" / path)
    return line("hippocampus", item.name, file, mask_file, mask, split)


def line(name: str, image: str, file: Path, mask_file: Path, mask: np.ndarray, split: str) -> dict[str, object]:
    """What the manifest says about one image."""
    depth, height, width = (1, *mask.shape)[-3:]
    return {
        "name": image,
        "file": file.as_posix(),
        "mask": mask_file.as_posix(),
        "width": width,
        "height": height,
        "depth": depth,
        "split": split,
        "group": "",
        "sha256": file_hash(str(HERE / name / file)),
        "foreground": round(float(np.count_nonzero(mask)) / mask.size, 6),
        "mask_sha256": file_hash(str(HERE / name / mask_file)),
    }


def write(name: str, lines: list[dict[str, object]]) -> None:
    """The manifest of one set."""
    pd.DataFrame(lines, columns=list(COLUMNS)).to_csv(HERE / name / "manifest.csv", index=False)
    print(f"{name}: {len(lines)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
