"""The page at the end of a verb."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vitruvian.core.errors import UserError


def tell_kept(page: Path) -> None:
    """Say why the page of a folder is not its `index.html`, where it is not."""
    if not page.name.startswith("index"):
        print(f"note: {page.parent / 'index.html'}, or its _simulated twin, is another page: kept")


def tell_missing(lines: Sequence[str]) -> None:
    """Say what a page leaves out, a line for each."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def hand_over(write: Callable[[], Path]) -> None:
    """Write a page at the end of another verb, which a page that fails does not fail."""
    try:
        page = write()
        print(f"page: {page}")
        tell_kept(page)
    except UserError as error:
        print(f"warning: no page was written: {error}", file=sys.stderr)
    except Exception as error:  # the results are there, and worth more than their page
        print(f"warning: no page was written: {error!r}", file=sys.stderr)
