"""What a training looks like from outside, in a fraction of a second: `python pretend.py DIR`.

Its config says how it goes: `x` and `y` are what it logs, `epochs` how long it is, `after` what
happens at the end of epoch `at`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RUNNING, RunDirectory

HEAD = "epoch,step,val/x,val/y,train/loss\n"


def main() -> None:
    run = RunDirectory(Path(sys.argv[1]))
    config = run.config
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    with run.lock():
        run.write_status(RUNNING)
        rows = run.metrics_file.read_text().splitlines()[1:] if run.metrics_file.exists() else []
        for epoch in range(len(rows), config["epochs"]):
            if epoch == config.get("at"):
                act(run, config["after"])
            value = config["x"] + 1.0 / (epoch + 1)
            rows.append(f"{epoch},{epoch},{value},{config['y']},0.5")
            run.metrics_file.write_text(HEAD + "".join(f"{row}\n" for row in rows))
            end = time.monotonic() + config["seconds"]
            while time.monotonic() < end and not told:
                time.sleep(0.005)
            if told:
                run.write_status(INTERRUPTED, reason="stopped by SIGTERM")
                sys.exit(128 + told[0])
        run.write_status(COMPLETE)


def act(run: RunDirectory, what: str) -> None:
    if what == "fail":
        run.write_status(FAILED, reason="DataError: no such file")
        sys.exit(2)
    if what == "stopped":
        run.write_status(INTERRUPTED, reason="stopped by SIGTERM")
        sys.exit(143)
    if what == "kill once":
        flag = run.path / "killed"
        if flag.exists():
            return
        flag.touch()
    if what.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "vanish":
        sys.exit(7)


if __name__ == "__main__":
    main()
