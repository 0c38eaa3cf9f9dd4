"""The first thing a reader sees: what came out, in words and in one table for the best and one for the last epoch."""

from collections.abc import Sequence
from html import escape

import numpy as np

from boundary_loss.comparison import Comparison, names_of
from boundary_loss.files import read_json
from boundary_loss.measured import When, epoch_words
from boundary_loss.report.definitions import CHOICE_OF_EPOCH, DEFINITIONS, EMPTY_RULE, NO_SIGNIFICANCE
from boundary_loss.report.findings import differences, sentences
from boundary_loss.report.parts import bullets, count, download, key, paragraphs
from boundary_loss.report.table import WHEN, Scores, heading_of, legend, to_csv
from boundary_loss.runfolder import RunFolder

EVALUATION = "evaluation.json"


def summary(scores: Scores) -> str:
    first = scores.comparisons[0]
    found = sentences(scores)
    words = f"{NO_SIGNIFICANCE} {CHOICE_OF_EPOCH}" if found else CHOICE_OF_EPOCH
    return "\n".join(
        [
            f'<p class="faint">{escape(first.counted)}; classes reported: {escape(", ".join(first.columns))}.</p>',
            f'<div class="summary">{bullets(found)}</div>' if found else "",
            f"<p>{escape(words)}</p>",
            paragraphs([*differences(scores.runs), *(f"{text}." for text in scores.missing)]),
        ]
    )


def html(scores: Scores) -> str:
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in scores.study)
    return "\n".join(
        [
            f'<p class="faint">{legend(scores).capitalize()}; bold: best mean of its column; '
            "↑ higher is better, ↓ lower is better. A column's heading sorts.</p>",
            *(_table(scores, when) for when in WHEN),
            f'<p class="buttons">{download(to_csv(scores), f"{stem}.csv", "text/csv", "Download CSV")}</p>',
        ]
    )


def _table(scores: Scores, when: When) -> str:
    top = ""
    for shown in scores.comparisons:
        name, rows_of = heading_of(shown.name)
        text = f"{escape(name)}<br><small>{escape(rows_of)}</small>"
        top += f'<th colspan="{len(shown.columns)}" scope="colgroup">{text}</th>'
    below = "".join(
        f'<th scope="col" data-sort="{"up" if shown.metric.lower_is_better else "down"}">{escape(column)}</th>'
        for shown in scores.comparisons
        for column in shown.columns
    )
    rows = "".join(_row(scores, i, label, when) for i, label in enumerate(scores.labels))
    caption = f"{WHEN[when][0].upper()}{WHEN[when][1:]}"
    return (
        f'<h3 id="table-{when}">{caption}</h3>\n'
        f'<div class="wide" tabindex="0" role="region" aria-labelledby="table-{when}"><table class="sortable">'
        f'<thead><tr><td></td><td></td>{top}</tr><tr><th scope="col" data-sort="text">run</th>'
        f'<th scope="col" data-sort="up">epoch</th>{below}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(scores: Scores, i: int, label: str, when: When) -> str:
    epochs = sorted({e for score in scores.all if (score.run, score.when) == (label, when) for e in score.epochs})
    cells = [_cell(scores, shown, label, column, when) for shown in scores.comparisons for column in shown.columns]
    epoch = epoch_words(epochs).split()[1] if epochs else "–"
    value = f' data-value="{epochs[0]}"' if epochs else ""
    return f'<tr><th scope="row">{key(i)}{escape(label)}</th><td{value}>{epoch}</td>{"".join(cells)}</tr>'


def _cell(scores: Scores, shown: Comparison, label: str, column: str, when: When) -> str:
    score = scores.get(label, shown.name, column, when)
    if score is None:
        return "<td>–</td>"
    mark = ' class="best"' if score in scores.best(shown.name, column, when) else ""
    value = f' data-value="{score.mean:.6g}"' if np.isfinite(score.mean) else ""
    return f'<td{mark}{value} title="{count(score.n, "case")}">{_spread(score.text)}</td>'


def _spread(text: str) -> str:
    """The mean, and fainter what follows it."""
    mean, _, rest = text.partition(" ")
    return escape(mean) + (f' <span class="sd">{escape(rest)}</span>' if rest else "")


def definitions(scores: Scores) -> str:
    items = []
    for shown in scores.comparisons:
        label = shown.metric.label[0].upper() + shown.metric.label[1:]
        items.append(f"<dt>{escape(label)}</dt><dd>{escape(DEFINITIONS[shown.name])}</dd>")
    named = zip(scores.runs, names_of(scores.runs), strict=True)
    touched = [text for run, label in named for text in _touched(run, label)]
    return f"<dl>{''.join(items)}</dl><h3>Empty masks</h3><p>{EMPTY_RULE}</p>{bullets(touched)}"


def _touched(run: RunFolder, label: str) -> Sequence[str]:
    """How often the rule for empty masks was used, as evaluation counted it."""
    path = run.path / EVALUATION
    if not path.is_file():
        return []
    counts = [
        f"{name} {found['touched']} of {found['of']}"
        for name, found in read_json(path).items()
        if isinstance(found, dict) and "touched" in found and "of" in found
    ]
    return [f"{label}, best epoch: the rule set the value of {'; '.join(counts)}."] if counts else []
