"""``report.html``: one file that needs nothing else, for laptop and phone, light and dark."""

import base64
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from boundary_loss import boxplot, plot
from boundary_loss.comparison import Comparison, names_of, warnings_of
from boundary_loss.drawing import DARK, LIGHT, to_png
from boundary_loss.files import read_json
from boundary_loss.measured import When
from boundary_loss.report.definitions import CHOICE_OF_EPOCH, DEFINITIONS, EMPTY_RULE
from boundary_loss.report.findings import differences, sentences
from boundary_loss.report.table import WHEN, Scores, heading_of, legend
from boundary_loss.runfolder import RunFolder
from boundary_loss.statistics import CHOICES, Statistics

EVALUATION = "evaluation.json"
_SETTINGS = {
    "terms": "losses",
    "schedule": "schedule of the weights",
    "network": "network",
    "num_parameters": "parameters",
    "epochs": "epochs",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "rate": "rule of the learning rate",
    "optimiser": "optimiser",
    "seed": "seed",
    "best": "best epoch maximises Dice per",
    "num_train_slices": "training slices",
    "num_val_slices": "validation slices",
    "data_checksum": "data checksum",
    "commit": "commit",
    "versions": "versions",
    "device": "device",
}


def page(scores: Scores, statistics: Statistics, gallery: tuple[bytes, bytes] | str) -> str:
    """The whole page. ``gallery``: a light and a dark PNG, or why there is none."""
    banners = "".join(f'<div class="banner">{escape(text)}</div>' for text in warnings_of(scores.runs))
    body = "\n".join(
        [
            f"<h1>{escape(scores.study)}: {_count(len(scores.labels), 'run')}</h1>",
            _summary(scores, statistics),
            "<h2>Results</h2>",
            *(_results(scores, when) for when in WHEN),
            f'<p class="faint">{legend(scores).capitalize()}; bold: best mean of its column; '
            "↑ higher is better, ↓ lower is better. All numbers: report.csv beside this page.</p>",
            "<h2>Curves and cases</h2>",
            _pictures(scores),
            "<h2>Worst, median and best case</h2>",
            _gallery(gallery, scores),
            "<h2>How the runs were made</h2>",
            _settings(scores),
            "<h2>What the numbers mean</h2>",
            _definitions(scores),
        ]
    )
    title = f"{escape(scores.study)}: report"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_css()}</style>\n</head>\n<body>\n{banners}\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _css() -> str:
    text = files("boundary_loss.report").joinpath("page.css").read_text(encoding="utf-8")
    for word, theme in (("COLOURS_LIGHT", LIGHT), ("COLOURS_DARK", DARK)):
        text = text.replace(word, " ".join(f"--run{i}: {colour};" for i, colour in enumerate(theme.colours)))
    return text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _summary(scores: Scores, statistics: Statistics) -> str:
    first = scores.comparisons[0]
    parts = [f'<p class="faint">{escape(first.counted)}; classes reported: {escape(", ".join(first.columns))}.</p>']
    if statistics.differences:
        for when, said in [("", sentences(scores)), *((f"{WHEN[w]}", statistics.sentences(w)) for w in CHOICES)]:
            parts.append(f"<p>Paired comparisons {escape(when)}:</p>" if when else "")
            parts.append("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in said) + "</ul>")
        parts.append(f'<p class="faint">{escape(statistics.method)}</p>')
    parts.append(f"<p>{CHOICE_OF_EPOCH}</p>")
    notices = [*differences(scores.runs), *(f"{text}." for text in scores.missing)]
    if notices:
        parts.append('<div class="notice">' + "".join(f"<p>{escape(text)}</p>" for text in notices) + "</div>")
    return "\n".join(parts)


def _key(i: int) -> str:
    return f'<span class="key" style="background:var(--run{i % len(LIGHT.colours)})"></span>'


def _results(scores: Scores, when: When) -> str:
    top = ""
    for shown in scores.comparisons:
        name, rows_of = heading_of(shown.name)
        top += f'<th colspan="{len(shown.columns)}">{escape(name)}<br><small>{escape(rows_of)}</small></th>'
    below = "".join(f"<th>{escape(column)}</th>" for shown in scores.comparisons for column in shown.columns)
    rows = []
    for i, label in enumerate(scores.labels):
        epochs = sorted({e for score in scores.all if (score.run, score.when) == (label, when) for e in score.epochs})
        cells = [_cell(scores, shown, label, column, when) for shown in scores.comparisons for column in shown.columns]
        epoch = ", ".join(map(str, epochs)) or "–"
        rows.append(f"<tr><th>{_key(i)}{escape(label)}</th><td>{epoch}</td>{''.join(cells)}</tr>")
    return (
        f"<h3>{WHEN[when][0].upper()}{WHEN[when][1:]}</h3>\n"
        f'<div class="wide"><table><thead><tr><th></th><th></th>{top}</tr><tr><th>run</th><th>epoch</th>{below}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(scores: Scores, shown: Comparison, label: str, column: str, when: When) -> str:
    score = scores.get(label, shown.name, column, when)
    if score is None:
        return "<td>–</td>"
    mark = ' class="best"' if score in scores.best(shown.name, column, when) else ""
    return f'<td{mark} title="{_count(score.n, "case")}">{escape(score.text)}</td>'


def _image(light: bytes, dark: bytes, text: str) -> str:
    """A picture in the reader's theme, inside the page."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_data(dark)}">'
        f'<img alt="{escape(text)}" src="{_data(light)}"></picture>'
    )


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _pictures(scores: Scores) -> str:
    found = []
    training = [run for run in scores.runs if run.has("tra_loss")]
    losses = [Comparison.of("tra_loss", training, study=scores.study)] if training else []
    for shown in (*scores.comparisons, *losses):
        try:
            light, dark = (to_png(plot.draw(shown, theme=theme), dpi=130) for theme in (LIGHT, DARK))
        except ValueError as error:  # nothing measured, for example distances of the background
            found.append(f'<p class="faint">{escape(shown.name)}: {escape(str(error))}</p>')
            continue
        found.append(_image(light, dark, f"{shown.metric.label} over epochs"))
        if shown.metric.rows == "volumes" and all(measured.epochs("best") for measured in shown.runs):
            try:
                light, dark = (to_png(boxplot.draw(shown, theme=theme), dpi=130) for theme in (LIGHT, DARK))
            except ValueError:  # measured at other epochs, but at no best one: the table says so
                continue
            found.append(_image(light, dark, f"{shown.metric.label}: spread over cases"))
    return '<div class="pictures">' + "\n".join(found) + "</div>"


def _gallery(gallery: tuple[bytes, bytes] | str, scores: Scores) -> str:
    if isinstance(gallery, str):
        why = " ".join(tidy(word) for word in gallery.split(" "))
        return f'<p class="faint">No pictures: {escape(why)}.</p>'
    text = f"Ordered by the mean foreground Dice per volume of {scores.labels[0]}; its slice with the most foreground."
    image = _image(*gallery, "contours of every run over the image, for three cases")
    return f'<p class="faint">{escape(text)}</p><div class="wide gallery">{image}</div>'


def _settings(scores: Scores) -> str:
    rows = []
    for key, name in _SETTINGS.items():
        values = [_row_value(key, own) for own in scores.rows.values()]
        if not any(values):
            continue
        mark = ' class="differs"' if len(set(values)) > 1 else ""
        cells = "".join(f"<td{mark}>{value or '–'}</td>" for value in values)
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    top = "".join(f'<th class="run">{_key(i)}{escape(label)}</th>' for i, label in enumerate(scores.labels))
    commands = [
        f"{label}: {' '.join(tidy(word) for word in run.about.get('arguments', []))}"
        for label, run in zip(names_of(scores.runs), scores.runs, strict=True)
    ]
    return (
        f'<div class="wide"><table><thead><tr><th></th>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        '<p class="faint">Shaded: the runs differ.</p>'
        f"<h3>Arguments, as given</h3><pre>{escape(chr(10).join(commands))}</pre>"
    )


def _row_value(key: str, runs: Sequence[RunFolder]) -> str:
    """A setting of a row as HTML; all of its values where its runs differ, as in their seeds."""
    return ", ".join(dict.fromkeys(value for run in runs if (value := _value(key, run.about.get(key)))))


def _value(key: str, value: Any) -> str:
    """A setting as HTML."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "<br>".join(escape(tidy(str(item))) for item in value)
    if isinstance(value, dict):
        return "<br>".join(f"{escape(str(name))} {escape(str(item))}" for name, item in value.items())
    if key in ("commit", "data_checksum"):
        return f"<code>{escape(str(value)[:12])}</code>"
    if key == "num_parameters":
        return f"{value:,}".replace(",", "&#8239;")
    return escape(tidy(str(value)))


def tidy(word: str) -> str:
    """A word of a command without the folders of one machine: ``/home/me/data/ISLES`` -> ``…/ISLES``."""
    return re.sub(r"(^|[=:])(?:[A-Za-z]:)?[/\\](?:[^/\\]+[/\\])*([^/\\]+)[/\\]?$", r"\1…/\2", word)


def _definitions(scores: Scores) -> str:
    items = []
    for shown in scores.comparisons:
        label = shown.metric.label[0].upper() + shown.metric.label[1:]
        items.append(f"<dt>{escape(label)}</dt><dd>{escape(DEFINITIONS[shown.name])}</dd>")
    named = zip(scores.runs, names_of(scores.runs), strict=True)
    touched = [text for run, name in named for text in _touched(run, name)]
    listed = "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in touched) + "</ul>" if touched else ""
    return f"<dl>{''.join(items)}</dl><h3>Empty masks</h3><p>{EMPTY_RULE}</p>{listed}"


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
