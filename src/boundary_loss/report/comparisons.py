"""Write the paired comparisons of boundary_loss.statistics: for the terminal, comparisons.csv and comparisons.txt."""

import textwrap

from boundary_loss.metric_definitions import metric
from boundary_loss.report.definitions import CHOICE_OF_EPOCH
from boundary_loss.report.table import WHEN
from boundary_loss.statistics import tables
from boundary_loss.statistics.claims import Statistics
from boundary_loss.statistics.difference import SEEDS_RULE, Difference

_WIDTH = 120


def to_text(statistics: Statistics) -> str:
    """Return a paragraph for each choice of epoch, then how the comparisons were made; empty for a single row."""
    if not statistics.differences:
        return ""
    blocks = []
    for when in statistics.choices:
        lines = [_wrapped(sentence, "  ") for sentence in statistics.sentences(when)]
        blocks.append("\n".join([f"Paired comparisons {WHEN[when]}", *lines]))
    chosen = [CHOICE_OF_EPOCH] if "best" in statistics.choices else []
    blocks.append(_wrapped(" ".join([statistics.method, *chosen]), ""))
    return "\n\n".join(blocks)


def to_sentences(statistics: Statistics) -> str:
    """Return one sentence for every comparison, pair by pair, to be copied into a paper as it is.

    Where nothing can be concluded, a second sentence says how many seeds it would take, if that is known.
    """
    blocks: dict[str, list[str]] = {}
    for when in statistics.choices:
        for d in statistics.at(when):
            own = blocks.setdefault(f"{d.first} and {d.second}", [])
            own += [heading] if (heading := f"  {WHEN[when]}:") not in own else []
            own.append(f"    {d.said}")
    pairs = "\n\n".join("\n".join([pair, *lines]) for pair, lines in blocks.items())
    return f"{pairs}\n\n{statistics.method} {SEEDS_RULE}\n" if blocks else ""


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent * 2,
        break_long_words=False,
        break_on_hyphens=False,
    )


def to_csv(statistics: Statistics) -> str:
    """Return one line for each comparison, with empty cells for NaN. A positive gain means that ``first`` is better.

    ``speaks_of``: ``losses`` if both rows have enough seeds, else ``networks``. ``better``: the row whose loss is shown
    to be better. ``better_networks``: the row whose networks are. ``differ_in``: settings other than the losses.
    ``seeds_needed``: how many seeds a row would show a difference, see :data:`SEEDS_RULE`.
    """
    header = ["metric", "unit", "class", "when", "first", "second", "patients", "cases", "counted", "unequal",
              "gain", "low", "high", "rank_biserial", "p", "p_holm", "comparisons", "seeds_of_first",
              "seeds_of_second", "speaks_of", "better", "better_networks", "differ_in", "seeds_needed",
              "sentence"]  # fmt: skip
    return tables.to_csv(header, map(_line, statistics.differences))


def _line(d: Difference) -> list[object]:
    numbers = map(tables.cell, (d.gain, d.low, d.high, d.effect, d.p, d.p_holm))
    return [d.metric, metric(d.metric).unit, d.column, d.when, d.first, d.second, d.n, d.cases, d.noun, d.unequal,
            *numbers, d.family, *d.seeds, "losses" if d.of_losses else "networks", d.better or "",
            d.better_networks or "", "; ".join(d.unlike), d.seeds_needed or "", d.sentence]  # fmt: skip
