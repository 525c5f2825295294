"""Decoding videos with PyAV: upright, with the times that the file gives its frames.

PyAV rather than OpenCV reads videos: it decodes as fast, gives every frame its own time, tells a
damaged frame from a whole one, and scales while it converts the colours, in a third to a sixth of
the time of OpenCV's scaling by areas. It is imported when a video is opened, not before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.video.resizing import Image, Size
from vitruvian.core.video.video_readers import BrokenError

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

TIMEOUT_S = 10.0  # to reach an address, and then for each read

_LIVE = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp"}
_NO_VIDEOS = {"tty", "concat"}  # FFmpeg plays a text file as a terminal, or as a list of files
_MEASURED = {"mpegts", "mpeg"}  # no header says how long they are: FFmpeg looks for their end
_COVER = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the picture of a sound recording
_TS_PACKETS = (188, 192, 204)  # bytes; 4 or 16 more than 188 in some recorders' files


class PyavReader:
    """Reads a video file or stream; see `video_readers.Reader`.

    Args:
        address: path of a file, or a URL.
        name: for messages, without a password.

    Raises:
        DataError: it cannot be reached or opened, or has no video.
    """

    def __init__(self, address: str | Path, name: str) -> None:
        from av.video.reformatter import VideoReformatter

        self.name = name
        self._container = _opened(address, name)
        self._stream = self._video()
        self._scaler = VideoReformatter()
        rate = self._stream.average_rate
        self.fps = float(rate) if rate else math.nan
        self.live = isinstance(address, str) and self._is_live(address.partition("://")[0])
        length = None if self.live else self._length_s()
        self.promised_s = None if self._container.format.name in _MEASURED else length
        estimated = 0 if length is None or math.isnan(self.fps) else round(length * self.fps)
        self.frames = self._stream.frames or estimated or None
        self._times_from = self._clock()
        self._decoded = self._decode()

    def read(self) -> tuple[float | None, PyavPicture] | None:
        """See `Reader`."""
        return next(self._decoded, None)

    def close(self) -> None:
        """See `Reader`."""
        self._container.close()

    # --- what the file says of itself ---

    def _video(self) -> Any:
        stream: Any = self._container.streams.best("video")
        cover = stream is not None and stream.disposition & _COVER
        if stream is None or cover or self._container.format.name in _NO_VIDEOS:
            self.close()
            raise DataError(f"{self.name}: has no video in it; give a video file")
        # One thread: clips are read side by side, and frame threads would hold frames of their own.
        stream.codec_context.thread_count = 1
        return stream

    def _is_live(self, scheme: str) -> bool:
        if scheme in _LIVE:
            return True
        container = self._container
        endless = container.format.name == "hls" or (container.size or 0) <= 0
        return endless and not container.duration

    def _length_s(self) -> float | None:
        stream, container = self._stream, self._container
        if container.format.name == "avi":  # its duration is what is left of a broken file
            return stream.frames / self.fps if stream.frames else None
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return container.duration / 1e6 if container.duration else None

    def _clock(self) -> str:
        """Where the times of frames come from: `pts`, `dts` or `arrival`."""
        from av.format import Flags

        if self._container.format.name == "avi":
            return "dts"  # AVI has no presentation times; FFmpeg's are wrong with B-frames
        flags: Any = self._container.format.flags
        timeless = flags & Flags.no_timestamps.value
        return "arrival" if self.live and timeless else "pts"

    # --- frames ---

    def _decode(self) -> Iterator[tuple[float | None, PyavPicture]]:
        turn = None
        aspect = float(self._stream.sample_aspect_ratio or 1)
        for packet in self._packets():
            for frame in self._frames(packet, begun=turn is not None):
                turn = turn or turn_of(frame)
                yield self._time(frame), PyavPicture(frame, turn, aspect, self._scaler)
        if self.live:
            raise BrokenError("the stream ended")
        self._check_end()

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        from av import FFmpegError

        try:
            yield from self._container.demux(self._stream)
        except (FFmpegError, OSError) as error:
            reason = _reason(error)
            raise BrokenError(f"the stream is lost ({reason})" if self.live else reason) from error

    def _frames(self, packet: Packet[VideoStream], begun: bool) -> list[VideoFrame]:
        """Decode a packet. What is damaged ends a file that has begun, and is left out elsewhere.

        A recording cut from a longer one may begin with frames that refer to lost ones, and a
        stream loses packets now and then. A decoder that goes on after damage in the middle of a
        file delivers grey or smeared pictures without a word.
        """
        from av import FFmpegError

        strict = begun and not self.live
        if strict and packet.is_corrupt:
            raise BrokenError("the file is damaged or cut short there")
        try:
            frames = packet.decode()
        except FFmpegError as error:
            if strict:
                raise BrokenError(f"a frame cannot be decoded ({_reason(error)})") from error
            return []
        if strict and any(frame.is_corrupt for frame in frames):
            raise BrokenError("a frame is damaged")
        return [frame for frame in frames if not frame.is_corrupt]

    def _time(self, frame: VideoFrame) -> float | None:
        if self._times_from == "arrival":
            return time.monotonic()
        ticks = frame.dts if self._times_from == "dts" else frame.pts
        if ticks is None or not frame.time_base:
            return None
        return float(ticks * frame.time_base)

    def _check_end(self) -> None:
        """A transport stream does not say how long it is, but has packets of one size."""
        size = self._container.size or 0
        if self._container.format.name == "mpegts" and all(size % n for n in _TS_PACKETS):
            raise BrokenError("the file is cut short")


def _opened(address: str | Path, name: str) -> InputContainer:
    import av

    # A playlist in a local file must not make this machine call another.
    options = {"protocol_whitelist": "file"} if isinstance(address, Path) else {}
    place = f"file:{address}" if isinstance(address, Path) else address
    if place.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"  # UDP loses packets, and firewalls stop it
    try:
        return av.open(place, options=options, timeout=TIMEOUT_S)
    except (av.FFmpegError, OSError) as error:
        refusal = _refusal(address, _reason(error))
    raise DataError(f"{name}: {refusal}")  # from nothing: FFmpeg's error shows the password


def _refusal(address: str | Path, reason: str) -> str:
    if isinstance(address, str):
        return (
            f"cannot be opened ({reason}); check the address, the network, and that the camera or "
            "server is running"
        )
    with address.open("rb") as stream:
        is_mp4 = stream.read(8)[4:] == b"ftyp"
    if is_mp4:
        return "cut short: the index at the end of the file is missing; copy or record it again"
    return f"cannot be read as a video ({reason}); check that it is one and was copied whole"


def _reason(error: Exception) -> str:
    from av.error import ExitError

    if isinstance(error, ExitError):
        return f"no answer for {TIMEOUT_S:.0f} s"
    return str(getattr(error, "strerror", None) or error).lower()


# --- pictures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """How a stored picture is brought upright: swap its axes, then mirror them.

    Attributes:
        swapped: whether rows become columns.
        mirrored: whether x, and whether y, run the other way, after the swap.
    """

    swapped: bool = False
    mirrored: tuple[bool, bool] = (False, False)

    @classmethod
    def of_matrix(cls, matrix: Sequence[int]) -> Turn:
        """The quarter turn nearest to a display matrix.

        Args:
            matrix: (a, b, u, c, d, v, x, y, w) of ISO/IEC 14496-12: the stored point (p, q) is
                shown at (a p + c q, b p + d q), y downwards.
        """
        a, b, _, c, d = matrix[:5]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, (c < 0, b < 0))
        return cls(False, (a < 0, d < 0))

    def size(self, size: Size) -> Size:
        """Width and height after the turn; its own inverse."""
        return (size[1], size[0]) if self.swapped else size

    def apply(self, image: Image) -> Image:
        """Turn an image."""
        if self.swapped:
            image = cv2.transpose(image)
        if not any(self.mirrored):
            return image
        return cv2.flip(image, {(True, False): 1, (False, True): 0}.get(self.mirrored, -1))


def turn_of(frame: VideoFrame) -> Turn:
    """How a frame is brought upright, as its display matrix says.

    Asked once for a video: in PyAV a frame and its side data hold each other, so that the frame's
    memory is not given back before Python looks for such rings.
    """
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data
    matrix = side_data.get(Type.DISPLAYMATRIX)
    return Turn() if matrix is None else Turn.of_matrix(np.frombuffer(matrix, "i4").tolist())


@dataclass(frozen=True)
class PyavPicture:
    """A decoded frame, still in the colours and the place of the file.

    Attributes:
        frame: as decoded.
        turn: that brings it upright.
        aspect: width of its pixels by their height.
        scaler: shared by the frames of a video.
    """

    frame: VideoFrame
    turn: Turn
    aspect: float
    scaler: VideoReformatter

    @property
    def size(self) -> Size:
        """Width and height, upright and with square pixels."""
        stored = max(round(self.frame.width * self.aspect), 1), self.frame.height
        return self.turn.size(stored)

    def scaled(self, size: Size) -> Image:
        """The picture upright, in BGR, scaled to `size`."""
        from av.video.reformatter import Interpolation

        width, height = self.turn.size(size)
        smaller = width < self.frame.width or height < self.frame.height
        method = Interpolation.AREA if smaller else Interpolation.BILINEAR
        scaled: Any = self.scaler.reformat(
            self.frame, width, height, "bgr24", interpolation=method, threads=1
        )
        return np.ascontiguousarray(self.turn.apply(scaled.to_ndarray()))
