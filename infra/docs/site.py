"""Hooks of mkdocs (mkdocs.yml): the site is made of the pages as they lie in the repository.

Runs in the site's own environment. docs/README.md is the navigation. The pages of the repository's top folder are pages
of the site, too, and each link between pages leads where it leads in the repository.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONTENTS = DOCS / "README.md"
# mkdocs would make a README.md the folder's first page. On some disks SECURITY.md and security.md are one name.
MOVED = {
    ROOT / "README.md": "index.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "SECURITY.md": "vulnerabilities.md",
    CONTENTS: "contents.md",
}


def on_config(config: Any) -> Any:
    """The navigation: a section for each heading of docs/README.md, an entry for each line."""
    sections = re.findall(r"^## (.+)\n((?:\n|- .+\n)+)", CONTENTS.read_text(), re.MULTILINE)
    config["nav"] = [
        {title: [_entry(*link) for link in re.findall(r"^- \[(.+?)\]\((.+?)\)", lines, re.MULTILINE)]}
        for title, lines in sections
    ]
    config["nav"][0]["Start"].append({"Contents": MOVED[CONTENTS]})
    return config


def _entry(title: str, target: str) -> dict[str, Any]:
    """A page; for a folder, or the README.md of one, all of its pages, which are called by their own headings."""
    first = _page(DOCS / target)
    if first.parent in (DOCS, ROOT):
        return {title: _uri(first)}
    return {
        title: sorted((_uri(page) for page in first.parent.glob("*.md")), key=lambda uri: (uri != _uri(first), uri))
    }


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that lie elsewhere than mkdocs looks for them."""
    files.remove(files.get_file_from_path(CONTENTS.name))
    for path, uri in MOVED.items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text as the site needs it: its links; what belongs to a list's item further in; bars in code as they are."""
    folder = Path(page.file.abs_src_path).parent

    def replaced(found: re.Match[str]) -> str:
        if found["indent"]:
            return " " * 4
        if found["code"]:
            return found[0] if found[0].startswith("```") else found[0].replace(r"\|", "|")
        path, anchor = found["path"], found["anchor"]
        if not path or ":" in path:
            return found[0]
        target = posixpath.relpath(_uri(_page(folder / path)), posixpath.dirname(page.file.src_uri) or ".")
        return f"]({target}{anchor})"

    markdown = re.sub(r"^```(\w+) (\w.*)$", r'```\1 title="\2"', markdown, flags=re.MULTILINE)
    link = r"\]\((?P<path>[^)\s#]*)(?P<anchor>(?:#[^)\s]*)?)\)"
    parts = rf"(?P<code>```.*?```|`[^`]+`)|^(?P<indent> {{2,3}})(?=\S)|{link}"
    return re.sub(parts, replaced, markdown, flags=re.DOTALL | re.MULTILINE)


def _page(path: Path) -> Path:
    """The file that a link leads to: of a folder its README.md, else its first page."""
    path = path.resolve()
    return min(path.glob("*.md"), key=lambda page: (page.name != "README.md", page.name)) if path.is_dir() else path


def _uri(path: Path) -> str:
    """Where the site has a file."""
    return MOVED.get(path) or posixpath.relpath(path.as_posix(), DOCS.as_posix())
