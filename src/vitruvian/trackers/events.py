"""The event files that TensorBoard reads, written at once and without TensorBoard's own writer.

Its writer keeps two minutes in memory, which a killed run loses, and takes a second to import; the
format is a length, the protocol buffer, and a checksum of each (TFRecord, with CRC-32C).
"""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected
VERSION = "brain.Event:2"


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def masked_checksum(content: bytes) -> bytes:
    """CRC-32C, rotated and shifted as the format asks."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


class EventFile:
    """One event file; every event is in the hands of the system when `add` returns.

    Args:
        folder: of the run; a start of its own file, after those that are there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("*tfevents*")))
        stamp = int(time.time())
        self.path = folder / f"events.out.tfevents.{stamp:010d}.{number:04d}.vitruvian"
        self.add(file_version=VERSION)

    def add(self, step: int = 0, **content: Any) -> None:
        """Append an event: `summary`, `session_log` or `file_version`."""
        from tensorboard.compat.proto import event_pb2

        event = event_pb2.Event(wall_time=time.time(), step=step, **content)
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        record = b"".join((length, masked_checksum(length), data, masked_checksum(data)))
        with self.path.open("ab") as stream:
            stream.write(record)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Append numbers, by tag."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        told = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self.add(step, summary=Summary(value=told))

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Append a text."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        one = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(
            dtype=DT_STRING, tensor_shape=one, string_val=[markdown.encode("utf-8")]
        )
        plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        told = Summary.Value(tag=f"{tag}/text_summary", metadata=plugin, tensor=tensor)
        self.add(step, summary=Summary(value=[told]))

    def picture(self, tag: str, png: bytes, title: str, caption: str, step: int) -> None:
        """Append a PNG, with its title and a caption."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

        width, height = struct.unpack(">II", png[16:24])  # of its first chunk
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        told = SummaryMetadata(display_name=title, summary_description=caption)
        told.plugin_data.plugin_name = "images"
        self.add(step, summary=Summary(value=[Summary.Value(tag=tag, metadata=told, image=image)]))

    def hparams(self, tag: str, data: Any) -> None:
        """Append what the page of hyper-parameters reads: the start or the end of a session."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_FLOAT

        content = data.SerializeToString()
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
        nothing = TensorProto(dtype=DT_FLOAT)
        told = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=nothing)
        self.add(summary=Summary(value=[told]))

    def restart(self, step: int) -> None:
        """Say that a new start replaces everything from this step on."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self.add(step, session_log=SessionLog(status=SessionLog.START))
