"""What a page may tell: pages are mailed and put on the web, run directories are not.

No secret, no user's name in a path, no more of a path than tells one folder from another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

MASK = "(hidden)"
_SECRET = re.compile(r"(passw|token|secret|credential|private_?key|(api|access|auth)_?key|^key$)")
_USER_INFO = re.compile(r"(?<=://)[^\s'\"]*@")
_QUERY = re.compile(r"([?&][^=&\s]*(?:token|key|secret|sig|passw)[^=&\s]*=)[^&\s'\"]+", re.I)
_FILE_URL = re.compile(r"\b((?:sqlite|file):)/{2,}([^\s'\"]*)")
_PATH = re.compile(r"(?:(?<=[\s='\"(\[,])|(?<=:)(?!//)|^)(?:/|~)[^\s,'\"\])]+")
_HOMES = ("home", "homes", "users")


def is_secret(key: str) -> bool:
    """Whether the value of such a key is nobody's business."""
    return bool(_SECRET.search(key.rpartition(".")[2].lower()))


def value_shown(key: str, value: Any, run: Path) -> str:
    """A value of the configuration as text, without what a page must not tell."""
    if is_secret(key) and value is not None:
        return MASK
    return text_shown("null" if value is None else str(value), run)


def text_shown(text: str, run: Path) -> str:
    """Text with its secrets hidden and its paths shortened; those inside the run from there."""
    text = _QUERY.sub(rf"\1{MASK}", _USER_INFO.sub("", text))
    if text.startswith(("/", "~")) and "\n" not in text:
        return path_shown(text, run)
    text = _FILE_URL.sub(lambda found: found[1] + path_shown(f"/{found[2]}", run), text)
    return _PATH.sub(lambda found: path_shown(found[0], run), text)


def words_shown(words: Sequence[str], run: Path) -> list[str]:
    """A command line: its program by name, its values as those of a configuration."""
    shown = [PurePosixPath(words[0]).name] if words else []
    for word in words[1:]:
        key, equals, value = word.partition("=")
        shown.append(f"{key}={value_shown(key, value, run)}" if equals else text_shown(word, run))
    return shown


def path_shown(text: str, run: Path) -> str:
    """A path below the run from there, any other by its last two parts."""
    path = PurePosixPath(text)
    if path.is_relative_to(run):
        return run.name if str(path) == str(run) else str(path.relative_to(run))
    parts = [part for part in path.parts if part != "/"]
    above = [place for place, part in enumerate(parts) if part.lower() in _HOMES]
    if above:
        parts = parts[above[-1] + 2 :]  # who the user is
    elif parts and (parts[0] == "root" or parts[0].startswith("~")):
        parts = parts[1:]
    return "/".join(["…", *parts[-2:]])
