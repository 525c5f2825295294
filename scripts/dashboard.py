"""Shows all runs below a folder in TensorBoard, on this machine only: `make dashboard`.

python scripts/dashboard.py [FOLDER] [--port N]
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

LOOPBACK = "127.0.0.1"


def main() -> int:
    """Start TensorBoard on the loopback address, say where, and wait for its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="outputs", type=Path)
    parser.add_argument("--port", default=6006, type=int, help="the next free one is taken")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder}: no such folder; train something first: vitruvian-train")
    port = free_port(given.port)
    command = ["--logdir", str(given.folder), "--host", LOOPBACK, "--port", str(port)]
    print(f"TensorBoard shows {given.folder} at http://{LOOPBACK}:{port}/ (Ctrl-C ends it)")
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.call([*tensorboard(), *command, "--reload_interval", "5"])
    return 0


def tensorboard() -> list[str]:
    """How to call the TensorBoard of this environment."""
    beside = Path(sys.executable).with_name("tensorboard")
    return [str(beside)] if beside.is_file() else [shutil.which("tensorboard") or "tensorboard"]


def free_port(wanted: int) -> int:
    """The wanted port, or the next that nobody uses."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as trial:
            if trial.connect_ex((LOOPBACK, port)):
                return port
    raise SystemExit(f"no free port from {wanted} on; give another with --port")


if __name__ == "__main__":
    sys.exit(main())
