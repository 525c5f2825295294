"""The page of a session: a web server that only this machine and holders of a key can read.

Other people use the same login node, and any page open in a browser can send requests to this
machine. So the server listens on the loopback interface alone, every request for data must carry a
random key, and one that is addressed to another host's name is refused (DNS rebinding). No cookies:
browsers send them to every port of a host, also to somebody else's server.
"""

from __future__ import annotations

import errno
import getpass
import logging
import platform
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any

from vitruvian.core.errors import ConfigError
from vitruvian.core.live import HIGHEST_PORT
from vitruvian.spine.live.answers import Handler, Room
from vitruvian.spine.live.broadcast import Broadcast
from vitruvian.spine.live.views import View

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_TRIES = 10  # ports
_CONNECTIONS = 48  # at once; a browser opens up to six
_GOODBYE_S = 2.0  # for the browsers to hear the last word


class Page:
    """The page of a session; it lives within a `with` block.

    Args:
        broadcast: where the newest frame is.
        stop: called when a browser asks for the end.
        facts: what the page shows that does not change, as plain data.
        port: of the server; 0 takes any free one, a taken one gives way to the next.

    Raises:
        ConfigError: there is no such port to be had.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        stop: Callable[[], None],
        facts: Mapping[str, Any],
        port: int = 8765,
    ) -> None:
        self.broadcast = broadcast
        self._server = _listening(port)
        self._server.room = Room(broadcast, stop, dict(facts), secrets.token_urlsafe(24))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="page", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that was taken."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address to open, with the key."""
        return f"http://{LOOPBACK}:{self.port}/?key={self._server.room.key}"

    @property
    def tunnel(self) -> str:
        """The command that brings the page to another machine."""
        return f"ssh -N -L {self.port}:{LOOPBACK}:{self.port} {_user()}@{platform.node()}"

    def __enter__(self) -> Page:
        self._thread.start()
        log.info("page: %s", self.url)
        log.info("from another machine, first: %s", self.tunnel)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.broadcast.finish("stopped by an error" if error else "ended")
        self.broadcast.wait_for_silence(_GOODBYE_S)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, view: View) -> None:
        """Let the browsers see a view."""
        self.broadcast.show(view)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return "USER"


class Server(ThreadingHTTPServer):
    """One thread for each connection; closing it ends them all."""

    allow_reuse_port = False  # two sessions must not share a port
    daemon_threads = True
    request_queue_size = 32
    room: Room

    def __init__(self, port: int) -> None:
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__((LOOPBACK, port), Handler)

    def server_bind(self) -> None:
        """Bind, without the look-up of this machine's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own; one connection too many is closed at once."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._lock:
            accepted = len(self._connections) < _CONNECTIONS
            if accepted:
                self._connections[thread] = request
        if accepted:
            thread.start()
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer all requests of one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.pop(threading.current_thread(), None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers go away in the middle of an answer; nobody needs to read that."""
        log.debug("a connection of the page broke", exc_info=True)

    def server_close(self) -> None:
        """Close every connection and wait for its thread."""
        super().server_close()
        with self._lock:
            connections = dict(self._connections)
        for thread, connection in connections.items():
            _cut(connection)
            thread.join(_GOODBYE_S)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed already
        log.debug("a connection of the page was gone", exc_info=True)


def _listening(port: int) -> Server:
    last = min(port + _TRIES - 1, HIGHEST_PORT) if port else 0
    for candidate in range(port, last + 1):
        try:
            server = Server(candidate)
        except PermissionError as error:
            raise ConfigError(f"port: {port} is reserved on this machine; try 8765") from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"port: {port} cannot be used: {error.strerror}") from error
            continue
        if candidate != port:
            log.info("port %d is taken, the page has %d", port, candidate)
        return server
    raise ConfigError(f"port: {port} to {last} are all taken; port=0 finds a free one")
