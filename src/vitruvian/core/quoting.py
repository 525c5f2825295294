"""Text as one value of Hydra's grammar, whatever it holds: paths, names, anything a user writes."""

from __future__ import annotations

import re

# What the grammar takes for one text without quotes; all else may mean something, or is unknown.
_PLAIN = re.compile(r"[\w/.$%*@?|:+-]+( +[\w/.$%*@?|:+-]+)*", re.ASCII)
_BEFORE_QUOTE = re.compile(r"(\\*)('|$)")  # only there a backslash means something
_ESCAPED = {"'": "\\'", "": ""}


def quoted(text: str) -> str:
    """The text in quotes."""
    return "'" + _BEFORE_QUOTE.sub(lambda found: 2 * found[1] + _ESCAPED[found[2]], text) + "'"


def as_value(text: str) -> str:
    """The text as it would be typed: in quotes where it needs them."""
    return text if _PLAIN.fullmatch(text) else quoted(text)
