"""Write the section on how the runs were made: settings side by side, ledger rows, commands, data and split."""

import shlex
from collections.abc import Sequence
from html import escape
from typing import Any

from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.source import Source
from boundary_loss.folders.split import Split
from boundary_loss.report.findings import unverified
from boundary_loss.report.html import named, paragraphs, tidy
from boundary_loss.report.seen import Seen, Unavailable
from boundary_loss.report.table import Scores
from boundary_loss.settings import declared
from boundary_loss.statistics.alike import words

_HEADINGS = {setting.key: setting.heading for setting in declared()} | {
    "num_parameters": "parameters",
    "num_train_slices": "training slices",
    "num_val_slices": "validation slices",
    "num_train_volumes": "training volumes",
    "num_val_volumes": "validation volumes",
    "data_checksum": "data checksum",
    "boxes_checksum": "boxes checksum",
    "boxes_kept": "share of the object in the boxes, validation",
    "commit": "commit",
    "versions": "versions",
    "device": "device",
}
"""Headings of the settings, then of facts that follow from them; other entries of run.json come last."""
_ELSEWHERE = {"name", "losses", "study", "arguments", "data_arguments", "data_source"}


def html(scores: Scores, seen: Seen | Unavailable) -> str:
    return "\n".join(
        [
            _settings(scores),
            '<p class="faint">Said once where all runs agree.</p>',
            *_headed("Ledger", _ledger(scores)),
            *_headed("Commands", _commands(scores)),
            "<h3>Data</h3>",
            _data(scores),
            *([] if isinstance(seen, Unavailable) else map(_split, seen.splits)),
        ]
    )


def _settings(scores: Scores) -> str:
    rows = []
    recorded = dict.fromkeys(setting for run in scores.runs for setting in run.record.recorded)
    others = {setting: words(setting) for setting in recorded if setting not in _HEADINGS.keys() | _ELSEWHERE}
    for setting, name in (_HEADINGS | others).items():
        values = [_row_value(setting, own) for own in scores.rows.values()]
        if not any(values):
            continue
        if len(values) > 1 and len(set(values)) == 1:
            cells = f'<td colspan="{len(values)}">{values[0]}</td>'
        else:
            cells = "".join(f"<td>{value or '–'}</td>" for value in values)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    top = "".join(f'<th class="run" scope="col">{named(i, label)}</th>' for i, label in enumerate(scores.labels))
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Settings of the runs"><table>'
        f"<thead><tr><td></td>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row_value(setting: str, runs: Sequence[RunFolder]) -> str:
    """Return a row's value of a setting as HTML; all its values if its runs differ, as in their seeds."""
    values = [_value(setting, run.record.recorded.get(setting)) for run in runs]
    return ", ".join(dict.fromkeys(filter(None, values)))


def _value(setting: str, value: Any) -> str:
    """Format a setting as HTML."""
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "<br>".join(escape(tidy(str(item))) for item in value)
    if isinstance(value, dict):
        return "<br>".join(f"{escape(str(name))} {escape(str(item))}" for name, item in value.items())
    if setting in ("commit", "data_checksum"):
        return f'<code title="{escape(str(value))}">{escape(str(value)[:12])}</code>'
    if setting == "num_parameters":
        return f"{value:,}".replace(",", "&#8239;")
    return escape(tidy(str(value)))


def _ledger(scores: Scores) -> str:
    """Return the rows as they are written in a study's makefile; those that were trained elsewhere are left out."""
    lines = []
    for run, *_ in scores.rows.values():
        if run.record.trained_by:
            continue
        lines.append(f"{run.row}.losses := {' '.join(run.record.terms)}")
        if run.record.schedule not in (None, "constant"):
            lines.append(f"{run.row}.schedule := {run.record.schedule}")
    return "\n".join(lines)


def _commands(scores: Scores) -> str:
    return "\n".join(
        f"python -m boundary_loss.train results/{run.home.resolve().name}/{run.name} "
        + shlex.join(map(tidy, run.record.arguments))
        for run in scores.runs
        if not run.record.trained_by
    )


def _headed(heading: str, text: str) -> list[str]:
    return [f"<h3>{heading}</h3>", _block(text)] if text else []


def _block(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _data(scores: Scores) -> str:
    """Describe each data set that the runs were trained on: checksum, slicing, archives."""
    parts = []
    for record in {run.record.data_checksum: run.record for run in scores.runs}.values():
        rows = [("checksum of the sliced data", record.data_checksum or "unknown")]
        if record.data_arguments:
            rows.append(("sliced with", shlex.join(map(tidy, record.data_arguments))))
        if record.data_source is not None:
            rows += _source(record.data_source)
        cells = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td class="long">{escape(value)}</td></tr>' for name, value in rows
        )
        parts.append(paragraphs(unverified([record])))
        parts.append(f'<div class="wide"><table class="facts"><tbody>{cells}</tbody></table></div>')
    return "".join(parts)


def _source(source: Source) -> list[tuple[str, str]]:
    """Return the table's rows on the archives and their origin."""
    rows = []
    for archive in source.archives:
        trusted = ", unknown and trusted" if archive.trusted else ""
        rows.append((archive.name, f"{archive.algorithm} {archive.checksum}{trusted}"))
    known = {"source": source.source, "licence": source.licence, "citation": source.citation}
    return rows + [(word, "; ".join(texts)) for word, texts in known.items() if texts]


def _split(split: Split) -> str:
    if not split.val:
        return ""
    fold = f", fold {split.fold} of {split.folds}" if split.folds else ""
    seed = "" if split.seed is None else f", seed {split.seed}"
    sets = [("trained on", split.train), ("held out", split.val)]
    items = "".join(f"<dt>{len(names)} patients {word}</dt><dd>{escape(', '.join(names))}</dd>" for word, names in sets)
    return f"<details><summary>Split{escape(seed + fold)}</summary><dl>{items}</dl></details>"
