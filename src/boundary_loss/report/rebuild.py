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


def reported(folder: Path, paths: list[Path]) -> list[Path]:
    """Return the runs that the report shows, in its order, which decides their colours; all of them without a report.

    An archive also holds runs that others need, as a locator's.
    """
    kept = read_kept(folder)
    known = {path.relative_to(folder).as_posix(): path for path in paths}
    return [known[name] for name in kept.names if name in known] if kept else paths
