"""Trackers: what shows runs on a dashboard while they train, and keeps them beside others.

A tracker is a logger that is told more: what the run is, and what its evaluation found. It serves
the run and never rules it: whatever fails inside one is said in one line, and the training goes on.
`metrics.csv` is the truth. A tracker that lost rows, or got some twice because the run was killed
and continued, makes its record equal to that file again; see `Tracker.rewind`.
"""

from __future__ import annotations

import logging
import random
import shlex
from abc import abstractmethod
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from vitruvian.core.errors import ConfigError, UserError
from vitruvian.core.history import Values, read_history
from vitruvian.core.ranks import is_first_process
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.core.subject import Findings, Subject, findings_of, subject_of
from vitruvian.core.tracker_file import Entry, note_entry, read_entries

log = logging.getLogger(__name__)


class Tracker(Logger):
    """Shows a run somewhere. What a subclass does may fail: nobody but the user is told.

    The methods with an underscore are a subclass's own; they are called on the first process only,
    `_begin` before all others.
    """

    kind = "tracker"  # in messages: the program's own name
    sync = "python -m vitruvian.trackers.sync {run}"  # how what is missing is brought later

    def __init__(self) -> None:
        super().__init__()
        self.role = ""
        self._subject: Subject | None = None
        self._entry = Entry()
        self._begun = self._failed = False

    # -- what a subclass does -------------------------------------------------------------------

    @abstractmethod
    def _begin(self, subject: Subject, entry: Entry) -> Entry:
        """Make a record for a run, or open the one of `entry`, which an earlier start has left.

        Returns:
            How to find it again, for `tracker.json`.
        """

    @abstractmethod
    def _rewind(self, rows: Sequence[Values]) -> None:
        """Make the record of a continued run equal to these rows of `metrics.csv`."""

    @abstractmethod
    def _add(self, values: Values) -> None:
        """Add one row: `step`, and values by name."""

    @abstractmethod
    def _show(self, findings: Findings) -> None:
        """Show the findings of an evaluation: figures, tables, summary, checkpoint."""

    @abstractmethod
    def _end(self, state: str) -> None:
        """Close the record: the run is `complete`, `failed` or `interrupted`."""

    def missing(self) -> str | None:
        """Why the record is not whole; None where it is."""
        return "a part of it is missing" if self._failed else None

    # -- what the engine asks for ---------------------------------------------------------------

    def open(self, subject: Subject, entry: Entry) -> None:
        """Begin, or continue where an earlier start of the run has stopped."""
        self._subject = subject

        def begin() -> None:
            self.noted(self._begin(subject, entry))
            self._begun = True

        self._try(begin, "cannot begin")

    def noted(self, entry: Entry) -> None:
        """Write down in `tracker.json` where the record is."""
        assert self._subject is not None
        self._entry = entry
        note_entry(self._subject.run, self.role, self, entry)

    def rewind(self, rows: Sequence[Values]) -> None:
        """The run continues from a checkpoint that knows these rows."""
        self._try(lambda: self._rewind(rows), "cannot continue its record")

    def show(self, findings: Findings) -> None:
        """Show what an evaluation has found."""
        self._try(lambda: self._show(findings), "cannot take the results")

    def close(self, state: str) -> None:
        """Say how the run has ended, and how to bring later what could not be told."""
        self._try(lambda: self._end(state), "cannot close its record")
        reason = self.missing()
        if reason is not None and self._subject is not None:
            how = self.sync.format(run=shlex.quote(str(self._subject.run.path)))
            log.warning("logger.%s: %s; later: %s", self.role, reason, how)

    def _try(self, act: Callable[[], None], what: str) -> None:
        """Act, without drawing from anybody's random numbers; a failure is told once."""
        if self._failed or not (self._begun or what == "cannot begin"):
            return
        try:
            with untouched_random():
                act()
        except ConfigError:  # what the user asked for cannot be: said before anything is trained
            raise
        except Exception as error:
            self._failed = True
            told = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            log.warning("logger.%s: %s %s (%s); the run goes on", self.role, self.kind, what, told)
            log.debug("logger.%s", self.role, exc_info=True)

    # -- what Lightning asks for ------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The logger's name."""
        return self.role

    @property
    def version(self) -> str:
        """One record for each run: no versions."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing to do: the tracker has been told of the frozen config."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one row, the same as in `metrics.csv`."""
        row = {"step": 0 if step is None else step, **metrics}
        self._try(lambda: self._add({key: float(v) for key, v in row.items()}), "cannot go on")


def newer(values: Values, known: dict[str, float]) -> Values:
    """What of a row is not in a record yet; `known` says up to which step it has each name."""
    step = values["step"]
    found = {k: v for k, v in values.items() if k != "step" and step > known.get(k, -1.0)}
    known.update(dict.fromkeys(found, step))
    return found


@contextmanager
def untouched_random() -> Iterator[None]:
    """Leave the global random generators as they were: they belong to the training."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - others may use it
    processor = torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - as above
        torch.set_rng_state(processor)


def attach(loggers: Mapping[str, Any], run: RunDirectory) -> list[Tracker]:
    """Give each tracker its role; all chosen loggers are noted in `tracker.json`."""
    for role, logger in loggers.items():
        if isinstance(logger, Tracker):
            logger.role = role
    if is_first_process():
        earlier = read_entries(run)
        for role, logger in loggers.items():
            note_entry(run, role, logger, earlier.get(role, Entry()))
    return [logger for logger in loggers.values() if isinstance(logger, Tracker)]


class Following:
    """All trackers of a run, from its first step to its last word."""

    def __init__(self, run: RunDirectory, trackers: Sequence[Tracker]) -> None:
        self._run = run
        self._trackers = list(trackers) if is_first_process() else []

    def show(self, *names: str) -> None:
        """Show evaluations, by the names of their files."""
        if not self._trackers:
            return
        try:
            with findings_of(self._run, names) as findings:
                for tracker in self._trackers:
                    tracker.show(findings)
        except (UserError, OSError) as error:
            log.warning("logger: the results could not be read for the trackers: %s", error)

    def rewind_all(self) -> None:
        """Nothing more is trained: all rows stand."""
        if self._trackers:
            rows = read_history(self._run.metrics_file)
            for tracker in self._trackers:
                tracker.rewind(rows)

    def close(self, state: str) -> None:
        """The run has ended."""
        for tracker in self._trackers:
            tracker.close(state)

    def open(self, config: dict[str, Any], simulated: bool) -> None:
        """Begin, before the first step."""
        if self._trackers:
            entries, subject = read_entries(self._run), subject_of(self._run, config, simulated)
            for tracker in self._trackers:
                entry = entries.get(tracker.role, Entry())
                tracker.open(subject, entry)
                if entry.id is not None and not self._run.last.is_file():
                    tracker.rewind([])  # an earlier start was killed before its first checkpoint


@contextmanager
def followed(
    run: RunDirectory,
    loggers: Sequence[Any],
    config: dict[str, Any],
    simulated: bool,
    state_of: Callable[[BaseException], str],
) -> Iterator[Following]:
    """Trackers follow what the block trains.

    Args:
        run: its directory.
        loggers: of the trainer; those that are trackers follow.
        config: the frozen one.
        simulated: whether its data are.
        state_of: how the run stands after this error.
    """
    following = Following(run, [one for one in loggers if isinstance(one, Tracker)])
    following.open(config, simulated)
    try:
        yield following
    except BaseException as error:
        following.close(state_of(error))
        raise
    following.close(COMPLETE)
