"""Draw README's first picture, ``examples.jpg``, and write ``examples.csv``: python results/readme/make_picture.py.

The network is one of ``weights/``, the images are the test images of ``samples/``. No image is chosen by hand: all are
sorted by their mDice, and those at 10, 30, 50, 70 and 90 % of that order are shown.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from tqdm import tqdm

import m2s
from m2s import figures
from m2s.data import load_images

PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)


def main(name: str = "m2snet-polyps") -> None:
    """Score every test image with one network, and draw those at ``PLACES``."""
    network, test = m2s.load_pretrained(name), load_images("kvasir", "test", root="samples")
    shown = []
    for sample in tqdm(test):
        prediction = m2s.predict(network, sample.image)
        shown.append((m2s.score(prediction, sample.mask, convention="released")["mDice"], sample, prediction))
    shown.sort(key=lambda one: one[0])
    table = pd.DataFrame({"image": [sample.name for _, sample, _ in shown], "mDice": [score for score, *_ in shown]})
    table.round(5).to_csv(Path(__file__).with_name("examples.csv"), index=False)
    print(f"{name}: mDice {table['mDice'].mean():.3f} over {len(table)} images")

    figures.style()
    fig, axes = plt.subplots(2, len(PLACES), figsize=(10, 4.4), layout="constrained")
    for place, (above, below) in zip(PLACES, axes.T, strict=True):
        score, sample, prediction = shown[round(place * (len(shown) - 1))]
        figures.overlay(above, sample.image)
        figures.overlay(below, sample.image, sample.mask, prediction, f"mDice {score:.2f}")
    fig.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    fig.savefig(Path(__file__).with_name("examples.jpg"), dpi=130, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main(*sys.argv[1:2])
