"""Write ``report.html``: a single file without external resources, for laptop and phone, light and dark.

Text and tables are HTML and complete without scripts; curves, cases and gallery are drawn in the browser by the
scripts in assets/, from the JSON of :mod:`boundary_loss.report.payload`.
"""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from boundary_loss.figures.drawing import DARK, LIGHT, Theme
from boundary_loss.folders.run import RunFolder
from boundary_loss.report import absent_section, provenance_section, results_section, surfaces_section
from boundary_loss.report.html import count, tidy
from boundary_loss.report.payload import gallery_payload, payload, to_script
from boundary_loss.report.seen import Seen, Unavailable
from boundary_loss.report.table import Scores
from boundary_loss.statistics.claims import Statistics
from boundary_loss.statistics.comparison import study_of, warnings_of

SCRIPTS = (
    "dom", "theme", "table", "runs", "chart", "curves", "cases", "masks", "pictures", "panel", "planes", "gallery",
    "controls", "main",
)  # fmt: skip
"""In this order, because each uses definitions of those before it."""
_CASES = "Every point and every line is a volume or a slice, as the metric says; the tests are per patient."


def page(scores: Scores, statistics: Statistics, seen: Seen | Unavailable) -> str:
    """Return the whole page."""
    sections = [
        ("results", "Results", results_section.html(scores, statistics)),
        ("curves", "Curves", f'<p class="faint">{_curves(scores)}</p>'),
        ("cases", "Cases", f'<p class="faint">{_CASES}</p>'),
        ("gallery", "Gallery", _gallery(seen)),
        *_surfaces(seen),
        ("absent", "Nothing to find", absent_section.html(scores, seen)),
        ("made", "How the runs were made", provenance_section.html(scores, seen)),
        ("meaning", "What the numbers mean", results_section.definitions(scores)),
    ]
    title = f"{scores.study}: {count(len(scores.labels), 'run')}"
    gallery = seen.gallery if isinstance(seen, Seen) else None
    summary = results_section.summary(scores, statistics)
    return document(title, summary, sections, payload(scores, statistics, gallery), warnings_of(scores.runs))


def _curves(scores: Scores) -> str:
    band = "; band: ± standard deviation over seeds" if scores.num_seeds > 1 else ""
    mark = "; mark: best epoch" if "best" in scores.choices else ""
    return f"Mean over cases at every epoch{mark}{band}."


def gallery_page(runs: Sequence[RunFolder], gallery: dict[str, Any]) -> str:
    """Return a page with the gallery alone, as ``make view`` opens it."""
    study = study_of(runs)
    content = gallery_payload(study, gallery)
    return document(f"{study}: gallery", "", [("gallery", "Gallery", "")], content, warnings_of(runs))


def _gallery(seen: Seen | Unavailable) -> str:
    if isinstance(seen, Unavailable):
        why = " ".join(tidy(word) for word in seen.reason.split(" "))
        return f'<p class="faint">No pictures: {escape(why)}.</p>'
    return ""


def _surfaces(seen: Seen | Unavailable) -> list[tuple[str, str, str]]:
    """The section of surfaces, if any run has some."""
    if isinstance(seen, Unavailable) or not (seen.surfaces.cases or seen.surfaces.notes):
        return []
    return [("surfaces", "Surfaces", surfaces_section.html(seen.surfaces))]


def document(
    title: str, summary: str, sections: Sequence[tuple[str, str, str]], content: dict[str, Any], banners: Sequence[str]
) -> str:
    """Return a page with these ``(anchor, heading, html)`` sections and the scripts' data."""
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = "\n".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-h">'
        f'<h2 id="{anchor}-h">{escape(heading)}</h2>\n{html}\n</section>'
        for anchor, heading, html in sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{colours()}{_asset('page.css')}</style>\n</head>\n<body>\n"
        + "".join(f'<div class="banner" role="note">{escape(text)}</div>\n' for text in banners)
        + f'<header><h1>{escape(title)}</h1><nav aria-label="Sections">{links}</nav></header>\n'
        "<main>\n"
        '<noscript><p class="notice">The curves, the cases and the gallery are drawn by scripts inside this file; with '
        "scripts off, tables and text remain.</p></noscript>\n"
        f"{summary}\n{body}\n</main>\n"
        f'<script type="application/json" id="data">{to_script(content)}</script>\n'
        f"<script>\n{scripts()}</script>\n</body>\n</html>\n"
    )


def scripts() -> str:
    """Return all scripts as the body of one function, so that they share names only with each other."""
    return '(() => {\n"use strict";\n' + "\n".join(_asset(f"{name}.js") for name in SCRIPTS) + "})();\n"


def _asset(name: str) -> str:
    return files("boundary_loss.report").joinpath("assets", name).read_text(encoding="utf-8")


def colours() -> str:
    """Return both themes as CSS variables; the reader's choice wins over the system's, and printing is always light."""
    light, dark = _variables(LIGHT, "light"), _variables(DARK, "dark")
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f":root[data-theme=dark] {{ {dark} }}\n"
        f"@media print {{ :root:root {{ {light} }} }}\n"
    )


def _variables(theme: Theme, scheme: str) -> str:
    runs = " ".join(f"--run{i}: {colour};" for i, colour in enumerate(theme.colours))
    return (
        f"color-scheme: {scheme}; --paper: {theme.paper}; --ink: {theme.ink}; --faint: {theme.faint}; "
        f"--line: {theme.grid}; {_MORE[scheme]} {runs}"
    )


_MORE = {
    "light": "--soft: #f5f6f8; --card: #ffffff; --alarm: #b3261e; --notice: #fff4dc; --notice-ink: #5c4300; "
    "--link: #0067a3; --better: #00795a; --worse: #b84a00;",
    "dark": "--soft: #1e2126; --card: #1b1e23; --alarm: #b3261e; --notice: #3a2f14; --notice-ink: #f4dfae; "
    "--link: #6cc0ee; --better: #2fc79a; --worse: #f0915a;",
}
