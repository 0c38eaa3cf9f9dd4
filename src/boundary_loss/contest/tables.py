"""The tables of a contest as CSV, Markdown and LaTeX."""

from boundary_loss.contest.reading import cannot_be_concluded, may_be_written, method
from boundary_loss.contest.result import Result
from boundary_loss.contest.sets import METRICS
from boundary_loss.metric_definitions import metric
from boundary_loss.report.latex import escape, table
from boundary_loss.statistics.comparison import short_label
from boundary_loss.statistics.tables import cell, to_csv


def heading(name: str) -> str:
    """Return ``HD95 (mm) ↓``."""
    found = metric(name)
    label = {"average symmetric surface distance": "ASSD", "surface Dice at 2 mm": "NSD at 2 mm"}.get(
        short_label(name), short_label(name)
    )
    unit = f" ({found.unit})" if found.unit else ""
    return f"{label}{unit} {'↓' if found.lower_is_better else '↑'}"


def csv_of(result: Result) -> str:
    """Return a line for each set, row and metric, with the comparison with the base where it was tested."""
    header = ["set", "row", "metric", "unit", "mean", "standard_deviation_over_patients",
              "standard_deviation_over_seeds", "patients", "seeds", "when", "gain_over_base", "low", "high", "p",
              "p_holm", "comparisons", "better", "seeds_needed", "sentence"]  # fmt: skip
    lines = []
    for (name, row, of), m in result.means.items():
        d = result.claims.get(name, of, row) if row != result.base else None
        tested = [cell(value) for value in (d.gain, d.low, d.high, d.p, d.p_holm)] if d else [""] * 5
        more = [d.family, d.better or "", d.seeds_needed or "", d.sentence] if d else [""] * 4
        spreads = (m.mean, m.sd_patients, m.sd_seeds)
        lines.append(
            [name, row, of, metric(of).unit, *map(cell, spreads), m.patients, m.seeds, result.when, *tested, *more]
        )
    return to_csv(header, lines)


def standing_rows(result: Result) -> list[list[str]]:
    """Return a header and a line for each row: mean ranks by metric, leads in the tested ones, decided comparisons."""
    names = [name for name in METRICS if name in result.standings]
    by_row = {name: {each.row: each for each in result.standings[name]} for name in names}
    ranked = [each.row for each in result.standings[names[0]]] if names else []
    header = ["row", *(f"mean rank, {heading(name)}" for name in names),
              *(f"leads, {heading(name)}" for name in names[:2]), "better", "worse", "undecided"]  # fmt: skip
    lines = [header]
    for row in (*ranked, *(row for row in result.rows if row not in ranked)):
        own = [by_row[name].get(row) for name in names]
        record = result.claims.record(row)
        decided = (
            [str(n) for n in (record.won, record.lost, record.undecided)] if row != result.base else ["base", "", ""]
        )
        rank = [f"{s.rank:.1f} [{s.low:.1f}, {s.high:.1f}]" if s else "–" for s in own]
        leads = [
            _leads(s.leads, s.leads_low, s.leads_high, s.sets) if s and row != result.base else "–" for s in own[:2]
        ]
        lines.append([row, *rank, *leads, *decided])
    return lines


def _leads(leads: int, low: float, high: float, sets: int) -> str:
    return f"{leads} of {sets} [{low:.0f}, {high:.0f}]"


def set_rows(result: Result, name: str) -> list[list[str]]:
    """Return a header and a line for each row of a set: its means, and † where it is shown better than the base."""
    lines = [["row", "seeds", *map(heading, METRICS)]]
    for row in result.rows:
        own = [result.means.get((name, row, of)) for of in METRICS]
        if not any(own):
            continue
        seeds = next(m.seeds for m in own if m)
        lines.append(
            [row, str(seeds), *(f"{m.text}{mark(result, name, of, row)}" if m else "–" for m, of in zip(own, METRICS))]
        )
    return lines


def mark(result: Result, name: str, of: str, row: str) -> str:
    """Return † where the row is shown to be better than the base, ‡ where worse, else nothing."""
    d = result.claims.get(name, of, row) if row != result.base else None
    return "" if d is None or d.better is None else "†" if d.better == row else "‡"


_BOLD = "bold: best mean of its column; "
LEGEND = (
    f"mean ± standard deviation over patients ± standard deviation over seeds; {_BOLD}† shown to "
    "be better than the base, ‡ worse"
)


def cost_rows(result: Result) -> list[list[str]]:
    """Return a header and a line for each row that was measured on a set; only the header if none was."""
    header = ["set", "row", "ms a step", "times the base", "MiB", "ms for its maps", "batch"]
    return [header] + [
        [each.name, row, f"{c.milliseconds:.1f} [{c.low:.1f}, {c.high:.1f}]", f"{c.times_of_first:.2f}",
         f"{c.mebibytes:.1f}", f"{c.maps_milliseconds:.1f}", c.batch]
        for each in result.sets for row, c in each.costs.items()
    ]  # fmt: skip


def markdown(result: Result, pictures: tuple[str, ...] = ()) -> str:
    """Return the report as Markdown: standings, a table a set, sentences, costs, and what cannot be concluded."""
    parts = [*(f"**{text}**" for text in result.warnings)]
    parts += ["### Over all sets", _table(standing_rows(result))]
    parts += [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures]
    for each in result.sets:
        patients = next(m.patients for (name, *_), m in result.means.items() if name == each.name)
        parts += [f"### {each.name}: {each.asked.about}", f"{patients} patients; {LEGEND}."]
        parts.append(_table(_bold(result, each.name, set_rows(result, each.name))))
    parts += ["### What may be written", _bullets(may_be_written(result) or ["No comparison shows a difference."])]
    parts += ["### What cannot be concluded", _bullets(cannot_be_concluded(result))]
    if len(costs := cost_rows(result)) > 1:
        where = "; ".join(dict.fromkeys(c.measured_on for each in result.sets for c in each.costs.values()))
        parts += [
            "### What the losses cost",
            f"Forward and backward of a row's losses, median and quartiles of rounds in turns; {where}.",
            _table(costs),
        ]
    parts += ["### How it was made", _bullets([*method(result), *result.notes])]
    return "\n\n".join(parts) + "\n"


def _bold(result: Result, name: str, lines: list[list[str]]) -> list[list[str]]:
    best = [result.best(name, of) for of in METRICS]
    return [lines[0]] + [
        [*line[:2], *(f"**{text}**" if line[0] in own else text for text, own in zip(line[2:], best))]
        for line in lines[1:]
    ]


def _table(lines: list[list[str]]) -> str:
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rest))


def _bullets(texts: list[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def latex(result: Result) -> str:
    r"""Return tables for a paper, to be taken in with ``\input{contest}``; they need the package booktabs."""
    parts = [f"% {text}" for text in result.warnings]
    parts.append(
        _latex_table(
            standing_rows(result),
            f"Mean ranks over {len(result.sets)} sets, with 95 % intervals. {' '.join(method(result))}",
        )
    )
    parts += [
        _latex_table(
            set_rows(result, each.name),
            f"{each.name}, {each.asked.about}, {result.epoch}: {LEGEND.replace(_BOLD, '')}.",
        )
        for each in result.sets
    ]
    return "\n\n".join(parts) + "\n"


def _latex_table(lines: list[list[str]], caption: str) -> str:
    head, *rest = (" & ".join(map(escape, line)) for line in lines)
    return table(caption, "l" + "c" * (len(lines[0]) - 1), [head + r" \\"], rest)
