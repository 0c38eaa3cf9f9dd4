"""Settings of Sphinx for ``make docs``: the README, the pages of docs/ and the docstrings as one site.

The sources are the repository's own files, so a link between two of them works on the site and in the repository alike.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

import boundary_loss

ROOT = Path(__file__).resolve().parent.parent
project = "boundary-loss"
author = "the boundary-loss maintainers"
release = version = boundary_loss.__version__
html_title = "boundary-loss"

PAGES = {
    "Use": [
        "docs/losses",
        "docs/networks",
        "docs/surface_metrics",
        "docs/nnunet",
        "docs/monai",
        "docs/frameworks",
        "docs/peers",
    ],
    "Pipeline": ["docs/own_data", "docs/variables", "docs/slurm", "docs/contest"],
    "API": ["docs/api/losses", "docs/api/distance", "docs/api/metrics", "docs/api/networks", "docs/api/integrations"],
    "Project": ["benchmarks/RESULTS", "benchmarks/README", "CONTRIBUTING", "CHANGELOG"],
}
"""The side bar: its headings and the pages below each."""
root_doc = "README"
include_patterns = [f"{page}.*" for page in [root_doc, *(page for pages in PAGES.values() for page in pages)]]
exclude_patterns = [  # Sphinx walks the whole folder, and data and virtual environments are large
    path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("docs", "benchmarks")
] + ["docs/_site*"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 4
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_mock_imports = [name for name in ("monai",) if find_spec(name) is None]
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "tango", "monokai"


def add_side_bar(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the table of contents to the README, which needs none where it is read by itself."""
    if page == root_doc:
        for heading, pages in PAGES.items():
            lines = "\n".join(f"/{each}" for each in pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{lines}\n```\n"


def link_names(app: Sphinx, tree: nodes.document) -> None:
    """Make a link of each `Name` in a page's text that boundary_loss exports."""
    for literal in list(tree.findall(nodes.literal)):
        name = literal.astext()
        if name in boundary_loss.__all__ and not isinstance(literal.parent, nodes.reference | pending_xref):
            target = {"refdomain": "py", "reftype": "obj", "reftarget": f"boundary_loss.{name}", "refexplicit": True}
            literal.replace_self(pending_xref("", literal.deepcopy(), refdoc=app.env.docname, **target))


def escape_bars(app: Sphinx, kind: str, name: str, entry: object, options: object, lines: list[str]) -> None:
    """Keep the bars of |x|, an absolute value or a size, which reStructuredText takes for a substitution."""
    lines[:] = [line if "``" in line or ">>>" in line else line.replace("|", r"\|") for line in lines]


def drop_back_links(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: object) -> None:
    """Remove the links from source code to its documentation: viewcode puts all of a file's into one module."""
    if page.startswith("_modules/"):
        context["body"] = re.sub(r'<a class="viewcode-back".*?</a>', "", context["body"])


def copy_start_page(app: Sphinx, error: Exception | None) -> None:
    """Give the folder an index.html: the README, whose links lead to the same files from there."""
    if error is None:
        (Path(app.outdir) / "index.html").write_bytes((Path(app.outdir) / f"{root_doc}.html").read_bytes())


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_side_bar)
    app.connect("doctree-read", link_names)
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("html-page-context", drop_back_links)
    app.connect("build-finished", copy_start_page)
