"""The documentation's site: every public name and every page is on it, and a broken link is found."""

import ast
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from toys import REPOSITORY

import boundary_loss

DOCS = REPOSITORY / "docs"
DOORS = ("", ".distance", ".losses", ".metrics", ".networks")
NOT_CALLED = {"LOSSES", "NETWORKS", "LOGITS", "build"}  # the pipeline's own tables, and what reads a ledger's row
OF_LEDGERS = {"SDFHead", "SDFProductHead", "ForegroundHead"}  # docs/losses.md has them under their ledger names
ALIASES = {"SurfaceLoss", "GeneralizedDiceLoss", "SDF_loss"}  # named in the text beside what they are


def documented() -> list[str]:
    """The last part of every name that a directive of docs/api/ documents."""
    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "api").glob("*.rst")))
    named = re.findall(r"^\.\. auto(?:class|function|data):: (\S+)", pages, re.MULTILINE)
    return [name.rpartition(".")[2] for name in named]


def test_the_api_pages_document_each_public_name_once() -> None:
    names = documented()
    assert len(names) == len(set(names))
    public = {name for door in DOORS for name in importlib.import_module(f"boundary_loss{door}").__all__}
    assert public - set(names) == NOT_CALLED | OF_LEDGERS | ALIASES
    text = (DOCS / "api" / "losses.rst").read_text(encoding="utf-8")
    assert not [name for name in ALIASES if f"``{name}``" not in text]


def test_every_page_is_in_the_side_bar() -> None:
    settings = ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
    tables = [
        node.value for node in settings.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PAGES"
    ]
    pages = [page for pages in ast.literal_eval(tables[0]).values() for page in pages]
    assert not [page for page in pages if not any((REPOSITORY / f"{page}{end}").is_file() for end in (".md", ".rst"))]
    written = [path.relative_to(REPOSITORY) for kind in ("*.md", "api/*.rst") for path in DOCS.glob(kind)]
    assert sorted(str(path.with_suffix("")) for path in written) == sorted(
        page for page in pages if page.startswith("docs/")
    )


@pytest.fixture(scope="module")
def check_links() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_links", DOCS / "check_links.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module


def site(folder: Path, body: str, style: str = "") -> Path:
    (folder / "part").mkdir()
    (folder / "index.html").write_text(f"<h1 id='top'>T</h1>{body}")
    (folder / "part" / "page.html").write_text("<a href='../index.html#top'>up</a><p id='süd'></p>")
    (folder / "style.css").write_text(style)
    return folder


def test_links_that_lead_somewhere_pass(
    tmp_path: Path, check_links: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "<a href='part/page.html#s%C3%BCd'>a</a><a href='#top'>b</a><a href='https://example.org/no#one'>c</a>"
    assert check_links.main(site(tmp_path, body + "<link rel='stylesheet' href='style.css?v=1'>")) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<a href='part/none.html'>a</a>", "index.html: part/none.html does not exist"),
        ("<a href='part/page.html#nord'>a</a>", "index.html: part/page.html#nord does not exist"),
        ("<a href='#bottom'>a</a>", "index.html: #bottom does not exist"),
        ("<img src='none.png'>", "index.html: none.png does not exist"),
        (
            "<script src='https://example.org/a.js'></script>",
            "index.html: loads https://example.org/a.js from elsewhere",
        ),
    ],
)
def test_a_broken_link_is_found(
    tmp_path: Path, check_links: ModuleType, capsys: pytest.CaptureFixture[str], body: str, said: str
) -> None:
    assert check_links.main(site(tmp_path, body)) == 1
    assert capsys.readouterr().out == said + os.linesep


def test_a_style_sheet_that_loads_from_elsewhere_is_found(tmp_path: Path, check_links: ModuleType) -> None:
    style = "@font-face { src: url('https://example.org/font.woff2') } p { background: url(data:image/png;base64,AA) }"
    assert check_links.broken_links(site(tmp_path, "", style)) == ["style.css: loads https://example.org/font.woff2"]


def test_an_empty_folder_is_an_error(
    tmp_path: Path, check_links: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_links.main(tmp_path) == 2
    assert "holds no page; make docs builds the site" in capsys.readouterr().err


def test_the_version_of_the_site_is_the_packages() -> None:
    assert "boundary_loss.__version__" in (DOCS / "conf.py").read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", boundary_loss.__version__)
