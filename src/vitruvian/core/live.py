"""What a live session is asked for and how it ended; a study does the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vitruvian.core.errors import ConfigError

HIGHEST_PORT = 65535
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class LiveOptions:
    """Where a live session reads, and where it shows what it finds.

    Attributes:
        source: a camera's number, a file, a folder or a pattern of images, or a URL.
        port: of the page on this machine; 0 takes any free one.
        page: show a page in the browser.
        video: file to record into, with the ending .mp4.
        window: show a window of this machine's desktop.
        image: show the person; otherwise only what was found, on black.
        realtime: play a file at its own speed; a camera always does.
        wait: begin when a browser has opened the page.

    Raises:
        ConfigError: a value cannot be used; the message begins with its key.
    """

    source: str
    port: int = 8765
    page: bool = True
    video: Path | None = None
    window: bool = False
    image: bool = True
    realtime: bool = False
    wait: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= HIGHEST_PORT:
            raise ConfigError(f"port: got {self.port}, expected 0 to {HIGHEST_PORT}")
        if not (self.page or self.window or self.video):
            raise ConfigError("page: nothing would be shown; page=true, window=true or video=FILE")
        if self.wait and not self.page:
            raise ConfigError("wait: there is no page to wait for; add page=true")
        _check_source(self.source)
        if self.video is not None:
            _check_video(self.video)

    @classmethod
    def from_keys(cls, keys: Mapping[str, Any]) -> LiveOptions:
        """Read the keys of a command line, all plain text or None.

        Raises:
            ConfigError: a value cannot be read or used.
        """
        switches = {name: _truth(keys, name) for name in ("page", "window", "image")}
        switches |= {name: _truth(keys, name) for name in ("realtime", "wait")}
        video = Path(str(keys["video"])).expanduser() if keys["video"] else None
        return cls(str(keys["source"] or ""), _port(str(keys["port"])), video=video, **switches)

    @property
    def shown_source(self) -> str:
        """The source as others may see it: without password, query, or the folders above a file."""
        if self.source.isdecimal():
            return f"camera {self.source}"
        if not is_url(self.source):
            return Path(self.source).name or self.source
        parts = urlsplit(self.source)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True)
class LiveOutcome:
    """How a live session ended.

    Attributes:
        line: what to tell the user.
        code: exit code of the process.
    """

    line: str
    code: int


def is_url(source: str) -> bool:
    """Whether a source is an address such as rtsp://camera/1."""
    return re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE) is not None


def _check_source(source: str) -> None:
    """Find a misspelt file before weights are loaded; patterns and URLs show it when opened."""
    if not source:
        raise ConfigError("source: a value is needed; source=0 (a camera), source=FILE or a URL")
    if source.isdecimal() or is_url(source) or any(sign in source for sign in "%*?"):
        return
    if not Path(source).expanduser().exists():
        raise ConfigError(f"source={source}: no such file; a camera is given by its number: 0")


def _check_video(video: Path) -> None:
    if video.suffix.lower() != ".mp4":
        raise ConfigError(f"video={video}: expected a name that ends in .mp4")
    if video.exists():  # what a camera saw cannot be recorded again
        raise ConfigError(f"video={video}: the file exists already; choose another name")


def _truth(keys: Mapping[str, Any], name: str) -> bool:
    text = str(keys[name]).lower()
    if text not in _TRUTH:
        raise ConfigError(f"{name}: got {keys[name]!r}, expected true or false")
    return _TRUTH[text]


def _port(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"port: got {text!r}, expected a number from 0 to {HIGHEST_PORT}")
    return int(text)
