r"""``report.tex``: tables for a paper, to be taken in with ``\input{report}``; they need the package booktabs.

Metrics of whole volumes only (of slices, where there are no others): one convention a table. Bold: best mean of its
column; a dagger: shown to be better than the first row, as a loss and not as one network.
"""

from collections.abc import Sequence

from boundary_loss.metric_definitions import metric
from boundary_loss.report.findings import differences
from boundary_loss.report.table import WHEN, Scores, legend
from boundary_loss.statistics.claims import CHOICES, OF_NETWORKS, Statistics
from boundary_loss.statistics.comparison import Comparison, number, short_label, warnings_of
from boundary_loss.statistics.difference import Choice, Difference, p_text

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
            "√": r"$\surd$", "²": "$^2$", "–": "--", "−": "$-$", "<": "$<$",
            ">": "$>$", "†": r"$^\dagger$", "‡": r"$^\ddagger$", "↑": r"$\uparrow$",
            "↓": r"$\downarrow$"} | {c: "\\" + c for c in "&%$#_{}"}  # fmt: skip


def escape(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def to_latex(scores: Scores, statistics: Statistics) -> str:
    """Return tables of the results at the best and at the last epoch, and of the paired comparisons."""
    shown = [c for c in scores.comparisons if c.metric.rows == "volumes"] or list(scores.comparisons)
    parts = [f"% {text}" for text in warnings_of(scores.runs)]
    parts += [_results(scores, shown, statistics, when) for when in scores.choices]
    if statistics.differences:
        parts.append(_differences(scores, statistics))
    return "\n\n".join(parts) + "\n"


def _results(scores: Scores, shown: Sequence[Comparison], statistics: Statistics, when: Choice) -> str:
    heads, ranges, below, start = [], [], [], 2
    for comparison in shown:
        width = len(comparison.columns)
        unit = f" ({comparison.metric.unit})" if comparison.metric.unit else ""
        arrow = r"$\downarrow$" if comparison.metric.lower_is_better else r"$\uparrow$"
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(short_label(comparison.name) + unit)} {arrow}}}")
        ranges.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        below += [escape(column) for column in comparison.columns]
        start += width
    rows = [
        " & ".join(
            [escape(label), *(_cell(scores, statistics, label, c, column, when) for c in shown for column in c.columns)]
        )
        for label in scores.labels
    ]
    caption = f"{scores.study}, {shown[0].counted}, {WHEN[when]}: {legend(scores)}. Bold: best mean of its column."
    if any("dagger" in row for row in rows):
        caption += f" Dagger: better than {scores.labels[0]} (see the paired comparisons)."
    if statistics.of_networks:
        caption += f" {OF_NETWORKS}"
    caption += "".join(f" {text}" for text in differences(scores.runs))
    if warnings_of(scores.runs):
        caption += " " + ". ".join(warnings_of(scores.runs)) + "."
    header = [" & ".join(["", *heads]), " & ".join(["", *below])]
    return table(caption, "l" + "c" * (start - 2), [header[0] + r" \\ " + "".join(ranges), header[1] + r" \\"], rows)


def _cell(scores: Scores, statistics: Statistics, label: str, shown: Comparison, column: str, when: Choice) -> str:
    score = scores.get(label, shown.name, column, when)
    if score is None:
        return "--"
    text = escape(score.text)
    if score in scores.best(shown.name, column, when):
        text = rf"\textbf{{{text}}}"
    against = statistics.get(shown.name, column, when, label, scores.labels[0]) if label != scores.labels[0] else None
    return text + (r"$^\dagger$" if against is not None and against.better == label else "")


def _differences(scores: Scores, statistics: Statistics) -> str:
    rows = [_difference_row(d) for when in CHOICES for d in statistics.at(when)]
    caption = f"{scores.study}: paired comparisons; a positive gain means that the first is better. {statistics.method}"
    header = "first & second & metric & class & epoch & of & patients & gain & 95\\,\\% interval & $r$ & $p$ " + r"\\"
    return table(caption, "llllclrrcrl", [header], rows)


def _difference_row(d: Difference) -> str:
    cells = [d.first, d.second, short_label(d.metric), d.column, d.when]
    cells += ["losses" if d.of_losses else "networks", str(d.n)]
    if d.n:
        unit = f" {metric(d.metric).unit}" if metric(d.metric).unit else ""
        low, high = number(d.metric, d.low), number(d.metric, d.high)
        cells += [number(d.metric, d.gain) + unit, f"{low} to {high}", f"{d.effect:.2f}"]
        cells += [p_text(d.p_holm).removeprefix("p ").removeprefix("= ")]
    else:
        cells += ["–"] * 4
    return " & ".join(map(escape, cells))


def table(caption: str, columns: str, header: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table; header and rows are LaTeX, the caption is text."""
    body = "\n".join(rf"{row} \\" for row in rows)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\footnotesize",
            rf"\caption{{{escape(caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *header,
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )
