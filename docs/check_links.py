"""Check the links of a built site: python docs/check_links.py SITE. Ends with status 1 if one leads nowhere.

A link to another page, a picture or a part of a page must exist in the folder. What a page loads (scripts, style
sheets, pictures, fonts) must lie in the folder too, so that the site works offline. Links to other sites are not
followed.
"""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src"}
"""Elements that load a file when the page is opened, and the attribute that names it."""


@dataclass
class Page(HTMLParser):
    """The anchors of a page, its links, and the files that it loads."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value for name, value in attrs if value is not None}
        self.anchors.update(of[name] for name in ("id", "name") if name in of)
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        if tag in LOADS and LOADS[tag] in of and of.get("rel") != "canonical":
            self.loaded.append(of[LOADS[tag]])


def broken_links(site: Path) -> list[str]:
    """One line for each link and each loaded file that does not exist, or would be loaded from another site."""
    pages = {path.resolve(): read(path) for path in sorted(site.rglob("*.html"))}
    found = [
        f"{path.relative_to(site.resolve())}: {fault}"
        for path, page in pages.items()
        for fault in [*faults(path, page, pages), *loaded_elsewhere(page)]
    ]
    return found + [f"{path.relative_to(site)}: loads {url}" for path in site.rglob("*.css") for url in urls_of(path)]


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def faults(path: Path, page: Page, pages: dict[Path, Page]) -> list[str]:
    """The links and loaded files of one page that do not exist in the folder."""
    return [
        f"{link} does not exist" for link in dict.fromkeys(page.links + page.loaded) if leads_nowhere(link, path, pages)
    ]


def leads_nowhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages:
        return not target.is_file()
    anchor = unquote(parts.fragment)
    return bool(anchor) and anchor not in pages[target].anchors


def loaded_elsewhere(page: Page) -> list[str]:
    """What the page would fetch from another site when it is opened."""
    return [f"loads {link} from elsewhere" for link in page.loaded if urlsplit(link).scheme in ("http", "https")]


def urls_of(path: Path) -> list[str]:
    """The addresses of other sites from which a style sheet loads."""
    return re.findall(r"url\(['\"]?(https?:[^)'\"]+)", path.read_text(encoding="utf-8"))


def main(site: Path) -> int:
    if not any(site.rglob("*.html")):
        print(f"error: {site} holds no page; make docs builds the site", file=sys.stderr)
        return 2
    found = broken_links(site)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
