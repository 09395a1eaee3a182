"""Studies: every published row is run or says why not, and the list of runs is the one the engine works through."""

import dataclasses

import pytest

from m2s import weights
from m2s.data import load_images
from m2s.errors import InputError
from m2s.runs import plan
from m2s.runs.plan import batch_runs, find_lack, find_runs, list_runs, notebook_runs
from m2s.studies import STUDIES, published
from m2s.studies.profiles import PROFILES
from m2s.studies.run import split_of
from m2s.studies.study import Row
from m2s.zoo import MODELS

SHORT, IN_3D = ("short", "short_volumes"), {"unetr", "swin_unetr", "uxnet", "mednext", "segmamba"}
ELSEWHERE = {"", "Polyp", "BTCV Avg", "CVC-300 (912 images)"}
"""Printed columns that are no scores of a test set (costs, an average), or of images that nobody has a list of."""


@pytest.mark.parametrize("study", [name for name, study in STUDIES.items() if study.published])
def test_studies_stand_on_the_published_tables(study):
    chosen = STUDIES[study]
    table = published.load_table(chosen.published)
    printed = list(dict.fromkeys(table["row"]))
    assert list(chosen.rows)[: len(printed)] == printed  # rows of ours may follow
    assert all(isinstance(chosen.rows[row], Row) for row in list(chosen.rows)[len(printed) :])
    assert set(table["dataset"]) <= set(chosen.datasets.values()) | ELSEWHERE
    assert set(chosen.metrics) <= set(table["metric"])


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("study", STUDIES)
def test_every_row_has_its_runs_or_a_reason(study, profile):
    chosen, p = STUDIES[study], PROFILES[profile]
    for row in chosen.rows:
        for name, task in chosen.tasks.items():
            made = chosen.runs(row, profile, "real", name)
            reason = chosen.why_not(row, profile, "real", name)
            assert bool(made) != bool(reason)
            if made:
                assert len(made) == (1 if chosen.short else len(p.seeds)) * min(task.folds, p.folds or task.folds)
                assert len({run.key for run in made}) == len(made)
                assert all(run.num_classes == task.num_classes for run in made)


def test_a_fold_is_trained_and_tested_on_its_own_parts():
    made = STUDIES["breast"].runs("M2SNet", "full", "real")
    assert [run.train_sets for run in made[:4]] == [(f"busi/fold{k}-train",) for k in (1, 2, 3, 4)]
    assert [run.test_sets for run in made[:4]] == [(f"busi/fold{k}-test",) for k in (1, 2, 3, 4)]


def test_rows_that_tables_share_are_one_run():
    kernels, losses, styles = (STUDIES[name] for name in ("kernels", "losses", "styles"))
    key = styles.runs("M2SNet", "smoke", "phantom")[0].key
    assert kernels.runs("M2SNet (kernel scales 1,3,5)", "smoke", "phantom")[0].key == key
    assert losses.runs("M2SNet (LossNet)", "smoke", "phantom")[0].key == key
    assert kernels.runs("M2SNet (kernel scales 1)", "smoke", "phantom")[0].model == "msnet"


def test_small_profiles_take_stand_ins_and_few_rows():
    backbones = STUDIES["backbones"].runs("M2SNet (PVTv2-B4)", "smoke", "phantom")[0]
    assert (backbones.encoder, backbones.pretrained) == ("pvt_v2_b0", False)
    assert STUDIES["backbones"].runs("M2SNet (PVTv2-B4)", "paper", "real")[0].encoder == "pvt_v2_b4"
    assert str(STUDIES["videos"].why_not("PraNet", "smoke", "phantom", "videos")) == (
        "not run: the profile smoke trains 3 rows of this table"
    )


def test_differences_of_paper_and_code_change_what_they_name():
    chosen = STUDIES["released"]
    base, *others = (chosen.runs(row, "smoke", "phantom")[0] for row in chosen.rows)
    changed = [
        {f.name for f in dataclasses.fields(base) if getattr(base, f.name) != getattr(other, f.name)}
        for other in others
    ]
    weight = {"lossnet_weight"}
    assert changed == [{"options"}, {"loss_form"}, weight, weight, {"recipe"}, {"normalisation"}]
    assert others[4].recipe.encoder_lr == others[4].recipe.lr
    weights = [other.lossnet_weight for other in others[2:4]]
    assert weights == pytest.approx([10 * base.lossnet_weight, base.lossnet_weight / 10])


def test_the_list_of_runs_holds_each_run_once_and_finds_it_by_key():
    every = list_runs("smoke", "phantom")
    assert len({run.key for run in every}) == len(every) >= 40
    assert find_runs("smoke", "phantom", [every[1].key]) == [every[1]]
    assert {r.key for r in notebook_runs("20_polyp_table", "smoke", "phantom", every)} <= {r.key for r in every}
    assert notebook_runs("04_metrics", "smoke", "phantom", every) == []
    with pytest.raises(InputError, match="unknown profile 'labs': did you mean lab"):
        list_runs("labs", "phantom")
    with pytest.raises(InputError, match="unknown run 'm2snet'"):
        find_runs("smoke", "phantom", ["m2snet"])


def test_several_runs_are_found_in_one_list(monkeypatch):
    every, calls = list_runs("smoke", "phantom"), []
    monkeypatch.setattr(plan, "list_runs", lambda *arguments: calls.append(arguments) or every)
    assert find_runs("smoke", "phantom", [run.key for run in every]) == every
    assert calls == [("smoke", "phantom")]


def test_batches_hold_every_run_once_and_one_kind_each():
    every = list_runs("smoke", "phantom")
    batches = batch_runs("smoke", every)
    assert sorted(run.key for batch in batches for run in batch) == sorted(run.key for run in every)
    assert all(len({(run.train_sets, run.recipe.size) for run in batch}) == 1 for batch in batches)
    assert max(map(len, batches)) == PROFILES["smoke"].batch


def test_what_is_lacking_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "available", lambda name: name != "convnext_base")
    backbones = STUDIES["backbones"].runs("M2SNet (ConvNeXt-B)", "paper", "phantom")[0]
    assert find_lack(backbones, "phantom").startswith("not run: no pretrained weights of convnext_base")
    (tmp_path / "note.txt").touch()
    run = STUDIES["oct"].runs("IIAU-Segmentors", "full", str(tmp_path))[0]
    assert find_lack(run, str(tmp_path)) == "not run: GOALS 2022 not found in the data folder"
    with pytest.raises(InputError, match="nothing to run with profile full: Kvasir-SEG not found in the data folder"):
        list_runs("full", str(tmp_path))


def test_what_many_runs_need_is_looked_for_once(monkeypatch, tmp_path):
    """Looking for each run's images took minutes for 900 runs, in every job's graph."""
    asked, networks = [], []
    monkeypatch.setattr(plan, "load_images", lambda name, split, root: asked.append((name, split)))
    monkeypatch.setattr(weights, "available", lambda name: not networks.append(name))
    runs = list_runs("full", str(tmp_path))
    needed = {split_of(name, "train") for run in runs for name in run.train_sets}
    assert len(runs) > 900 and len(needed) > 20 and sorted(asked) == sorted(needed)
    assert len(networks) == len(set(networks)) > 5


def test_lgmsnets_tables_train_with_its_own_recipe():
    chosen = STUDIES["lgmsnet"]
    (paper,) = chosen.runs("LGMSNet", "paper", "real", "kvasir")[:1]
    r = paper.recipe
    assert (r.size, r.epochs, r.batch_size, r.lr, r.optimizer, r.schedule) == (256, 500, 16, 0.02, "sgd", "poly")
    assert (paper.loss_form, paper.lossnet, paper.pretrained, paper.watch) == ("bce_dice", None, False, True)
    folds = chosen.runs("LGMSNet", "full", "real", "busi3")[:3]
    assert [run.test_sets for run in folds] == [(f"busi/lgmsnet{k}-test",) for k in (1, 2, 3)]
    thin, whole = (chosen.runs("U-Net", profile, "real", "kvasir")[0].options for profile in ("full", "paper"))
    assert (thin, whole) == ((("width", 16),), ())


def test_unseen_sets_are_scored_by_the_networks_of_the_first_table():
    own, unseen = (
        STUDIES[name].runs("LGMSNet", "full", "phantom", "kvasir")[0] for name in ("lgmsnet", "generalisation")
    )
    assert own.key == unseen.key and (own.test_sets, unseen.test_sets) == (("kvasir",), ("endoscene/all", "cvc300"))
    (run,) = find_runs("smoke", "phantom", [STUDIES["lgmsnet"].runs("LGMSNet", "smoke", "phantom")[0].key])
    assert run.test_sets == ("kvasir", "endoscene/all", "cvc300")


def test_the_released_training_on_kvasir_differs_in_the_recipe_alone():
    chosen = STUDIES["lgmsnet_released"]
    first, *_, last = (chosen.runs(row, "full", "real")[0] for row in chosen.rows)
    assert dataclasses.replace(last, recipe=first.recipe) == first
    changed = {
        f.name
        for f in dataclasses.fields(first.recipe)
        if getattr(first.recipe, f.name) != getattr(last.recipe, f.name)
    }
    assert changed == {"lr", "batch_size", "augment"}


def test_a_set_is_judged_by_the_printed_one_of_its_name():
    chosen = STUDIES["generalisation"]
    assert chosen.beside("CVC-300 (60 images)") == ("CVC-300 (912 images)",)
    assert chosen.beside("BUS") == ("BUS",)


def test_the_lab_trains_few_networks_and_no_ablation():
    """The polyp rows on the real images on board; one network each for CT, ultrasound, OCT, skin, and in 3-D."""
    runs = list_runs("lab", "sample")
    assert sorted((run.model, run.train_sets[0].partition("/")[0]) for run in runs) == [
        ("lgmsnet", "isic2018"), ("lgmsnet3d", "hippocampus"), ("m2snet", "busi"), ("m2snet", "goals"),
        ("m2snet", "kvasir"), ("m2snet", "lung"), ("msnet", "kvasir"), ("unet", "kvasir"),
    ]  # fmt: skip
    for run in runs:
        names = [split_of(name, "test") for name in run.test_sets]
        counts = {name: len(load_images(name, split, "sample", run.test_limit)) for name, split in names}
        assert all(count >= 24 for name, count in counts.items() if name != "hippocampus"), counts  # 6 are on board
    assert str(STUDIES["kernels"].why_not("M2SNet (kernel scales 1)", "lab", "sample", "polyps")) == (
        "not run: the profile lab trains no rows of this table"
    )


def test_smoke_trains_something_of_every_study_but_those_of_real_data():
    for name, study in STUDIES.items():
        made = [run for row in study.rows for run in study.runs(row, "smoke", "phantom")]
        assert bool(made) == (name not in ("btcv", "wiring", "short", "short_volumes")), name


def test_short_runs_have_every_network_once():
    """Each network of the zoo in 2-D, and those in 3-D that no other table has run; once, in the profile full alone."""
    images, volumes = ([run for row in STUDIES[n].rows for run in STUDIES[n].runs(row, "full", "real")] for n in SHORT)
    models = [run.model for run in images]
    assert set(models) == {name for name in MODELS if not name.endswith("3d")} - IN_3D
    assert len(models) == len(set(models)) + 1  # the classic U-Net with and without gates
    assert {run.model for run in volumes} == IN_3D
    for run in (*images, *volumes):
        assert run.recipe.seed == 0 and run.recipe.epochs <= 6 and run.lossnet is None
    for name in SHORT:
        for row in STUDIES[name].rows:
            assert not STUDIES[name].runs(row, "paper", "real") + STUDIES[name].runs(row, "full", "phantom")
