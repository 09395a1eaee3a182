"""A user's own images: read, divided by a rule, trained on, and what is refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from m2s.cli.main import main
from m2s.data.own import list_left_out, load_own_images
from m2s.errors import InputError
from m2s.explorer.session import list_checkpoints
from m2s.runs import execute
from m2s.runs.models import load_network
from m2s.runs.own import plan_own_run, summarize_scores
from m2s.runs.predict import predict
from m2s.runs.store import find_run_folder

TINY = "--encoder test_efficientnet --size 64 --epochs 2"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Ten grey pictures with a bright square, and its mask; the working folder is theirs."""
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    for index in range(10):
        image, mask = rng.integers(0, 90, (40, 50), dtype=np.uint8), np.zeros((40, 50), np.uint8)
        y, x = rng.integers(0, 25, 2)
        mask[y : y + 12, x : x + 12] = 255
        Image.fromarray(np.where(mask > 0, 200, image)).save(tmp_path / "photos" / f"case {index}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"case {index}_mask.png")
    return tmp_path


@pytest.fixture
def untrained(monkeypatch):
    """Encoders of timm's tests have no pretrained weights."""
    from m2s import weights

    whole = weights.create_timm
    for module in ("m2s.encoders", "m2s.weights"):
        monkeypatch.setattr(f"{module}.create_timm", lambda name, pretrained=True, **kw: whole(name, False, **kw))


def refused(capsys, line: str) -> str:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("m2s: error: ") and err.count("\n") == 1 and "epoch 1" not in out
    return err


def test_images_are_divided_by_a_rule_that_neither_order_nor_seed_changes(own):
    train, test = load_own_images(own / "photos", own / "masks", "mine")
    assert (len(train), len(test)) == (8, 2) and not set(train.names) & set(test.names)
    assert load_own_images(own / "photos", own / "masks", "mine", 0.5)[1].names[0] in set(train.names + test.names)
    assert set(test.names) <= set(load_own_images(own / "photos", own / "masks", "other", 0.5)[1].names)
    _, image, mask = train[0]
    assert image.shape == (40, 50, 3) and mask.sum() == 144


def test_what_belongs_together_is_held_out_together(own):
    names = [f"case {index}" for index in range(10)]
    table = pd.DataFrame({"file": [f"{name}.png" for name in names], "patient": [f"p{i // 3}" for i in range(10)]})
    table.to_csv(own / "patients.csv", index=False)
    train, test = load_own_images(own / "photos", own / "masks", "mine", group="patient")
    groups = [{item.group for item in image_set.items} for image_set in (train, test)]
    assert groups[0] | groups[1] == {"p0", "p1", "p2", "p3"} and not groups[0] & groups[1]
    with pytest.raises(InputError, match=r"no CSV file in .* has the columns name .* and hospital"):
        load_own_images(own / "photos", own / "masks", "mine", group="hospital")
    table.assign(patient="p0").to_csv(own / "patients.csv", index=False, sep=";", encoding="utf-8-sig")
    with pytest.raises(InputError, match="all images are of one group"):
        load_own_images(own / "photos", own / "masks", "mine", group="patient")
    table[1:].to_csv(own / "patients.csv", index=False)
    with pytest.raises(InputError, match="has no patient for 1 images: case 0"):
        load_own_images(own / "photos", own / "masks", "mine", group="patient")


def test_held_out_images_may_be_a_folder(own):
    for folder, old in (("images", "photos"), ("masks", "masks")):
        (own / "later" / folder).mkdir(parents=True)
        for path in sorted((own / old).iterdir())[:3]:
            path.rename(own / "later" / folder / path.name)
    train, test = load_own_images(own / "photos", own / "masks", "mine", own / "later")
    assert (len(train), len(test)) == (7, 3)
    with pytest.raises(InputError, match="expected the folders images and masks in it"):
        load_own_images(own / "photos", own / "masks", "mine", own / "photos")


def test_several_classes_are_named_by_a_file(own):
    for index, path in enumerate(sorted((own / "masks").iterdir())):
        mask = np.asarray(Image.open(path)) // 255 * (1 + index % 2)
        Image.fromarray(mask.astype(np.uint8)).save(path)
    (own / "classes.txt").write_text("square\nother square\n", encoding="utf-8")
    train, test = load_own_images(own / "photos", own / "masks", "mine", 0.4)
    assert train.entry.classes == ("square", "other square") and train[1].mask.max() in (1, 2)
    assert plan_own_run(train, test, encoder="test_efficientnet").num_classes == 3
    (own / "classes.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    with pytest.raises(InputError, match="no mask of the 8 images to train on shows three"):
        load_own_images(own / "photos", own / "masks", "mine")
    (own / "classes.txt").write_text("same\nsame\n", encoding="utf-8")
    with pytest.raises(InputError, match="must name each class once"):
        load_own_images(own / "photos", own / "masks", "mine")


def test_a_training_on_own_images_gives_a_run_that_all_commands_take(own, untrained, capsys):
    line = f"train --images photos --masks masks --name mine {TINY}"
    assert main(line.split()) == 0
    told = capsys.readouterr().out
    assert "8 images to train on, 2 held out; classes: foreground" in told
    assert "64 px without a GPU" in told or "64 px on the GPU" in told
    assert "--network mine" in told and "Dice on the held-out images" in told
    folder = find_run_folder("mine")
    assert folder.parents[1] == own / "results" / "own"
    assert {"curves.png", "worst.png", "scores.csv", "log.csv", "record.json", "model.safetensors"} <= {
        path.name for path in folder.iterdir()
    }
    assert str(own) not in (folder / "record.json").read_text(encoding="utf-8"), "no path of a machine in a record"
    summary = summarize_scores(folder)
    assert list(summary["images"]) == [2] and (summary["low"] <= summary["mean"]).all()
    network = load_network("mine")
    assert network.size == 64 and network.classes == ("foreground",)
    assert predict(network, np.zeros((20, 30, 3), np.uint8)).shape == (20, 30)
    assert main(["predict", "photos", "--network", "mine", "--out", "maps", "--overlay"]) == 0
    (own / "masks_of_two").mkdir()
    for path in (own / "masks").iterdir():
        path.rename(own / "masks_of_two" / path.name.replace("_mask", ""))
    assert main(["evaluate", "--pred", "maps", "--gt", "masks_of_two"]) == 0
    assert any("mine" in title for title in list_checkpoints())
    assert main(["curves", "mine", "--out", "mine.png"]) == 0
    assert main(["runs"]) == 0 and "mine" in capsys.readouterr().out


def test_the_same_call_goes_on_and_other_settings_need_another_name(own, untrained, capsys, monkeypatch):
    line = f"train --images photos --masks masks --name mine {TINY}"
    whole = execute.score_set
    monkeypatch.setattr(execute, "score_set", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert main(line.split()) == 130
    monkeypatch.setattr(execute, "score_set", whole)
    monkeypatch.setattr(execute, "train", None)  # the training was whole: it is not repeated
    assert main(line.split()) == 0 and main(line.split()) == 0
    capsys.readouterr()
    assert "give another --name" in refused(capsys, f"{line} --seed 1")


def test_several_classes_are_trained_and_drawn(own, untrained, capsys):
    for index, path in enumerate(sorted((own / "masks").iterdir())):
        mask = np.asarray(Image.open(path)) // 255 * (1 + index % 2)
        Image.fromarray(mask.astype(np.uint8)).save(path)
    (own / "masks" / "classes.txt").write_text("left\nright\n", encoding="utf-8")
    assert main(f"train --images photos --masks masks --name two --val 0.4 {TINY} --model msnet".split()) == 0
    told = capsys.readouterr().out
    assert "  left: 0." in told and "  right: 0." in told
    assert load_network("two").classes == ("left", "right")
    assert not any("two" in title for title in list_checkpoints()), "the explorer shows the map of one class"
    record = json.loads((find_run_folder("two") / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["num_classes"] == 3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--images photos --masks masks", "needs --images DIR, --masks DIR and --name NAME"),
        ("--images photos --masks masks --name busi", "is the name of a published data set"),
        ("--images photos --masks masks --name Kvasir-SEG", "is the name of a published data set"),
        ("--images photos --masks masks --name a/b", "must be of letters, digits"),
        ("--images nowhere --masks masks --name mine", "no such folder: nowhere"),
        ("--images photos --masks photos --name mine", "no mask in"),
        ("--images photos --masks masks --name mine --val 1.5", "neither a folder nor a number"),
        ("--images photos --masks masks --name mine --model lgmsnet3d --encoder none", "takes volumes"),
        ("--images photos --masks masks --name mine --model m2snett", "did you mean m2snet"),
        ("--images photos --masks masks --name mine --key abc", "leave them out, or --images"),
    ],
)
def test_what_cannot_be_trained_is_one_line(own, capsys, line, words):
    assert words in refused(capsys, f"train {line}")
    assert not (own / "results").exists()


def test_masks_that_are_all_empty_are_refused(own):
    for path in (own / "masks").iterdir():
        Image.new("L", (50, 40)).save(path)
    with pytest.raises(InputError, match="no mask of the 8 images to train on shows foreground"):
        load_own_images(own / "photos", own / "masks", "mine")


def test_images_in_folders_below_are_counted_and_masks_there_are_not(own):
    assert list_left_out(own / "photos", own / "masks") == []
    (own / "photos" / "more").mkdir()
    shutil.copy(own / "photos" / "case 0.png", own / "photos" / "more" / "A.PNG")
    shutil.copytree(own / "masks", own / "photos" / "masks")
    assert list_left_out(own / "photos", own / "photos" / "masks") == [own / "photos" / "more" / "A.PNG"]


def test_a_link_that_leads_nowhere_and_a_text_of_another_kind_are_named(own):
    image = own / "photos" / "case 0.png"
    image.unlink()
    image.symlink_to("nowhere.png")
    with pytest.raises(InputError) as caught:
        load_own_images(own / "photos", own / "masks", "mine")
    assert str(caught.value) == f"cannot read {image}: No such file or directory"
    classes = own / "masks" / "classes.txt"
    classes.write_bytes("polyp\n".encode("utf-16"))
    with pytest.raises(InputError) as caught:
        load_own_images(own / "photos", own / "masks", "mine")
    assert str(caught.value) == f"cannot read {classes}: this is no text in UTF-8; save it as such"
