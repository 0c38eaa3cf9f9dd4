"""Build the data that the page's scripts draw: curves over epochs and values of cases, with NaN as null."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from boundary_loss.figures.drawing import LIGHT
from boundary_loss.report.html import dashes, key, mark
from boundary_loss.report.table import Scores, heading_of
from boundary_loss.statistics.claims import CHOICES, Statistics
from boundary_loss.statistics.comparison import Comparison, axis_label, decimals, short_label
from boundary_loss.statistics.values import Measured, nanstd

DIGITS = 5
LOSSES = ("tra_loss", "val_loss")


def payload(scores: Scores, statistics: Statistics, gallery: dict[str, Any] | None) -> dict[str, Any]:
    """Return everything that the scripts draw; ``gallery`` is that of :func:`boundary_loss.report.gallery.build`."""
    return {
        "study": scores.study,
        "runs": _named(scores.labels),
        "metrics": [_metric(shown, scores) for shown in (*scores.comparisons, *losses(scores))],
        "differences": [
            {"metric": d.metric, "column": d.column, "when": d.when, "rows": [d.first, d.second], "text": d.sentence}
            for d in statistics.differences
        ],
        "gallery": gallery,
    }


def gallery_payload(study: str, gallery: dict[str, Any]) -> dict[str, Any]:
    """Return the data of the gallery alone, with a row for every run."""
    return {"study": study, "runs": _named(gallery["shown"]), "metrics": [], "differences": [], "gallery": gallery}


def _named(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return each run's name and style; ``key`` is HTML that was made here."""
    return [
        {"name": name, "colour": i % len(LIGHT.colours), "mark": mark(i), "dash": dashes(i), "key": key(i)}
        for i, name in enumerate(names)
    ]


def losses(scores: Scores) -> list[Comparison]:
    """Return the curves of each loss on training and validation data."""
    found = []
    for name in LOSSES:
        having = {label: own for label, own in scores.rows.items() if all(run.has(name) for run in own)}
        if having:
            runs = [run for own in having.values() for run in own]
            found.append(Comparison.of(name, runs, labels=list(having), study=scores.study))
    return found


def _metric(shown: Comparison, scores: Scores) -> dict[str, Any]:
    return {
        "name": shown.name,
        "label": shown.metric.label,
        "axis": axis_label(shown.name).replace("\n", " "),
        "heading": " · ".join(heading_of(shown)),
        "short": short_label(shown.name),
        "about": about(shown),
        "unit": shown.metric.unit,
        "lower": shown.metric.lower_is_better,
        "noun": shown.metric.noun,
        "loss": shown.metric.columns == "losses",
        "decimals": decimals(shown.name),
        "columns": list(shown.columns),
        "runs": [_run(measured, scores.labels.index(measured.label)) for measured in shown.runs],
    }


def about(shown: Comparison) -> str:
    """Return ``volumes, mm, lower is better``."""
    direction = "lower is better" if shown.metric.lower_is_better else "higher is better"
    return f"{heading_of(shown)[1]}, {direction}"


def _run(measured: Measured, number: int) -> dict[str, Any]:
    """Return a row's curves, a band of one SD over its seeds, and its cases at the best and the last epoch."""
    columns = list(enumerate(measured.columns))
    found: dict[str, Any] = {
        "run": number,
        "best": measured.best,
        "mean": {column: rounded(measured.means[:, c]) for c, column in columns},
    }
    if measured.num_seeds > 1:
        spread = nanstd(measured.seed_means, axis=0)
        found["low"] = {column: rounded(measured.means[:, c] - spread[:, c]) for c, column in columns}
        found["high"] = {column: rounded(measured.means[:, c] + spread[:, c]) for c, column in columns}
    if measured.cases:
        found["names"] = list(measured.cases)
        found["cases"] = {
            when: {column: rounded(measured.at(when)[:, c]) for c, column in columns}
            for when in CHOICES
            if measured.epochs(when)
        }
    return found


def rounded(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Round to ``DIGITS`` significant digits, which is finer than a curve shows."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in np.asarray(values, float)]


def to_script(content: dict[str, Any]) -> str:
    """Return JSON that is safe inside a ``<script>``: no name in it can close the tag."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
