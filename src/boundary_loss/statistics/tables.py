"""Tables as text: CSV for programs, aligned columns for a terminal."""

import csv
import io
import math
from collections.abc import Iterable, Sequence


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV with a header line; lines end in ``\\n``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def cell(value: float) -> str:
    """Return a number as CSV has it: six significant digits, empty for NaN."""
    return "" if math.isnan(value) else f"{value:.6g}"


def aligned(rows: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Return lines with aligned columns; with ``right`` all but the first column are aligned on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(text.rjust(width) if right and c else text.ljust(width)
                  for c, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines)
