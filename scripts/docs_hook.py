"""What MkDocs needs to know of us: pages may link to files of the repository outside `docs/`.

On disk and on a code host `../conf/cluster/generic_gpu.yaml` leads to the file. In the site such
files are copied beside the pages, below `repository/`, and the links lead there.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "repository"  # of the site
LINK = re.compile(r"\]\(((?:\.\./)+)((?!docs/)[\w./-]+)\)")


def outside(text: str, page: str) -> list[tuple[str, str]]:
    """The links of a page that leave `docs/`: as written, and the file of the repository."""
    depth = len(PurePosixPath(page).parts)
    found = [(match[1] + match[2], match[2], match[1].count("..")) for match in LINK.finditer(text)]
    return [(link, file) for link, file, ups in found if ups == depth and (ROOT / file).is_file()]


def on_files(files: Files, config: Any) -> Files:
    """Add the files that pages link to."""
    wanted = set()
    for page in files.documentation_pages():
        wanted |= {file for _, file in outside(page.content_string, page.src_uri)}
    for name in sorted(wanted):
        path = f"{FOLDER}/{name}.txt"  # .txt: a browser shows it; it is no page of its own
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links out of `docs/` to the copies."""
    for link, file in outside(markdown, page.file.src_uri):
        ups = "../" * (len(PurePosixPath(page.file.src_uri).parts) - 1)
        markdown = markdown.replace(f"]({link})", f"]({ups}{FOLDER}/{file}.txt)")
    return markdown
