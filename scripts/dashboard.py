"""Shows all runs below a folder in TensorBoard, on this machine only: `make dashboard`.

python scripts/dashboard.py [FOLDER] [--port N]
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
from pathlib import Path

LOOPBACK = "127.0.0.1"


def main() -> None:
    """Say where, and become TensorBoard on the loopback address: what ends this ends it, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="outputs", type=Path)
    parser.add_argument("--port", default=6006, type=int, help="the next free one is taken")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder}: no such folder; train something first: vitruvian-train")
    program = tensorboard()
    if program is None:
        raise SystemExit("TensorBoard is missing: pip install tensorboard (or `make setup`)")
    port = free_port(given.port)
    command = ["--logdir", str(given.folder), "--host", LOOPBACK, "--port", str(port)]
    told = f"TensorBoard shows {given.folder} at http://{LOOPBACK}:{port}/ (Ctrl-C ends it)"
    print(told, flush=True)
    os.execv(program, [program, *command, "--reload_interval", "5"])


def tensorboard() -> str | None:
    """The TensorBoard of this environment, else one on the path."""
    beside = Path(sys.executable).with_name("tensorboard")
    return str(beside) if beside.is_file() else shutil.which("tensorboard")


def free_port(wanted: int) -> int:
    """The wanted port, or the next that nobody uses."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as trial:
            if trial.connect_ex((LOOPBACK, port)):
                return port
    raise SystemExit(f"no free port from {wanted} on; give another with --port")


if __name__ == "__main__":
    main()
