"""`python -m vitruvian.run DIR`: train, or continue, one frozen run directory.

What every job of a sweep, every fold and every further rank of a run is: nothing is composed here,
so nothing that was edited since can leak in, and Hydra is not imported.

Exit codes: 0 complete, 2 something the user can mend, 1 a defect of ours, 128 + signal if stopped.
A batch job of SLURM that is stopped by its time limit or by another job asks to be started again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core import signals

if TYPE_CHECKING:
    from vitruvian.core.rundir import RunDirectory


def main() -> None:
    """Entry point of the process."""
    signals.hold()  # until there is somebody to answer them: not one may be lost
    from vitruvian.core.cli import exit_with

    exit_with(run)


def run() -> int:
    """Train in the directory that the command line names.

    Raises:
        RunError: it names none, or one without a frozen config.
    """
    import signal

    from vitruvian.core.errors import RunError
    from vitruvian.core.parent import follow_parent
    from vitruvian.core.ranks import is_first_process

    if len(sys.argv) != 2:
        raise RunError("vitruvian.run takes one run directory: python -m vitruvian.run DIR")
    # A rank may hang in a library, deaf to SIGTERM; it holds nothing that could be lost.
    follow_parent(signal.SIGTERM if is_first_process() else signal.SIGKILL)
    try:
        return train_in(Path(sys.argv[1]).expanduser(), requeue=True)
    finally:
        signals.ignore()


def train_in(path: Path, requeue: bool = False, advise: bool = False) -> int:
    """Train, or continue, a claimed run directory; the exit code of the process.

    Args:
        path: the run directory.
        requeue: whether a batch job that starts once more would continue here.
        advise: whether to say what one may want to do next.
    """
    from vitruvian.core.rundir import RunDirectory
    from vitruvian.core.stopped import Stopped

    run = RunDirectory(path)
    stopped = Stopped(run, requeue)
    with signals.ending_at_once(stopped.before_training):
        try:
            return _train(run, advise)
        except signals.Interrupted as stop:
            signals.ignore()
            return stopped.answer(stop.signum)


def _train(run: RunDirectory, advise: bool) -> int:
    from vitruvian.core.config import checked
    from vitruvian.core.ranks import is_first_process
    from vitruvian.core.rundir import COMPLETE

    if run.status == COMPLETE:
        print(f"complete already; its figures are in {run.evaluation}")
        return 0
    frozen = checked(run.config)  # it may have been edited, or come from another version

    from vitruvian.core import engine
    from vitruvian.core.verbosity import speaks
    from vitruvian.report.closing import after_training, show_next
    from vitruvian.report.page.ending import hand_over
    from vitruvian.report.page.run import write_run_page
    from vitruvian.report.result import show_result

    if is_first_process() and speaks():
        print(f"training in {run.path}", flush=True)
    result = engine.train(run, frozen)
    if is_first_process():
        show_result(result, run.path)
        if frozen["page"]:
            hand_over(lambda: write_run_page(run))
        show_next(after_training(run) if advise else ())
    return 0


if __name__ == "__main__":
    main()
