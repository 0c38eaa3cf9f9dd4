"""Redraw from an archive all that needs no data, and compare it with the packed files."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from boundary_loss import boxplot, hist, plot
from boundary_loss.archive.reading import unpack
from boundary_loss.figures.drawing import Figure, to_png
from boundary_loss.files import read_array
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import METRICS
from boundary_loss.report.rebuild import again, reported
from boundary_loss.statistics.comparison import Comparison, find_runs, runs_in

DRAWN: tuple[tuple[str, Callable[[Comparison], Figure]], ...] = (
    (boxplot.SUFFIX, boxplot.draw),
    (hist.SUFFIX, hist.draw),
    ("", plot.draw),
)


def check(archive: Path) -> list[str]:
    """Unpack into a temporary folder, read every array, and redraw every plot and the report.

    Returns:
        A line on the arrays, one on the plots and one on the report.

    Raises:
        ValueError: damaged, or an array that cannot be read or does not fit its run's names.
    """
    with tempfile.TemporaryDirectory(prefix="archive-") as place:
        folder, _ = unpack(archive, Path(place))
        paths = runs_in(folder)
        runs = find_runs(paths)
        if not runs:
            raise ValueError(f"{archive} holds no finished run")
        return [_arrays(folder, runs), _plots(folder, find_runs(reported(folder, paths))), _report(folder)]


def _arrays(folder: Path, runs: list[RunFolder]) -> str:
    """Read all arrays; those of metrics must have the shape that rows.json gives them."""
    paths = sorted(folder.rglob("*.npy"))
    for path in paths:
        read_array(path)
    for run in runs:
        for name in METRICS:
            if run.has(name):
                Comparison.of(name, [run])
    return f"{len(paths)} arrays of {len(runs)} runs can be read and have the shapes that their names say"


def _plots(folder: Path, runs: list[RunFolder]) -> str:
    """Redraw the plots beside the runs; packed ones that were drawn with options (PLOT=...) look different."""
    drawn, same = 0, 0
    for path in sorted(folder.glob("*.png")):
        for suffix, draw in DRAWN:
            name = path.stem.removesuffix(suffix)
            having = [run for run in runs if name in METRICS and run.has(name)]
            if path.stem.endswith(suffix) and having:
                study = having[0].record.study or ""
                drawn += 1
                same += to_png(draw(Comparison.of(name, having, study=study))) == path.read_bytes()
                break
    return f"{drawn} plots drawn again, {same} of them the same byte for byte"


def _report(folder: Path) -> str:
    path = folder / "report.html"
    if not path.is_file():
        return "no report.html in it"
    content = again(folder)
    if content is None:
        return "report.html is in it, but not what it was made from (report_data.json)"
    same = content == path.read_text(encoding="utf-8")
    return f"report.html drawn again, {'the same byte for byte' if same else 'not the same: other versions?'}"
