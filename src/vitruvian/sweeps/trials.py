"""The trials of a study, as its workers share them out: adopted, asked for, told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from vitruvian.core.config import Config
from vitruvian.core.files import turn
from vitruvian.core.rundir import RunDirectory
from vitruvian.sweeps.claims import Claim, Holder, time_of
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.space import Space, Value
from vitruvian.sweeps.study import open_study, sampler_of, telling

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

TURN = ".turn"
REASON, RUN, STOPPED = "reason", "run", "stopped"  # notes that a study keeps


class TakenOverError(Exception):
    """A trial is another worker's: it was adopted while we gave no sign of life."""


class End(Enum):
    """How a trial has ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What a trial came to.

    Attributes:
        end: how it ended.
        values: of the objectives, if it is complete.
        reason: why it failed or was pruned, in one line.
    """

    end: End
    values: tuple[float, ...] = ()
    reason: str = ""

    @classmethod
    def of_values(cls, values: Mapping[str, float]) -> Outcome:
        """Complete, or failed where a value is not a number."""
        for metric, value in values.items():
            if not math.isfinite(value):
                return cls(End.FAILED, reason=f"{metric} is {value}")
        return cls(End.COMPLETE, tuple(values.values()))


@dataclass(frozen=True)
class Taken:
    """A trial that this worker runs.

    Attributes:
        trial: Optuna's.
        run: its directory.
        claim: ours on it.
        reported: epochs whose value the study knows already.
    """

    trial: Trial
    run: RunDirectory
    claim: Claim
    reported: set[int]

    @property
    def number(self) -> int:
        """Its number in the study, which names its directory."""
        return self.trial.number


class Trials:
    """The trials of one study, seen by one worker.

    Raises:
        RunError: the study's storage cannot be used.
    """

    def __init__(self, sweep: SweepDirectory) -> None:
        self._sweep = sweep
        self.manifest = sweep.manifest()
        self.study = open_study(sweep, self.manifest)
        self._space = Space.from_plain(self._keys["space"])
        self._old = {one.number for one in self._all() if one.state.is_finished()}
        self._beats: dict[int, float | None] = {}

    @property
    def _keys(self) -> Config:
        assert self.manifest.study is not None
        return self.manifest.study

    def _telling(self) -> AbstractContextManager[None]:
        return telling(self._keys)

    def _all(self) -> list[FrozenTrial]:
        with self._telling():
            return self.study.get_trials(deepcopy=False)

    # -- taking ---------------------------------------------------------------------------------

    def take(self) -> Taken | None:
        """A trial that nobody runs any more, else a new one; None if the study has all it wants.

        One worker at a time: none is adopted twice, and there are never more than `n_trials`.
        """
        lock = self._sweep.path / TURN
        with turn(lock, self._sweep.path):
            known, now = self._all(), time_of(lock)
            for one in known:
                if _runs(one) and self._claim(one).holder(now) is Holder.NOBODY:
                    return self._adopted(one)
            if len(known) >= self._keys["n_trials"]:
                return None
            return self._asked(len(known))

    def _claim(self, one: FrozenTrial) -> Claim:
        return Claim(self._sweep.run(one.number).path)

    def _adopted(self, one: FrozenTrial) -> Taken:
        from optuna.trial import Trial

        self._claim(one).take()
        with self._telling():
            self.study.sampler = sampler_of(self._keys, self._space, one.number)
            trial = Trial(self.study, one._trial_id)
        return self._taken(trial, set(one.intermediate_values))

    def _asked(self, number: int) -> Taken:
        with self._telling():
            self.study.sampler = sampler_of(self._keys, self._space, number)
            trial = self.study.ask()
        taken = self._taken(trial, set())
        taken.claim.take()
        return taken

    def _taken(self, trial: Trial, reported: set[int]) -> Taken:
        run = self._sweep.run(trial.number)
        return Taken(trial, run, Claim(run.path), reported)

    def point(self, taken: Taken) -> dict[str, Value]:
        """What the trial consists of; one that was adopted keeps what it has.

        Raises:
            TakenOverError: it is another worker's.
        """
        with self._ours(taken):
            taken.trial.set_user_attr(RUN, taken.run.path.name)
            return self._space.suggest(taken.trial)

    # -- telling --------------------------------------------------------------------------------

    def check_ours(self, taken: Taken) -> None:
        """Make sure that a trial is still ours.

        Raises:
            TakenOverError: another worker has adopted it, and may have told its end already.
        """
        with self._telling():
            over = taken.trial.storage.get_trial(taken.trial._trial_id).state.is_finished()
        if over or taken.claim.is_anothers:
            raise TakenOverError

    @contextmanager
    def _ours(self, taken: Taken) -> Iterator[None]:
        """Write to the study about a trial, if it is still ours."""
        from optuna.exceptions import UpdateFinishedTrialError

        self.check_ours(taken)
        try:
            with self._telling():
                yield
        except UpdateFinishedTrialError as error:  # told in this very moment
            raise TakenOverError from error

    def report(self, taken: Taken, epochs: int, value: float) -> None:
        """Tell the value after so many epochs, once.

        Raises:
            TakenOverError: the trial is another worker's.
        """
        if epochs in taken.reported or not math.isfinite(value):
            return
        taken.reported.add(epochs)
        with self._ours(taken):
            taken.trial.report(value, epochs)

    def should_prune(self, taken: Taken) -> bool:
        """Whether the trial has fallen so far behind the others that it is given up."""
        with self._telling():
            return self._keys["pruner"] is not None and taken.trial.should_prune()

    def tell(self, taken: Taken, outcome: Outcome) -> None:
        """Tell how a trial has ended, and give it back.

        Raises:
            TakenOverError: it is another worker's.
        """
        import optuna
        from optuna.trial import TrialState

        states = {
            End.COMPLETE: TrialState.COMPLETE,
            End.PRUNED: TrialState.PRUNED,
            End.FAILED: TrialState.FAIL,
        }
        with self._ours(taken):
            if outcome.reason:
                taken.trial.set_user_attr(REASON, outcome.reason)
            if isinstance(self.study.sampler, optuna.samplers.GridSampler):
                self.study.sampler = (
                    optuna.samplers.RandomSampler()
                )  # a grid's end is an error there
            self.study.tell(taken.trial, outcome.values or None, state=states[outcome.end])
        taken.claim.release()

    # -- how the study stands -------------------------------------------------------------------

    @property
    def stopped(self) -> str | None:
        """Why the whole study was stopped, if it was."""
        with self._telling():
            reason = self.study.user_attrs.get(STOPPED)
        return None if reason is None else str(reason)

    def stop(self, reason: str) -> None:
        """Let no worker begin another trial."""
        with self._telling():
            self.study.set_user_attr(STOPPED, reason)

    @property
    def failures(self) -> int:
        """How many of the last trials have failed in a row, since this worker began."""
        from optuna.trial import TrialState

        ended = [
            one for one in self._all() if one.state.is_finished() and one.number not in self._old
        ]
        ended.sort(key=lambda one: str(one.datetime_complete), reverse=True)
        row = 0
        while row < len(ended) and ended[row].state == TrialState.FAIL:
            row += 1
        return row

    def unfinished(self) -> list[int]:
        """Numbers of the trials that are running, wherever."""
        return [one.number for one in self._all() if _runs(one)]

    def in_doubt(self) -> bool:
        """Whether a trial is held elsewhere without a sign of life since we first looked."""
        doubtful = False
        now = time_of(self._sweep.path / TURN)
        for one in self._all():
            claim = self._claim(one)
            if not _runs(one) or claim.holder(now) is Holder.NEIGHBOUR:
                continue
            first = self._beats.setdefault(one.number, claim.last_beat)
            doubtful = doubtful or first == claim.last_beat
        return doubtful


def _runs(one: FrozenTrial) -> bool:
    return one.state.name == "RUNNING"
