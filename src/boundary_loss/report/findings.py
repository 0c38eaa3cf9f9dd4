"""Write a report's sentences: which run has the best mean, and why a comparison may be unfair."""

from collections.abc import Collection, Iterable, Sequence

from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.run_record import RunRecord
from boundary_loss.report.html import tidy
from boundary_loss.report.table import Scores
from boundary_loss.statistics.alike import unlike
from boundary_loss.statistics.comparison import group, number, short_label


def sentences(scores: Scores, only: Collection[str] = ()) -> list[str]:
    """Return a sentence for each metric: ``HD95 over volumes (mm): best mean gdl for core (12.83); ce for rim (14.2).``

    Args:
        only: the metrics to write about; none = all.
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
    """Return a sentence for each setting that differs between rows, or between a row's runs, and should not."""
    found = []
    for each in unlike(group(runs)):
        listed = "; ".join(f"{tidy(value)}: {', '.join(names)}" for value, names in each.by_value.items())
        found.append(f"The runs{f' of {each.row}' if each.row else ''} differ in {each.what} ({listed}).")
    return found


def conventions(scores: Scores) -> list[str]:
    """Return notes on differences between a challenge's own evaluation and these runs'."""
    shows_wmh = any(shown.name == "val_3d_hd95_wmh" for shown in scores.comparisons)
    counted = [run for run in scores.runs if run.record.study == "wmh" and "--ignore" not in
               run.record.data_arguments]  # fmt: skip
    if shows_wmh and counted:
        return [
            "The WMH challenge leaves label 2 (other pathology) out of every metric; these data were sliced without "
            "--ignore, so that it counts as background here (PREPARE=--ignore leaves it out)."
        ]
    return []


def unverified(runs: Iterable[RunRecord]) -> list[str]:
    """Return a warning if archives with unknown checksums were accepted."""
    sources = [record.data_source for record in runs if record.data_source is not None]
    names = sorted({archive.name for source in sources for archive in source.archives if archive.trusted})
    if not names:
        return []
    return [
        f"Checksums not verified: {', '.join(names)} {'is' if len(names) == 1 else 'are'} none of the accepted "
        "archives (TRUST=1), so that it is not known whether this is the challenge's data."
    ]
