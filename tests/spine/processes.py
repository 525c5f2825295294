"""Which processes are still there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def gone(number: int) -> bool:
    """Whether a process has ended, also if nobody has asked for its exit code yet."""
    return _state(number) in (None, "Z", "X")


def alive_in_group(group: int) -> list[int]:
    """Processes of a group that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and not gone(int(entry.name)):
            with suppress(OSError, IndexError):
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(fields[2]) == group:
                    found.append(int(entry.name))
    return found


def _state(number: int) -> str | None:
    with suppress(OSError):
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
        return text.rpartition(")")[2].split()[0]
    return None
