"""How the runs were made: settings side by side, ledger rows, commands, data and split."""

import shlex
from collections.abc import Sequence
from html import escape
from typing import Any

from boundary_loss.folders.run import RunFolder
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
    "commit": "commit",
    "versions": "versions",
    "device": "device",
}
"""The settings, then the facts of a run that follow from them; whatever else a run records comes after."""
_ELSEWHERE = {"name", "losses", "study", "arguments", "data_arguments", "data_source"}


def html(scores: Scores, seen: Seen | Unavailable) -> str:
    return "\n".join(
        [
            _settings(scores),
            '<p class="faint">Said once where all runs agree.</p>',
            "<h3>Ledger</h3>",
            _block(_ledger(scores)),
            "<h3>Commands</h3>",
            _block(_commands(scores)),
            "<h3>Data</h3>",
            _data(scores),
            *([] if isinstance(seen, Unavailable) else map(_split, seen.splits)),
        ]
    )


def _settings(scores: Scores) -> str:
    rows = []
    recorded = dict.fromkeys(setting for run in scores.runs for setting in run.about)
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
    """A setting of a row as HTML; all of its values where its runs differ, as in their seeds."""
    return ", ".join(dict.fromkeys(value for run in runs if (value := _value(setting, run.about.get(setting)))))


def _value(setting: str, value: Any) -> str:
    """A setting as HTML."""
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
    """The rows as a study file has them."""
    lines = []
    for run, *_ in scores.rows.values():
        lines.append(f"{run.row}.losses := {' '.join(map(str, run.about.get('terms', [])))}")
        if run.about.get("schedule") not in (None, "constant"):
            lines.append(f"{run.row}.schedule := {run.about['schedule']}")
    return "\n".join(lines)


def _commands(scores: Scores) -> str:
    return "\n".join(
        f"python -m boundary_loss.train results/{run.home.resolve().name}/{run.name} "
        + shlex.join(tidy(str(word)) for word in run.about.get("arguments", []))
        for run in scores.runs
    )


def _block(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _data(scores: Scores) -> str:
    """Each different kind of data the runs were trained on: checksum, slicing, archives."""
    parts = []
    for about in {str(run.about.get("data_checksum")): run.about for run in scores.runs}.values():
        source = about.get("data_source") or {}
        rows = [("checksum of the sliced data", str(about.get("data_checksum", "unknown")))]
        if about.get("data_arguments"):
            rows.append(("sliced with", shlex.join(tidy(str(word)) for word in about["data_arguments"])))
        for archive in source.get("archives", []):
            trusted = ", unknown and trusted" if archive.get("trusted") else ""
            rows.append((archive["name"], f"{archive['algorithm']} {archive['checksum']}{trusted}"))
        rows += [(word, "; ".join(source[word])) for word in ("source", "licence", "citation") if source.get(word)]
        cells = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td class="long">{escape(value)}</td></tr>' for name, value in rows
        )
        parts.append(paragraphs(unverified([about])))
        parts.append(f'<div class="wide"><table class="facts"><tbody>{cells}</tbody></table></div>')
    return "".join(parts)


def _split(split: dict[str, Any]) -> str:
    if not split.get("val"):
        return ""
    fold = f", fold {split['fold']} of {split['folds']}" if split.get("folds") else ""
    seed = f", seed {split['seed']}" if "seed" in split else ""
    sets = [("trained on", split.get("train", [])), ("held out", split["val"])]
    items = "".join(
        f"<dt>{len(names)} patients {word}</dt><dd>{escape(', '.join(map(str, names)))}</dd>" for word, names in sets
    )
    return f"<details><summary>Split{escape(seed + fold)}</summary><dl>{items}</dl></details>"
