"""The headline claims of the papers, each in one line: what our runs on the same kind of images say of it."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from m2s.tables.comparisons import find_gaps, find_gaps_by_seed, judge_intervals
from m2s.tables.results import Results


class Claim(NamedTuple):
    """``row`` is better than ``other`` in the table of ``study``, by ``metric``.

    ``needs`` says what its runs wait for, where that is not only time.
    """

    text: str
    study: str
    row: str
    other: str
    metric: str = "mDice"
    needs: str = ""


CLAIMS = (
    Claim("M2SNet is better than MSNet on polyp images", "polyps", "M2SNet", "MSNet"),
    Claim("MSNet is better than PraNet on polyp images", "polyps", "MSNet", "PraNet"),
    Claim("M2SNet is better than a U-Net on polyp images", "polyps", "M2SNet", "U-Net"),
    Claim("M2SNet, which sees one frame, is better on videos than PNS-Net", "videos", "M2SNet", "PNS-Net"),
    Claim("M2SNet is better than MSNet on videos", "videos", "M2SNet", "MSNet"),
    Claim("M2SNet is better than Inf-Net on lung infections", "lung", "M2SNet", "Inf-Net", "Dice"),
    Claim("M2SNet is better than MSNet on breast tumours", "breast", "M2SNet", "MSNet", "Dice"),
    Claim("five orders of subtraction are better than none", "aggregation", "+ SU_5", "baseline"),
    Claim("LossNet makes MSNet better", "aggregation", "+ L_f", "+ SU_5"),
    # Both with LossNet. Whether the paper's addition has it is not said (notebook 30, section 3).
    Claim("subtraction is better than addition", "aggregation", "+ L_f", "SU→AU"),
    Claim("LossNet makes M2SNet better", "losses", "M2SNet (LossNet)", "M2SNet (w/o LossNet)"),
    Claim(
        "deep supervision makes M2SNet with LossNet a little better", "losses",
        "M2SNet (LossNet + deep supervision)", "M2SNet (LossNet)",
    ),
    Claim(
        "VGG-16 is a better LossNet than ResNet-50", "lossnets", "VGG-16", "ResNet-50",
        needs="the weights of ResNet-50",
    ),
    Claim(
        "three kernel scales are better than one", "kernels", "M2SNet (kernel scales 1,3,5)", "M2SNet (kernel scales 1)"
    ),
    Claim(
        "a box is better than a Gaussian", "kernels",
        "M2SNet (kernel scales 1,3,5)", "M2SNet (average kernel → Gaussian kernel)",
    ),
    Claim("scales within the units are better than ASPP behind them", "styles", "M2SNet", "M2SNet (ASPP)"),
    Claim("LGMSNet is better than a U-Net", "lgmsnet", "LGMSNet", "U-Net", "IoU"),
    Claim("LGMSNet is better than TinyU-Net on unseen sets", "generalisation", "LGMSNet", "TinyU-Net", "IoU"),
    Claim("LGMSNet is better than SegMamba in 3-D", "btcv", "LGMSNet", "SegMamba", "Dice", "the volumes of BTCV"),
)  # fmt: skip


def judge_claim(claim: Claim, results: Results) -> dict[str, str]:
    """What the runs of ``results``, the claim's study, say of it, as text to look at.

    ``printed``: the printed differences, smallest and largest; ``ours``: those of our runs, set by set; ``verdict``: on
    how many sets the row is ahead beyond the chance of the test images ("holds"), behind beyond it ("reversed"), or
    neither ("undecided"), as in :func:`~m2s.tables.comparisons.find_ordering`; ``seeds``: the mean difference over the
    sets for each seed that both rows have; ``images``; and the ``settings`` of the runs.
    Without runs of both rows the verdict is "not run yet" or says what they need, and the rest is empty.
    """
    gap = find_gaps(results, claim.row, claim.other, claim.metric)
    said = dict.fromkeys(("claim", "table", "printed", "ours", "verdict", "seeds", "images", "settings"), "")
    not_run = f"not run, because it needs {claim.needs}" if claim.needs else "not run yet"
    said |= {"claim": claim.text, "table": results.study.title.partition(":")[0], "verdict": not_run}
    if gap.empty:
        return said
    printed = gap["paper"].round(3).dropna()
    ours, others = ({done.run.recipe for done in results.finished_of(row)} for row in (claim.row, claim.other))
    epochs = sorted({recipe.epochs for recipe in ours} & {recipe.epochs for recipe in others})
    by_seed = find_gaps_by_seed(results, claim.row, claim.other, claim.metric)
    verdict = _count_verdicts(gap)
    if min(by_seed.values()) < 0 < max(by_seed.values()):
        verdict += "; the sign changes with the seed"
    return said | {
        "printed": " to ".join(f"{value:+.3f}" for value in dict.fromkeys((printed.min(), printed.max()))),
        "ours": ", ".join(f"{dataset} {value:+.3f}" for dataset, value in gap["difference"].items()),
        "verdict": verdict,
        "seeds": ", ".join(f"{seed}: {value:+.3f}" for seed, value in by_seed.items()),
        "images": f"{gap['images'].sum():.0f}",
        "settings": f"{min(recipe.size for recipe in ours)} px, {' or '.join(map(str, epochs))} epochs",
    }


def _count_verdicts(gap: pd.DataFrame) -> str:
    """``"holds on 1 of 4 sets, undecided on 3"``, from the intervals of :func:`find_gaps`."""
    counts = (
        pd.Series(judge_intervals(gap)).value_counts().reindex(["holds", "reversed", "undecided"]).dropna().astype(int)
    )
    if len(gap) == 1 or len(counts) == 1:
        return f"{counts.index[0]} on " + ("its one set" if len(gap) == 1 else f"all of its {len(gap)} sets")
    (word, count), *others = counts.items()
    return ", ".join([f"{word} on {count} of {len(gap)} sets", *(f"{w} on {n}" for w, n in others)])


def judge_claims(results: Mapping[str, Results], *others: Mapping[str, Results]) -> pd.DataFrame:
    """:func:`judge_claim` of every claim; ``results`` holds the results of each study by its name.

    ``others``, such as those of a larger profile, add a line behind each claim of which they have runs.
    """
    lines = []
    for claim in CLAIMS:
        more = (judge_claim(claim, other[claim.study]) for other in others)
        lines += [judge_claim(claim, results[claim.study]), *(said for said in more if said["ours"])]
    return pd.DataFrame(lines)


def format_claims(claims: pd.DataFrame) -> str:
    """:func:`judge_claims` as a Markdown table."""
    names = {"claim": "claim", "table": "printed in", "printed": "printed difference", "ours": "our difference, by set"}
    names |= {"seeds": "by seed, mean over sets", "images": "test images"}
    shown = claims.rename(columns=names)
    lines = [list(shown.columns), ["---"] * shown.shape[1], *shown.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace(" -0.", " −0.")
