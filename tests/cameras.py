"""Servers on the loopback that act as a web server, a network camera or an RTSP camera."""

from __future__ import annotations

import re
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2

from tests.clips import picture

PERIOD_S = 0.01  # between two pictures


@dataclass
class Served:
    """A running server.

    Attributes:
        address: where, such as `http://127.0.0.1:1234`.
        asked: the paths it was asked for.
        silent: set it, and a camera sends nothing more, but does not hang up.
        unplugged: set it, and a camera hangs up.
    """

    address: str
    asked: list[str] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    unplugged: threading.Event = field(default_factory=threading.Event)

    def numbers(self) -> Iterator[int]:
        """A number for each picture to send."""
        number = 0
        while not self.unplugged.wait(PERIOD_S):
            if not self.silent.is_set():
                yield number
                number = (number + 1) % 256


@contextmanager
def web_server(folder: Path, missing: int = 0) -> Iterator[Served]:
    """Serves the files of a folder, all but the last `missing` bytes of each."""

    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def copyfile(self, source: Any, outputfile: Any) -> None:
            content = source.read()
            outputfile.write(content[: len(content) - missing])

        def log_message(self, *args: Any) -> None:
            served.asked.append(self.path)

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Files), "http") as served:
        yield served


@contextmanager
def web_camera() -> Iterator[Served]:
    """A camera that sends one JPEG after the other (multipart/x-mixed-replace)."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            for number in served.numbers():
                image = cv2.imencode(".jpg", picture(number))[1].tobytes()
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + image + b"\r\n")
                except OSError:
                    return  # nobody listens any more

        def log_message(self, *args: Any) -> None:
            pass

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Camera), "http") as served:
        yield served


@contextmanager
def rtsp_camera() -> Iterator[Served]:
    """A camera that sends H.264 over RTSP (RFC 2326), interleaved in one connection."""

    class Camera(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self._request():
                verb, number = request
                served.asked.append(verb)
                head, body = _RTSP.get(verb, ("", ""))
                head += f"Content-Length: {len(body)}\r\n" if body else ""
                answer = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}\r\n{body}"
                self.wfile.write(answer.encode())
                if verb == "PLAY":
                    self._play()
                    return

        def _request(self) -> tuple[str, str] | None:
            lines = []
            while line := self.rfile.readline().strip().decode():
                lines.append(line)
            if not lines:
                return None
            numbers = re.findall(r"CSeq: *([0-9]+)", "\n".join(lines), re.IGNORECASE)
            return lines[0].split()[0], numbers[0]

        def _play(self) -> None:
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = 160, 120, "yuv420p"
            encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
            encoder.options = {"tune": "zerolatency", "g": "5"}
            sent = 0
            for number in served.numbers():
                frame = av.VideoFrame.from_ndarray(picture(number), format="bgr24")
                for packet in encoder.encode(frame):
                    for unit in _units(bytes(packet)):
                        rtp = struct.pack(">BBHII", 0x80, 96, sent, number * 3600, 1) + unit
                        sent += 1
                        try:
                            self.wfile.write(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                        except OSError:
                            return

    with _running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Camera), "rtsp") as served:
        yield served


_RTSP = {
    "OPTIONS": ("Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""),
    "DESCRIBE": (
        "Content-Type: application/sdp\r\n",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
        "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:video\r\n",
    ),
    "SETUP": ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n", ""),
    "PLAY": ("Session: 1\r\n", ""),
}


def _units(stream: bytes) -> list[bytes]:
    """The units of H.264 between their start codes."""
    return [unit for unit in re.split(b"\0\0\0?\1", stream) if unit]


@contextmanager
def _running(server: Any, scheme: str) -> Iterator[Served]:
    server.daemon_threads = True
    served = Served(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield served
    finally:
        served.unplugged.set()
        server.shutdown()
        server.server_close()
        thread.join()


def unused_port() -> int:
    """A port of the loopback that nobody listens to."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        return server.server_address[1]
