"""What the page's scripts draw: curves over epochs, values of cases. Numbers as JSON takes them, NaN as null."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from boundary_loss.comparison import Comparison, Measured, axis_label, short_label
from boundary_loss.drawing import LIGHT
from boundary_loss.report.table import Scores, decimals, heading_of

DIGITS = 5
LOSSES = ("tra_loss", "val_loss")


def payload(scores: Scores, gallery: dict[str, Any] | str) -> dict[str, Any]:
    """Everything under one roof; ``gallery`` as :func:`boundary_loss.report.gallery.build` made it, or why not."""
    return {
        "study": scores.study,
        "runs": [{"name": name, "colour": i % len(LIGHT.colours)} for i, name in enumerate(scores.labels)],
        "metrics": [_metric(shown, scores) for shown in (*scores.comparisons, *losses(scores))],
        "gallery": None if isinstance(gallery, str) else gallery,
    }


def losses(scores: Scores) -> list[Comparison]:
    """The curves that stand beside the metrics: each loss on training and validation data."""
    found = []
    for name in LOSSES:
        having = [(run, label) for run, label in zip(scores.runs, scores.labels, strict=True) if run.has(name)]
        if having:
            runs, labels = zip(*having, strict=True)
            found.append(Comparison.of(name, runs, labels=labels, study=scores.study))
    return found


def _metric(shown: Comparison, scores: Scores) -> dict[str, Any]:
    return {
        "name": shown.name,
        "label": shown.metric.label,
        "axis": axis_label(shown.name).replace("\n", " "),
        "heading": " · ".join(heading_of(shown.name)),
        "short": short_label(shown.name),
        "unit": shown.metric.unit,
        "lower": shown.metric.lower_is_better,
        "loss": shown.metric.columns == "losses",
        "decimals": decimals(shown.name),
        "columns": list(shown.columns),
        "runs": [_run(shown.name, measured, scores.labels.index(measured.label)) for measured in shown.runs],
    }


def _run(name: str, measured: Measured, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "run": number,
        "best": measured.best,
        "last": measured.last,
        "mean": {column: rounded(measured.means[:, c]) for c, column in enumerate(measured.columns)},
    }
    rows = measured.run.row_names(name)
    if rows is not None:
        found["rows"] = rows
        found["cases"] = {
            when: {column: rounded(measured.values[epoch, :, c]) for c, column in enumerate(measured.columns)}
            for when, epoch in (("best", measured.best), ("last", measured.last))
            if epoch is not None
        }
    return found


def rounded(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """``DIGITS`` significant digits: more than a curve shows."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in np.asarray(values, float)]


def to_script(content: dict[str, Any]) -> str:
    """JSON that may stand inside a ``<script>``: no name can end it."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
