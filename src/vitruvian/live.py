"""`vitruvian-live`: apply a run's weights to a camera or a video while it plays."""

from __future__ import annotations

import sys

from vitruvian.core.cli import (
    DEVICES,
    choose,
    exit_with,
    parse_overrides,
    take_keys,
    wants_help,
)
from vitruvian.core.live import AUTO, LiveOptions

KEYS = {
    "run": None,
    "source": None,
    "port": "8765",
    "page": AUTO,
    "video": None,
    "window": "false",
    "image": "true",
    "realtime": "false",
    "wait": "false",
    "table": None,
    "checkpoint": "best",
    "device": "auto",
}

HELP = """vitruvian-live run=DIR source=0|FILE|URL [key=value ...]

Apply a trained run to a camera, a video file or a stream, and show what it finds.
Ends on q (in the page, in the window, or q and Enter in the terminal), on Ctrl-C, and with the
source. Exit code 0; 2 if the source was lost; 128 + n if stopped by signal n.

  run         run directory, or a checkpoint file
  source      a camera's number, a file, or a URL (rtsp://..., http://...)
  page        a page in the browser, where the study has one       (auto)
  port        of the page, on this machine only; 0: any free one    (8765)
  video       file to record into, such as out.mp4
  window      show a window on the desktop                          (false)
  image       false: only what was found, on black, not the person  (true)
  realtime    play a file at its own speed, not as fast as possible (false)
  wait        begin when a browser has opened the page              (false)
  table       file to write numbers into, .csv or .parquet: muscle
  checkpoint  best | last | PATH                                    (best)
  device      auto | cpu | gpu                                      (auto)

Any dotted key overrides the run's frozen configuration, for instance
  vitruvian-live run=DIR source=clip.mp4 realtime=true wait=true model.pose.variant=full
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(live)


def live() -> int:
    """Hold the session that the command line asks for."""
    if wants_help(sys.argv[1:]):
        print(HELP, end="")
        return 0
    keys, changes = take_keys(parse_overrides(sys.argv[1:]), KEYS, "live")
    choose(keys, "device", DEVICES)

    options = LiveOptions.from_keys(keys)

    from vitruvian.core.trained import trained

    found = trained(keys, changes, "live")

    from vitruvian.core import engine

    outcome = engine.live(found.config, found.checkpoint, options, str(keys["device"]))
    print(outcome.line)
    return outcome.code


if __name__ == "__main__":
    main()
