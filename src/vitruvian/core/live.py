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
AUTO = "auto"
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class LiveOptions:
    """Where a live session reads, and where it shows what it finds.

    Attributes:
        source: a camera's number, a file, a folder or a pattern of images, or a URL.
        port: of the page on this machine; 0 takes any free one.
        page: show a page in the browser; None: where the study has one.
        video: file to record into, with the ending .mp4.
        window: show a window of this machine's desktop.
        image: show the person; otherwise only what was found, on black.
        realtime: play a file at its own speed; a camera always does.
        wait: begin when a browser has opened the page.
        table: file to write the numbers into, .csv or .parquet.

    Raises:
        ConfigError: a value cannot be used; the message begins with its key.
    """

    source: str
    port: int = 8765
    page: bool | None = None
    video: Path | None = None
    window: bool = False
    image: bool = True
    realtime: bool = False
    wait: bool = False
    table: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= HIGHEST_PORT:
            raise ConfigError(f"port: got {self.port}, expected 0 to {HIGHEST_PORT}")
        if self.page is False and not (self.window or self.video or self.table):
            raise ConfigError("page: nothing would be shown; page=true, window=true or video=FILE")
        if self.wait and self.page is False:
            raise ConfigError("wait: there is no page to wait for; add page=true")
        _check_source(self.source)
        if self.video is not None:
            _check_new(self.video, "video", (".mp4",))
        if self.table is not None:
            _check_new(self.table, "table", (".csv", ".parquet"))

    def refuse(self, study: str, *names: str) -> None:
        """Refuse what a study does not show.

        Raises:
            ConfigError: one of the options `names` was asked for.
        """
        for name in names:
            if getattr(self, name):
                raise ConfigError(f"{name}: the {study} study has none; leave it out")

    @classmethod
    def from_keys(cls, keys: Mapping[str, Any]) -> LiveOptions:
        """Read the keys of a command line, all plain text or None.

        Raises:
            ConfigError: a value cannot be read or used.
        """
        switches = {name: _truth(keys, name) for name in ("window", "image", "realtime", "wait")}
        return cls(
            str(keys["source"] or ""),
            _port(str(keys["port"])),
            page=None if keys["page"] == AUTO else _truth(keys, "page"),
            video=_file(keys, "video"),
            table=_file(keys, "table"),
            **switches,
        )

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


def _check_new(file: Path, key: str, endings: tuple[str, ...]) -> None:
    if file.suffix.lower() not in endings:
        raise ConfigError(f"{key}={file}: expected a name that ends in {' or '.join(endings)}")
    if file.exists():  # what a camera saw cannot be recorded again
        raise ConfigError(f"{key}={file}: the file exists already; choose another name")


def _file(keys: Mapping[str, Any], name: str) -> Path | None:
    return Path(str(keys[name])).expanduser() if keys[name] else None


def _truth(keys: Mapping[str, Any], name: str) -> bool:
    text = str(keys[name]).lower()
    if text not in _TRUTH:
        raise ConfigError(f"{name}: got {keys[name]!r}, expected true or false")
    return _TRUTH[text]


def _port(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"port: got {text!r}, expected a number from 0 to {HIGHEST_PORT}")
    return int(text)
