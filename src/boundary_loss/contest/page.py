"""Write ``contest.html``: a single file without external resources, as the reports of the sets that it links to."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from boundary_loss.contest.reading import cannot_be_concluded, may_be_written, method, undecided
from boundary_loss.contest.result import Result
from boundary_loss.contest.sets import METRICS
from boundary_loss.contest.tables import LEGEND, cost_rows, csv_of, latex, set_rows, standing_rows
from boundary_loss.metric_definitions import metric
from boundary_loss.report.definitions import DEFINITIONS, EMPTY_RULE
from boundary_loss.report.html import bullets, count, download, named, paragraphs
from boundary_loss.report.page import document

NOTHING: dict[str, Any] = {"study": "", "runs": [], "metrics": [], "differences": [], "gallery": None}
"""What the scripts of a page draw: the tables alone are theirs here, to be sorted."""


def page(result: Result, pictures: Mapping[str, bytes], folder: Path) -> str:
    """Return the whole page.

    Args:
        pictures: PNGs by their captions, for the first section.
        folder: of the results, in which the sets' own reports are looked for.
    """
    sections = [
        ("standings", "Over all sets", _standings(result, pictures)),
        ("sets", "Set by set", "".join(_set(result, each.name, folder) for each in result.sets)),
        ("sentences", "What may be written", _sentences(result)),
        ("limits", "What cannot be concluded", bullets(cannot_be_concluded(result))),
        ("cost", "What the losses cost", _costs(result)),
        ("made", "How it was made", _made(result)),
    ]
    title = f"Contest of losses: {count(len(result.rows), 'row')}, {count(len(result.sets), 'set')}"
    return document(title, _summary(result), sections, NOTHING, result.warnings)


def _summary(result: Result) -> str:
    shown, total = len(result.claims.shown), len(result.claims.all)
    lead = f"Against {result.base}, {result.epoch}: a difference is shown in {shown} of {count(total, 'comparison')}."
    said = may_be_written(result)
    return f'<p><strong>{escape(lead)}</strong></p><div class="summary">{bullets(said)}</div>{paragraphs(result.notes)}'


def _standings(result: Result, pictures: Mapping[str, bytes]) -> str:
    images = "".join(_image(caption, png) for caption, png in pictures.items())
    files = [
        download(csv_of(result), "contest.csv", "text/csv", "Table as CSV"),
        download(latex(result), "contest.tex", "application/x-tex", "Tables as LaTeX"),
    ]
    note = (
        "Mean rank over the sets among the rows that all sets have, 1 the best; leads: sets on which the mean is "
        "better than the base's; both with 95 % intervals over patients and seeds. Better, worse, undecided: "
        "comparisons of losses with the base in which one is shown, and the others."
    )
    table, buttons = _table(result, standing_rows(result)), f'<p class="buttons">{" ".join(files)}</p>'
    return f'<p class="faint">{escape(note)}</p>{table}{buttons}{images}'


def _image(caption: str, png: bytes) -> str:
    content = base64.b64encode(png).decode("ascii")
    return (
        f'<p><img alt="{escape(caption)}" style="max-width:100%;height:auto" src="data:image/png;base64,{content}"></p>'
    )


def _set(result: Result, name: str, folder: Path) -> str:
    each = next(own for own in result.sets if own.name == name)
    report = folder / name / "report.html"
    link = (
        f' <a href="{quote(f"{name}/report.html")}">Its own report</a>, with curves and gallery.'
        if report.is_file()
        else ""
    )
    patients = next((m.patients for (own, *_), m in result.means.items() if own == name), 0)
    about = f"{each.asked.about}; {count(patients, 'patient')}; mean over {', '.join(each.classes)}. {LEGEND}."
    head, *lines = set_rows(result, name)
    bold = [set[str](), *(result.best(name, of) for of in METRICS)]
    return (
        f'<h3 id="set-{escape(name)}">{escape(name)}</h3>'
        f'<p class="faint">{escape(about[0].upper() + about[1:])}{link}</p>{_table(result, [head, *lines], bold)}'
    )


def _table(result: Result, lines: Sequence[Sequence[str]], bold: Sequence[set[str]] = ()) -> str:
    head, *rest = lines
    top = "".join(
        f'<th scope="col" data-sort="{"text" if i == 0 else "up"}">{escape(text)}</th>' for i, text in enumerate(head)
    )
    body = ""
    for row, *cells in rest:
        name = named(result.rows.index(row), row) if row in result.rows else escape(row)
        body += f'<tr><th scope="row">{name}</th>' + "".join(
            f"<td{_class(row, i, bold)}>{escape(text)}</td>" for i, text in enumerate(cells)
        )
        body += "</tr>"
    return (
        '<div class="wide" tabindex="0" role="region"><table class="sortable">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _class(row: str, i: int, bold: Sequence[set[str]]) -> str:
    return ' class="best"' if i < len(bold) and row in bold[i] else ""


def _sentences(result: Result) -> str:
    said, unsaid = may_be_written(result), undecided(result)
    text = "\n".join([*said, *unsaid]) + "\n"
    button = download(text, "contest.txt", "text/plain", "Sentences as text")
    return (
        f'<p class="faint">One sentence for every row, set and tested metric, to be copied as it is.</p>'
        f'<p class="buttons">{button}</p>{bullets(said or ["No comparison shows a difference."])}'
        f"<details><summary>Where nothing can be concluded: {len(unsaid)}</summary>{bullets(unsaid)}</details>"
    )


def _costs(result: Result) -> str:
    lines = cost_rows(result)
    if len(lines) == 1:
        return '<p class="faint">Not measured: <code>make -f contest.make cost</code>.</p>'
    where = "; ".join(dict.fromkeys(cost.measured_on for each in result.sets for cost in each.costs.values()))
    note = (
        "Forward and backward of all losses of a row on one batch, the rows in turns; median and quartiles. MiB: most "
        "memory above what was held before. Maps are made once a sample, or in each step where the augmentation "
        f"deforms. {where}."
    )
    turned = [[line[1], line[0], *line[2:]] for line in lines]
    return f'<p class="faint">{escape(note)}</p>{_table(result, turned)}'


def _made(result: Result) -> str:
    rows: dict[str, str] = {}
    for each in result.sets:
        for row, (run, *_) in each.rows.items():
            schedule = run.record.schedule if run.record.schedule not in (None, "constant") else ""
            rows.setdefault(
                row, f"{row}.losses := {' '.join(run.record.terms)}" + (f"    {schedule}" if schedule else "")
            )
    ledger = "\n".join(rows[row] for row in result.rows)
    defined = "".join(f"<dt>{escape(metric(of).label)}</dt><dd>{escape(DEFINITIONS[of])}</dd>" for of in METRICS)
    return (
        f"{bullets(method(result))}<h3>Rows</h3><pre>{escape(ledger)}</pre><h3>Sets</h3>{_settings(result)}"
        f"<h3>Metrics</h3><dl>{defined}</dl><p>{escape(EMPTY_RULE)}</p>"
    )


def _settings(result: Result) -> str:
    """Return what the rows of each set share, of its first run."""
    words = ("network", "epochs", "batch_size", "learning_rate", "rate", "fit", "sample", "augment",
             "num_train_volumes", "num_val_volumes", "num_train_slices", "num_val_slices", "device",
             "commit")  # fmt: skip
    lines = [["", *(each.name for each in result.sets)]]
    for word in words:
        values = [each.runs[0].record.recorded.get(word) for each in result.sets]
        if any(value not in (None, [], "") for value in values):
            lines.append([word.replace("_", " "), *(_word(value) for value in values)])
    head, *rest = lines
    top = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = "".join(
        f'<tr><th scope="row">{escape(line[0])}</th>{"".join(f"<td>{escape(text)}</td>" for text in line[1:])}</tr>'
        for line in rest
    )
    return f'<div class="wide"><table class="facts"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _word(value: object) -> str:
    if value is None:
        return "–"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
