"""Rewrite the section of a page that lies between two marks, and leave all around it as it is."""

from pathlib import Path

BEGIN = "<!-- contest: written by `make -f contest.make page`; edits between the marks are lost -->"
END = "<!-- /contest -->"


def rewritten(page: str, content: str, path: Path) -> str:
    """Return the page with ``content`` between its marks.

    Raises:
        ValueError: the marks are not there, once each and in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(f"{path} has not the two marks, once each, between which the results go: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{content.strip()}\n\n{END}{after}"
