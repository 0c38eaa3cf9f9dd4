"""What a report says in words: which run has the best mean, and why a comparison may not be fair."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from boundary_loss.folders.run import RunFolder
from boundary_loss.report.html import tidy
from boundary_loss.report.table import Scores
from boundary_loss.statistics.alike import unlike
from boundary_loss.statistics.comparison import group, number, short_label


def sentences(scores: Scores, only: Collection[str] = ()) -> list[str]:
    """One a metric: ``HD95 over volumes (mm): best mean gdl for core (12.83); ce for rim (14.18).``

    ``only``: of these metrics; none = of all.
    """
    found = []
    for shown in scores.comparisons:
        if only and shown.name not in only:
            continue
        rows = shown.metric.noun
        unit = f" ({shown.metric.unit})" if shown.metric.unit else ""
        label = short_label(shown.name)
        winners = []
        for column in shown.columns:
            best = scores.best(shown.name, column, "best")
            if best:
                names = " and ".join(score.run for score in best)
                winners.append(f"{names} for {column} ({number(shown.name, best[0].mean)})")
        if winners:
            found.append(f"{label[0].upper()}{label[1:]} over {rows}{unit}: best mean {'; '.join(winners)}.")
    return found


def differences(runs: Sequence[RunFolder]) -> list[str]:
    """Settings in which rows differ although a comparison of losses needs them equal; a row's own runs too."""
    found = []
    for each in unlike(group(runs)):
        listed = "; ".join(f"{tidy(value)}: {', '.join(names)}" for value, names in each.by_value.items())
        found.append(f"The runs{f' of {each.row}' if each.row else ''} differ in {each.what} ({listed}).")
    return found


def conventions(scores: Scores) -> list[str]:
    """Where a challenge's own evaluation treats the data otherwise than these runs did."""
    shows_wmh = any(shown.name == "val_3d_hd95_wmh" for shown in scores.comparisons)
    counted = [run for run in scores.runs if run.about.get("study") == "wmh" and "--ignore" not in
               (run.about.get("data_arguments") or [])]  # fmt: skip
    if shows_wmh and counted:
        return [
            "The WMH challenge leaves label 2 (other pathology) out of every metric; these data were sliced without "
            "--ignore, so that it counts as background here (PREPARE=--ignore leaves it out)."
        ]
    return []


def unverified(about: Iterable[Mapping[str, Any]]) -> list[str]:
    """What must be said where archives were taken on the user's word; ``about``: of each run."""
    archives = [each for own in about for each in (own.get("data_source") or {}).get("archives", [])]
    names = sorted({str(archive["name"]) for archive in archives if archive.get("trusted")})
    if not names:
        return []
    return [
        f"Checksums not verified: {', '.join(names)} {'is' if len(names) == 1 else 'are'} none of the accepted "
        "archives (TRUST=1), so that it is not known whether this is the challenge's data."
    ]
