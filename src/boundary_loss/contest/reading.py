"""Say what a researcher may write of a contest, and what cannot be concluded from it."""

from boundary_loss.contest.claims import sentence
from boundary_loss.contest.result import Result
from boundary_loss.statistics.claims import TESTED
from boundary_loss.statistics.comparison import short_label
from boundary_loss.statistics.difference import SEEDS_RULE

WEIGHTS = (
    "Weights: one for all sets, the largest power of ten at which the term's gradient at the logits is no larger than "
    "that of the cross-entropy, over the first epoch on ACDC's training slices. No weight was tuned on the reported "
    "cases; a tuned one may do better."
)


def may_be_written(result: Result) -> list[str]:
    """Return the sentences that the tests support."""
    return [sentence(name, difference) for name, difference in result.claims.shown]


def undecided(result: Result) -> list[str]:
    """Return the sentences on comparisons from which nothing can be concluded, and what more it would take."""
    return [sentence(name, difference) for name, difference in result.claims.all if not difference.shown]


def method(result: Result) -> list[str]:
    """Return how the numbers were made."""
    tested = " and ".join(short_label(name) for name in TESTED)
    return [
        f"All numbers are {result.epoch}. The learning rate ends at 0, so that the last epoch is a result and need not "
        "be chosen on the reported cases. A case's value is the mean over its foreground classes, a patient's that "
        "over the cases.",
        f"Tested: {tested} of every row against {result.base}, {result.claims.family} comparisons, with Holm's "
        "correction over all of them: the chance of any false claim in this report is at most "
        f"{result.claims.alpha:g}. With three seeds or more, interval and p hold the spread over seeds and over "
        "patients (MOVER); with fewer, only these trained networks are compared.",
        "Mean rank: a row's rank among the rows that all sets have, by its mean, averaged over the sets; leads: the "
        "sets on which its mean is better than the base's. Both with the 95 % interval of a bootstrap over patients "
        "and seeds.",
        SEEDS_RULE,
        WEIGHTS,
    ]


def cannot_be_concluded(result: Result) -> list[str]:
    """Return what the contest does not show."""
    few, most = result.seeds
    made = [f"{each.name} ({each.runs[0].record.network}, {each.runs[0].record.epochs} epochs)" for each in result.sets]
    total, shown = len(result.claims.all), len(result.claims.shown)
    said = [
        f"That two rows are equal: {total - shown} of {total} comparisons are undecided, which is not the same.",
        "That one loss is the best: ranks order means, and rows whose intervals overlap may change places with other "
        "seeds or patients.",
        f"That it holds for other networks, lengths of training or data: these are {', '.join(made)}.",
        "That it holds for other weights and schedules of the same losses: each was tried with one.",
    ]
    if most < 3:
        seeds = f"{few} to {most} seeds" if few < most else "1 seed" if most == 1 else f"{most} seeds"
        said.insert(0, f"Anything about losses: with {seeds} only these trained networks are compared.")
    elif few < 3:
        said.insert(0, "Anything about losses of rows with fewer than three seeds, which are listed below.")
    if len(result.sets) < 3:
        said.append(f"That it holds in general: {len(result.sets)} sets are few to average ranks over.")
    return said
