"""What a browser may ask of a session's page, and what it is told."""

from __future__ import annotations

import json
import math
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from importlib import resources
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from vitruvian.spine.live.broadcast import Broadcast
from vitruvian.spine.live.readings import Reading, basis

KEY_HEADER = "X-Vitruvian-Key"
_EVENTS_S = 0.1  # between two events: faster than anybody reads
_PATIENCE_S = 10.0  # a request waits this long for news, then the browser asks again
_IDLE_S = 30.0  # a browser that neither sends nor takes anything is cut off

_OUR_NAMES = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_ASSETS = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_OPEN = ("/page.css", "/page.js")  # the same for everybody, so no secret
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Room:
    """What all requests share: the newest frame, the way to stop, the facts and the key."""

    def __init__(
        self, broadcast: Broadcast, stop: Callable[[], None], facts: dict[str, Any], key: str
    ) -> None:
        self.broadcast, self.stop, self.facts, self.key = broadcast, stop, facts, key

    def admits(self, key: str) -> bool:
        """Whether this is the key; takes the same time for every wrong one."""
        return secrets.compare_digest(key.encode(), self.key.encode())


class Serving(Protocol):
    """A server that has a session to tell of."""

    room: Room


class Handler(BaseHTTPRequestHandler):
    """Answers for the page's files, the newest picture, a stream of events, and the stop."""

    server: Serving  # type: ignore[assignment]  # what it is beside a socket server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    disable_nagle_algorithm = True  # a picture is sent in two pieces: the second must not wait

    def do_GET(self) -> None:
        """Answer a request to read."""
        answers = dict.fromkeys(_ASSETS, self._send_asset)
        self._answer(answers | {"/frame": self._send_frame, "/events": self._send_events})

    def do_POST(self) -> None:
        """Answer a request to stop."""
        self.close_connection = True  # a body, if there is one, stays unread
        self._answer({"/stop": self._stop})

    def _answer(self, answers: Mapping[str, Callable[[], None]]) -> None:
        path = urlsplit(self.path).path
        if not _OUR_NAMES.fullmatch(self.headers.get("Host", "")):
            self._refuse(403, "this server answers to localhost and 127.0.0.1 only")
        elif path not in _OPEN and not self.server.room.admits(self._key()):
            self._refuse(403, "the key is missing or wrong: use the address as it was printed")
        elif path not in answers:
            self._refuse(404, "there is nothing here")
        else:
            answers[path]()

    def _key(self) -> str:
        return self.headers.get(KEY_HEADER) or self._asked_for("key")

    def _asked_for(self, name: str) -> str:
        return parse_qs(urlsplit(self.path).query).get(name, [""])[0]

    def _refuse(self, status: int, reason: str) -> None:
        self._send(status, f"{reason}\n".encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | dict(headers)).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_asset(self) -> None:
        name, kind = _ASSETS[urlsplit(self.path).path]
        body = resources.files(__package__).joinpath(name).read_bytes()
        self._send(200, body, {"Content-Type": kind})

    def _send_frame(self) -> None:
        """The newest picture: the browser asks for the next when it has drawn this one.

        A stream that is pushed would queue up in a slow tunnel; this way what is late is dropped.
        """
        text = self._asked_for("after") or "-1"
        if not re.fullmatch(r"-?\d{1,15}", text):
            self._refuse(400, "after: expected a number")
            return
        broadcast = self.server.room.broadcast
        found = broadcast.jpeg(int(text), _PATIENCE_S)
        if found is None:
            ended = {"X-Ended": "1"} if broadcast.final is not None else {}
            self._send(204, b"", ended)
        else:
            self._send(200, found[1], {"Content-Type": "image/jpeg", "X-Frame": str(found[0])})

    def _stop(self) -> None:
        self._send(204, b"", {})
        self.server.room.stop()

    # -- events (the HTML standard, section 9.2) ----------------------------------------------

    def _send_events(self) -> None:
        """Facts, then readings as they come, then the last word."""
        self.close_connection = True  # nothing can follow a stream without an end
        self.send_response(200)
        for name, value in (_HEADERS | {"Content-Type": "text/event-stream"}).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        broadcast = self.server.room.broadcast
        with broadcast.listening():
            self._event("facts", self.server.room.facts)
            self._send_readings(broadcast)
            self._event("end", {"line": broadcast.final})

    def _send_readings(self, broadcast: Broadcast) -> None:
        frame, known, over = -1, 0, False
        pause = threading.Event()
        while not over:
            over = broadcast.final is not None  # asked first: the last reading is sent, too
            reading = broadcast.reading(frame, _PATIENCE_S)
            if reading is None:
                self.wfile.write(b": still here\n\n")
                continue
            frame = reading.frame
            points, known = broadcast.history.after(known)
            self._event("reading", _plain(reading, points))
            pause.wait(_EVENTS_S)

    def _event(self, name: str, data: Mapping[str, Any]) -> None:
        text = f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n"
        self.wfile.write(text.encode())

    def version_string(self) -> str:
        """Name no versions."""
        return "vitruvian"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests hold the key: they are not logged."""


def _plain(reading: Reading, points: list[tuple[float, float]]) -> dict[str, Any]:
    return {
        "frame": reading.frame,
        "time_s": round(reading.time_s, 3),
        "fps": _number(reading.fps),
        "index": _number(reading.value),
        "basis": basis(reading),
        "flag": reading.flag,
        "seen": reading.seen,
        "points": [[round(time_s, 3), _number(value)] for time_s, value in points],
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 4)
