"""The web server: who may read, what they get, and that nobody holds the session up."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.spine.live.fakes import ROOT, Camera, Point
from vitruvian.core.errors import ConfigError
from vitruvian.spine.live.answers import KEY_HEADER
from vitruvian.spine.live.broadcast import Broadcast
from vitruvian.spine.live.readings import History, Reading
from vitruvian.spine.live.server import LOOPBACK, Page
from vitruvian.spine.live.views import Style, View


class Visitor:
    """A page and what a browser may ask of it."""

    def __init__(self) -> None:
        self.history = History()
        self.broadcast = Broadcast(self.history)
        self.stops: list[bool] = []
        self.page = Page(self.broadcast, lambda: self.stops.append(True), {"source": "x"}, 0)
        self.key = self.page.url.partition("key=")[2]

    def show(self, number: int, value: float = 0.4, style: Style | None = None) -> View:
        """Let the session show a frame."""
        camera = Camera()
        reading = Reading(number, number / 30, 30.0, value, value, 0, True)
        self.history.add([Point(number / 30, value)])
        view = View(
            camera.frame(number), camera.pose(number), reading, self.history, style or Style()
        )
        self.page.show(view)
        return view

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection(LOOPBACK, self.page.port, timeout=20)

    def ask(
        self, path: str, method: str = "GET", host: str | None = "localhost", key: str | None = ""
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send one request; the key is the right one if none is given, None sends none."""
        connection = self.connect()
        connection.putrequest(method, path, skip_host=True)
        if host is not None:
            connection.putheader("Host", host)
        if key is not None:
            connection.putheader(KEY_HEADER, key or self.key)
        connection.endheaders()
        answer = connection.getresponse()
        body = b"" if answer.getheader("Content-Type") == "text/event-stream" else answer.read()
        return answer, body


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    visitor = Visitor()
    with visitor.page:
        yield visitor


# -- who may read ---------------------------------------------------------------------------------

DATA = ("/", "/frame", "/events")


@pytest.mark.parametrize("path", [*DATA, "/elsewhere"])
@pytest.mark.parametrize("key", [None, "x", "é", "0" * 32])
def test_without_the_key_there_is_nothing(visitor: Visitor, path: str, key: str | None) -> None:
    visitor.show(1)
    answer, body = visitor.ask(path, key=key)
    assert answer.status == 403
    assert body == b"the key is missing or wrong: use the address as it was printed\n"


def test_without_the_key_nobody_stops_it(visitor: Visitor) -> None:
    assert visitor.ask("/stop", "POST", key="x")[0].status == 403
    assert visitor.ask("/stop?key=x", "POST", key=None)[0].status == 403
    assert visitor.stops == []


@pytest.mark.parametrize("path", [*DATA, "/page.css", "/page.js", "/stop"])
@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("evil@127.0.0.1", "localhost:x", "[::1", "0.0.0.0", "127.0.0.1 evil", "notlocalhost"),
    ],
)
def test_foreign_names_are_refused(visitor: Visitor, path: str, host: str | None) -> None:
    """A page elsewhere can point its own name at this machine; the key alone would leak."""
    answer, _ = visitor.ask(path, "POST" if path == "/stop" else "GET", host)
    assert answer.status == 403
    assert visitor.stops == []


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8765", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:9"]
)
def test_names_of_this_machine_are_accepted(visitor: Visitor, host: str) -> None:
    """At any port: a tunnel has one of its own."""
    assert visitor.ask("/", host=host)[0].status == 200


def test_key_may_stand_in_the_address(visitor: Visitor) -> None:
    answer, body = visitor.ask(f"/?key={visitor.key}", key=None)
    assert answer.status == 200
    assert b"not a diagnosis" in body


def test_each_page_has_a_key_of_its_own(visitor: Visitor) -> None:
    other = Visitor()
    with other.page:
        assert other.key != visitor.key
        assert len(other.key) >= 32


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/elsewhere", 404),
        ("GET", "/page.html", 404),
        ("GET", "/../server.py", 404),
        ("GET", "/stop", 404),
        ("POST", "/", 404),
        ("GET", "/frame?after=x", 400),
        ("GET", "/frame?after=1e3", 400),
        ("HEAD", "/", 501),
        ("DELETE", "/stop", 501),
    ],
)
def test_what_is_not_there(visitor: Visitor, method: str, path: str, status: int) -> None:
    assert visitor.ask(path, method)[0].status == status
    assert visitor.stops == []


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/frame", "/events", "/elsewhere"])
def test_nothing_is_kept_framed_or_loaded_from_elsewhere(visitor: Visitor, path: str) -> None:
    visitor.broadcast.finish("over")
    answer, _ = visitor.ask(path)
    policy = answer.getheader("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Set-Cookie") is None
    assert answer.getheader("Access-Control-Allow-Origin") is None
    assert "ython" not in str(answer.getheader("Server"))


def test_files_of_the_page_name_no_other_machine() -> None:
    folder = ROOT / "src/vitruvian/spine/live"
    for name in ("page.html", "page.css", "page.js"):
        text = (folder / name).read_text()
        assert "//" not in text.replace("// ", ""), f"{name}: an address"
        assert "style=" not in text, f"{name}: the policy forbids it"


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no list of sockets here")
def test_only_this_machine_can_connect(visitor: Visitor) -> None:
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    port = f":{visitor.page.port:04X} "
    bound = [line.split()[1] for line in listening.splitlines() if port in line[:46]]
    listeners = {line.split()[1] for line in listening.splitlines() if " 0A " in line}
    assert listeners & set(bound) == {f"0100007F{port.strip()}"}


def test_other_addresses_of_this_machine_are_closed(visitor: Visitor) -> None:
    for address in {*outward(), "::1", "127.0.0.2"}:
        with pytest.raises(OSError):
            socket.create_connection((address, visitor.page.port), timeout=5)


def outward() -> Iterator[str]:
    """The address that others see, found without sending anything."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's address
        yield str(probe.getsockname()[0])


# -- what they get --------------------------------------------------------------------------------


def test_picture_is_the_newest_one(visitor: Visitor) -> None:
    found: list[tuple[http.client.HTTPResponse, bytes]] = []
    asking = threading.Thread(target=lambda: found.append(visitor.ask("/frame")))
    asking.start()
    while not visitor.broadcast.watched:
        pass
    visitor.show(7)
    asking.join()
    ((answer, body),) = found
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "image/jpeg"
    assert answer.getheader("X-Frame") == "7"
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (360, 640, 3)
    visitor.show(8)
    visitor.show(9)
    assert visitor.ask("/frame?after=7")[0].getheader("X-Frame") == "9"


def test_picture_is_asked_for_once_more_when_there_is_none(visitor: Visitor) -> None:
    visitor.broadcast.finish("over")
    answer, body = visitor.ask("/frame?after=3")
    assert (answer.status, answer.getheader("X-Ended"), body) == (204, "1", b"")


def test_nothing_is_drawn_for_nobody(visitor: Visitor) -> None:
    assert "person" not in vars(visitor.show(1))
    visitor.broadcast.finish("over")
    visitor.ask("/frame")
    assert "person" in vars(visitor.show(2))


def test_one_picture_is_encoded_once_for_all(visitor: Visitor) -> None:
    visitor.broadcast.jpeg(-1, 0)  # somebody looks
    visitor.show(1)
    first, second = (visitor.broadcast.jpeg(-1, 0) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first[1] is second[1]


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, object]]]:
    """Name and data of each event."""
    name = ""
    for line in iter(answer.readline, b""):
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def test_events_are_facts_then_readings_then_the_end(visitor: Visitor) -> None:
    for number in range(1, 5):
        visitor.show(number, 0.6)
    answer, _ = visitor.ask("/events")
    assert answer.getheader("Content-Type") == "text/event-stream"
    told = events(answer)
    assert next(told) == ("facts", {"source": "x"})
    name, data = next(told)
    assert name == "reading"
    assert data["frame"] == 4
    assert data["index"] == 0.6
    assert data["flag"] is True
    assert data["points"] == [[0.033, 0.6], [0.1, 0.6]]
    visitor.show(5, math.nan)
    visitor.show(6, math.nan)
    visitor.broadcast.finish("that was it")
    rest = list(told)
    assert rest[-2][1]["frame"] == 6
    assert rest[-2][1]["index"] is None
    assert rest[-1] == ("end", {"line": "that was it"})


def test_stop_is_passed_on(visitor: Visitor) -> None:
    assert visitor.ask("/stop", "POST")[0].status == 204
    deadline = time.monotonic() + 10
    while not visitor.stops and time.monotonic() < deadline:  # the answer may overtake the request
        time.sleep(0.01)
    assert visitor.stops == [True]


# -- nobody holds it up ---------------------------------------------------------------------------


def test_closing_ends_every_connection_and_thread() -> None:
    before = set(threading.enumerate())
    visitor = Visitor()
    with visitor.page:
        idle = [socket.create_connection((LOOPBACK, visitor.page.port)) for _ in range(3)]
        waiting = visitor.connect()
        waiting.request("GET", "/frame?after=99", headers={KEY_HEADER: visitor.key})
        listening, _ = visitor.ask("/events")
    assert set(threading.enumerate()) == before
    assert [connection.recv(1) for connection in idle] == [b""] * 3
    assert waiting.getresponse().status == 204
    assert list(events(listening))[-1] == ("end", {"line": "ended"})
    for connection in idle:
        connection.close()


def test_browser_that_reads_nothing_does_not_delay_the_end() -> None:
    visitor = Visitor()
    with visitor.page:
        deaf = socket.create_connection((LOOPBACK, visitor.page.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        visitor.broadcast.jpeg(-1, 0)
        visitor.show(1)
        request = f"GET /frame HTTP/1.1\r\nHost: localhost\r\n{KEY_HEADER}: {visitor.key}\r\n\r\n"
        deaf.settimeout(1)
        with contextlib.suppress(TimeoutError):  # the server reads no more requests
            deaf.sendall(request.encode() * 2000)
        visitor.show(2)
        assert visitor.ask("/")[0].status == 200
    deaf.close()


def test_too_many_connections_are_turned_away(visitor: Visitor) -> None:
    crowd = [socket.create_connection((LOOPBACK, visitor.page.port)) for _ in range(60)]
    late = socket.create_connection((LOOPBACK, visitor.page.port))
    late.settimeout(10)
    assert late.recv(1) == b""
    for connection in (*crowd, late):
        connection.close()


def test_garbage_is_answered_or_dropped(
    visitor: Visitor, capfd: pytest.CaptureFixture[str]
) -> None:
    for garbage in (b"\x16\x03\x01\x02", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 50):
        with socket.create_connection((LOOPBACK, visitor.page.port)) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert visitor.ask("/")[0].status == 200
    assert capfd.readouterr() == ("", "")


# -- ports ----------------------------------------------------------------------------------------


def test_taken_port_gives_way_to_the_next() -> None:
    first = Visitor()
    with first.page, Page(Broadcast(History()), lambda: None, {}, first.page.port) as second:
        assert first.page.port < second.port < first.page.port + 10
        assert str(second.port) in second.url
        assert f"-L {second.port}:127.0.0.1:{second.port} " in second.tunnel


def test_no_free_port_in_reach() -> None:
    """The highest port has no next one."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 65535))
        taken.listen()
        with pytest.raises(ConfigError, match="port: 65535 to 65535 are all taken; port=0 finds"):
            Page(Broadcast(History()), lambda: None, {}, 65535)


RESERVED = """
import os, sys
from vitruvian.core.errors import ConfigError
from vitruvian.spine.live.answers import KEY_HEADER
from vitruvian.spine.live.broadcast import Broadcast
from vitruvian.spine.live.readings import History
from vitruvian.spine.live.server import Page
if os.getuid() == 0:
    os.setuid(65534)
try:
    Page(Broadcast(History()), lambda: None, {}, 1)
except ConfigError as error:
    print(error)
"""


def test_reserved_port() -> None:
    lowest = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if lowest.exists() and int(lowest.read_text()) <= 1:
        pytest.skip("no port is reserved here")
    done = subprocess.run(
        [sys.executable, "-c", RESERVED], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout == "port: 1 is reserved on this machine; try 8765\n", done.stderr
