"""Rebuild report.html from report_data.json, without the sliced data: as ``verify`` does with an archive."""

from pathlib import Path

from boundary_loss.report.options import collected, kept_arguments
from boundary_loss.report.page import page
from boundary_loss.report.report_data import KEPT, read_kept


def again(folder: Path) -> str | None:
    """Return ``report.html`` as it would be written now; None if there is no report_data.json.

    Raises:
        ValueError: what was kept cannot be used, or does not fit the runs.
    """
    kept = read_kept(folder)
    if kept is None:
        return None
    try:
        scores, statistics = collected(kept_arguments(folder, kept.names, kept.words))
        return page(scores, statistics, kept)
    except ValueError as error:
        raise ValueError(f"{folder / KEPT} does not fit what lies beside it: {error}") from None


def order(folder: Path, paths: list[Path]) -> list[Path]:
    """Return the runs in the report's order, which decides their colours."""
    kept = read_kept(folder)
    names = kept.names if kept else []
    known = {path.relative_to(folder).as_posix(): path for path in paths}
    first = [known.pop(name) for name in names if name in known]
    return [*first, *known.values()]
