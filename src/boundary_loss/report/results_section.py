"""Write the page's first section: the results in sentences, and in a table for the best and one for the last epoch."""

from collections.abc import Sequence
from html import escape

import numpy as np

from boundary_loss.metric_definitions import metric
from boundary_loss.report import comparisons
from boundary_loss.report.definitions import CHOICE_OF_EPOCH, DEFINITIONS, EMPTY_RULE
from boundary_loss.report.findings import conventions, differences, sentences, unverified
from boundary_loss.report.html import bullets, count, download, named, paragraphs
from boundary_loss.report.latex import to_latex
from boundary_loss.report.table import WHEN, Scores, heading_of, legend, to_csv, touched_texts
from boundary_loss.statistics.claims import Statistics
from boundary_loss.statistics.comparison import Comparison, number, short_label
from boundary_loss.statistics.difference import Choice, Difference, p_text
from boundary_loss.statistics.values import epoch_words

FEW = 6
"""Sentences that are shown; further ones are folded."""


def summary(scores: Scores, statistics: Statistics) -> str:
    """Return the best means of the tested metrics, what the comparisons show, and what makes them unfair."""
    first = scores.comparisons[0]
    tested = {difference.metric for difference in statistics.differences}
    parts = [
        f'<p class="faint">{escape(first.counted)}; classes reported: {escape(", ".join(first.columns))}.</p>',
        f'<div class="summary">{bullets(sentences(scores, tested))}</div>',
        paragraphs([statistics.limits] if statistics.of_networks else []),
        *(_compared(statistics, when) for when in statistics.choices),
        f"<p>{CHOICE_OF_EPOCH}</p>" if "best" in scores.choices else "",
        paragraphs(
            [
                *unverified(run.record for run in scores.runs),
                *differences(scores.runs),
                *conventions(scores),
                *(f"{text}." for text in scores.missing),
            ]
        ),
    ]
    return "\n".join(parts)


def _compared(statistics: Statistics, when: Choice) -> str:
    """Return what is shown at one choice of epoch, and, folded, why the rest is not."""
    total, shown = len(statistics.at(when)), statistics.shown(when)
    of_losses = sum(difference.of_losses for difference in shown)
    what = "a difference of losses is shown" if statistics.of_networks else "a difference is shown"
    lead = f"Patient by patient, {WHEN[when]}: {what} in {of_losses} of {count(total, 'comparison')}"
    lead += f"; one of networks only, in {len(shown) - of_losses} more." if statistics.of_networks else "."
    said = [difference.sentence for difference in shown]
    found = bullets(said[:FEW]) + _folded(f"{len(said) - FEW} more", said[FEW:])
    return f"<p><strong>{escape(lead)}</strong></p>{found}" + _folded(
        f"Why nothing can be concluded in {'the other ' if shown else ''}{total - len(shown)}",
        statistics.failures(when),
    )


def _folded(title: str, texts: Sequence[str]) -> str:
    return f"<details><summary>{escape(title)}</summary>{bullets(texts)}</details>" if texts else ""


def html(scores: Scores, statistics: Statistics) -> str:
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in scores.study)
    dagger = f" † shown to be better than {scores.labels[0]}." if _any_shown(scores, statistics) else ""
    files = [
        download(to_csv(scores), f"{stem}.csv", "text/csv", "Table as CSV"),
        download(comparisons.to_csv(statistics), f"{stem}_comparisons.csv", "text/csv", "Comparisons as CSV"),
        download(comparisons.to_sentences(statistics), f"{stem}_comparisons.txt", "text/plain", "Sentences as text"),
        download(to_latex(scores, statistics), f"{stem}.tex", "application/x-tex", "Tables as LaTeX"),
    ]
    return "\n".join(
        [
            f'<p class="faint">{escape(legend(scores).capitalize())}; bold: best mean of its column; '
            f"↑ higher is better, ↓ lower is better.{escape(dagger)}</p>",
            *(_table(scores, statistics, when) for when in scores.choices),
            f'<p class="buttons">{" ".join(files)}</p>',
            _differences(statistics),
            _to_copy(statistics),
        ]
    )


def _table(scores: Scores, statistics: Statistics, when: Choice) -> str:
    top = ""
    for shown in scores.comparisons:
        name, rows_of = heading_of(shown)
        text = f"{escape(name)}<br><small>{escape(rows_of)}</small>"
        top += f'<th colspan="{len(shown.columns)}" scope="colgroup">{text}</th>'
    below = "".join(
        f'<th scope="col" data-sort="{"up" if shown.metric.lower_is_better else "down"}">{escape(column)}</th>'
        for shown in scores.comparisons
        for column in shown.columns
    )
    rows = "".join(_row(scores, statistics, i, label, when) for i, label in enumerate(scores.labels))
    caption = f"{WHEN[when][0].upper()}{WHEN[when][1:]}"
    return (
        f'<h3 id="table-{when}">{caption}</h3>\n'
        f'<div class="wide" tabindex="0" role="region" aria-labelledby="table-{when}"><table class="sortable">'
        f'<thead><tr><td></td><td></td>{top}</tr><tr><th scope="col" data-sort="text">run</th>'
        f'<th scope="col" data-sort="up">epoch</th>{below}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(scores: Scores, statistics: Statistics, i: int, label: str, when: Choice) -> str:
    epochs = sorted({e for score in scores.all if (score.run, score.when) == (label, when) for e in score.epochs})
    cells = [
        _cell(scores, statistics, shown, label, column, when)
        for shown in scores.comparisons
        for column in shown.columns
    ]
    epoch = epoch_words(epochs).split()[1] if epochs else "–"
    value = f' data-value="{epochs[0]}"' if epochs else ""
    return f'<tr><th scope="row">{named(i, label)}</th><td{value}>{epoch}</td>{"".join(cells)}</tr>'


def _cell(scores: Scores, statistics: Statistics, shown: Comparison, label: str, column: str, when: Choice) -> str:
    score = scores.get(label, shown.name, column, when)
    if score is None:
        return "<td>–</td>"
    mark = ' class="best"' if score in scores.best(shown.name, column, when) else ""
    value = f' data-value="{score.mean:.6g}"' if np.isfinite(score.mean) else ""
    against = _shown_better(scores, statistics, shown.name, column, label, when)
    dagger = f'<abbr title="{escape(against.sentence)}">†</abbr>' if against else ""
    counted = count(score.n, shown.metric.noun.removesuffix("s"))
    return f'<td{mark}{value} title="{counted}">{_spread(score.text)}{dagger}</td>'


def _shown_better(
    scores: Scores, statistics: Statistics, name: str, column: str, label: str, when: Choice
) -> Difference | None:
    """Return the comparison that shows this row to be better than the first; None if there is none."""
    if label == scores.labels[0]:
        return None
    against = statistics.get(name, column, when, label, scores.labels[0])
    return against if against is not None and against.better == label else None


def _any_shown(scores: Scores, statistics: Statistics) -> bool:
    return any(d.better not in (None, scores.labels[0]) and scores.labels[0] in (d.first, d.second)
               for d in statistics.differences)  # fmt: skip


def _differences(statistics: Statistics) -> str:
    """Return a folded table of every comparison, and how they were made."""
    if not statistics.differences:
        return ""
    names = (
        *("metric", "class", "epoch", "first", "second", "speaks of"),
        *("patients", "gain of the first", "95 % interval", "effect", "p"),
    )
    top = "".join(f'<th scope="col" data-sort="{"down" if i > 5 else "text"}">{n}</th>' for i, n in enumerate(names))
    rows = "".join(_difference(d) for d in statistics.differences)
    return (
        f"<details><summary>Every comparison, and how they were made</summary><p>{escape(statistics.method)}</p>"
        f'<div class="wide tall" tabindex="0" role="region" aria-label="Every comparison"><table class="sortable">'
        f"<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _to_copy(statistics: Statistics) -> str:
    """Return a folded text with a sentence for every pair."""
    text = comparisons.to_sentences(statistics)
    what = "Every pair in a sentence, to be copied into a paper"
    return f"<details><summary>{what}</summary><pre>{escape(text)}</pre></details>" if text else ""


def _difference(d: Difference) -> str:
    words = [short_label(d.metric), d.column, d.when, d.first, d.second, "losses" if d.of_losses else "networks"]
    unit = f" {metric(d.metric).unit}" if metric(d.metric).unit else ""
    known = d.n > 0
    numbers = [
        (d.n, str(d.n)),
        (d.gain, number(d.metric, d.gain) + unit if known else "–"),
        (d.low, f"{number(d.metric, d.low)} to {number(d.metric, d.high)}" if known else "–"),
        (d.effect, f"{d.effect:.2f}" if known else "–"),
        (d.p_holm, p_text(d.p_holm).removeprefix("p ").removeprefix("= ") if known else "–"),
    ]
    cells = "".join(f"<td>{escape(word)}</td>" for word in words) + "".join(
        f"<td{f' data-value={value:.6g}' if np.isfinite(value) else ''}>{escape(text)}</td>" for value, text in numbers
    )
    return f'<tr title="{escape(d.sentence)}"{" class=shown" if d.shown else ""}>{cells}</tr>'


def _spread(text: str) -> str:
    """Format the mean normally and what follows it in a fainter colour."""
    mean, _, rest = text.partition(" ")
    return escape(mean) + (f' <span class="sd">{escape(rest)}</span>' if rest else "")


def definitions(scores: Scores) -> str:
    items = []
    for shown in scores.comparisons:
        label = shown.metric.label[0].upper() + shown.metric.label[1:]
        items.append(f"<dt>{escape(label)}</dt><dd>{escape(DEFINITIONS[shown.name])}</dd>")
    touched = [text for shown in scores.comparisons for text in touched_texts(shown)]
    return f"<dl>{''.join(items)}</dl><h3>Empty masks</h3><p>{escape(EMPTY_RULE)}</p>{bullets(touched)}"
