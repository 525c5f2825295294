"""`vitruvian-sweep`: how a sweep stands, what it has found, go on with it, stop it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruvian.core.cli import exit_with, parse_overrides, take_keys, wants_help
from vitruvian.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from vitruvian.sweeps.directory import SweepDirectory
    from vitruvian.sweeps.jobs import Alive
    from vitruvian.sweeps.states import RunState

STATUS = {"watch": "auto"}
COLLECT = {"metric": None, "mode": None, "by": None}
RESUME = {"launcher": None, "only": None}
EVERY_S = 5.0  # between two looks, unless looking takes long
_AUTO = "auto"

HELP = """vitruvian-sweep status|collect|resume|cancel DIR [key=value ...]

DIR is the directory of a sweep, as vitruvian-train -m printed it: outputs/sweeps/NAME/TIME.

status DIR    how many runs are queued, running, completed ...; how far, what failed and why
  watch       auto | 0 | seconds: look again and again until nothing moves any more
                                                           (auto: on a terminal)
collect DIR   all runs in collected.csv and collected.parquet, means over seeds and folds in
              aggregated.csv, the best ones in leaderboard.csv and on the terminal
  metric      decides the order, such as val/liver_dice     (the first objective of the sweep)
  mode        min | max: which end of it is the good one    (as the objective says, or its name)
  by          swept keys that make a line, such as optimizer.lr,model; the runs that share their
              values are averaged                           (all but seeds and folds)
resume DIR    start what is neither completed nor waiting nor running
  launcher    local | slurm | ray: another one from now on  (the one the sweep has)
  launcher.KEY=VALUE  change a key of it
  only        failed | interrupted | lost | not_started, or several: failed,lost    (all)
cancel DIR    stop what is queued or running; running ones save their state

  vitruvian-sweep status outputs/sweeps/liver/2026-11-20_10-00-00-a1b2c3
  vitruvian-sweep resume outputs/sweeps/liver/2026-11-20_10-00-00-a1b2c3 launcher=local
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(sweep)


def sweep() -> int:
    """Do what the command line asks for."""
    arguments = sys.argv[1:]
    if wants_help(arguments) or not arguments:
        print(HELP, end="")
        return 0
    action, directory, values = _parsed(arguments)
    from vitruvian.sweeps.directory import SweepDirectory

    place = SweepDirectory(directory)
    place.manifest()  # a directory that is none is told before anything is done
    return ACTIONS[action](place, values)


def _parsed(arguments: Sequence[str]) -> tuple[str, Path, dict[str, Any]]:
    """The action, the directory of the sweep, and the keys.

    Raises:
        ConfigError: there is no such action, or not one directory.
    """
    action, *rest = arguments
    if action not in ACTIONS:
        raise ConfigError(_no_such_action(action))
    places = [argument for argument in rest if "=" not in argument]
    if len(places) != 1:
        told = f"got {len(places)}: {' '.join(places)}" if places else "got none"
        raise ConfigError(f"{action}: one directory of a sweep is needed, {told}")
    values = parse_overrides([argument for argument in rest if "=" in argument])
    return action, Path(places[0]).expanduser(), values


def _no_such_action(action: str) -> str:
    from vitruvian.core.check import nearest

    near = nearest(action, ACTIONS)
    hint = f"did you mean `{near}`?" if near else f"there are: {', '.join(ACTIONS)}"
    return f"{action}: vitruvian-sweep cannot do this; {hint}"


def _own(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The keys of an action; none of them has a dot.

    Raises:
        ConfigError: a key is none of them.
    """
    keys, dotted = take_keys(values, defaults, "sweep")
    for key in dotted:
        raise ConfigError(
            f"{key}: the runs are frozen; vitruvian-sweep takes {', '.join(defaults)}"
        )
    return keys


# -- status ---------------------------------------------------------------------------------------


def status(place: SweepDirectory, values: dict[str, Any]) -> int:
    """Show how the sweep stands, once or until nothing moves any more."""
    from rich.console import Console

    from vitruvian.sweeps.states import MOVING
    from vitruvian.sweeps.status_table import Board

    console = Console()
    pause = _pause(_own(values, STATUS)["watch"], console.is_terminal)
    board = Board(place, place.manifest())
    while True:
        begin = time.monotonic()
        states, alive, note = _look(place)
        busy = bool(alive) or any(one.state in MOVING for one in states)
        if pause:
            console.clear()
        board.show(states, console, note, busy)
        if pause is None or not busy:
            return 0
        if not _slept(max(pause, 4 * (time.monotonic() - begin))):
            return 0


def _pause(text: str, terminal: bool) -> float | None:
    """Seconds between two looks; None: look once.

    Raises:
        ConfigError: it is no number.
    """
    if text == _AUTO:
        return EVERY_S if terminal else None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"watch: got {text!r}, expected auto, 0 or a number of seconds")
    return seconds or None


def _slept(seconds: float) -> bool:
    """Wait; Ctrl-C is how one leaves."""
    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        return False
    return True


def _look(place: SweepDirectory) -> tuple[list[RunState], Mapping[str, Alive], str]:
    """What became of each run, the jobs, and why the launcher could not be asked, if so."""
    from vitruvian.sweeps.states import states_of
    from vitruvian.sweeps.unfrozen import unfrozen

    alive, note = _alive(place)
    runs, manifest = place.runs(), place.manifest()
    if manifest.study is None:
        return states_of(runs, alive), alive, note
    others = unfrozen(place, manifest, runs)
    told = {one.index: status for one, status in others}
    runs = sorted([*runs, *(one for one, _ in others)], key=lambda one: one.index)
    return states_of(runs, alive, study=True, told=told), alive, note


def _alive(place: SweepDirectory) -> tuple[Mapping[str, Alive], str]:
    """The jobs that wait or run; a machine that cannot tell, such as a laptop, is no failure."""
    from vitruvian.sweeps.launchers import launcher_of

    try:
        return launcher_of(place.manifest().launcher).alive(place), ""
    except UserError as error:
        return {}, f"what is queued cannot be asked from here: {error}"


# -- collect --------------------------------------------------------------------------------------


def collect(place: SweepDirectory, values: dict[str, Any]) -> int:
    """Write the tables of all runs, and print the best."""
    keys = _own(values, COLLECT)
    if keys["mode"] not in (None, "min", "max"):
        raise ConfigError(f"mode: got {keys['mode']!r}, expected min or max")
    from vitruvian.report.page.ending import hand_over
    from vitruvian.sweeps import collection, groups, leaderboard
    from vitruvian.sweeps.gathering import Order, write_page

    states, _, note = _look(place)
    found = collection.collect(place, states)
    score = leaderboard.chosen_score(found, place.manifest(), keys["metric"], keys["mode"])
    by = keys["by"].split(",") if keys["by"] else None
    own = groups.grouped(found, by)
    places = leaderboard.ranked(own, score)
    files = [*collection.write(place, found)]
    if any(len(group.runs) > 1 for group in own):
        files.append(groups.write(place, found, own))
    files.append(leaderboard.write(place, found, score, places))
    from vitruvian.sweeps.states import counts_line

    print(f"{len(states)} runs in {place.path}: {counts_line(states)}")
    leaderboard.show(found, score, places, own)
    if note:
        print(f"note: {note}")
    print("written: " + ", ".join(str(file) for file in files))
    hand_over(lambda: write_page([place], [], place.path, order=Order(score, by)))
    return 0


# -- resume and cancel ----------------------------------------------------------------------------


def resume(place: SweepDirectory, values: dict[str, Any]) -> int:
    """Start what is neither completed nor waiting nor running."""
    mine = {key: value for key, value in values.items() if not key.startswith("launcher.")}
    changes = {
        key.removeprefix("launcher."): value
        for key, value in values.items()
        if key.startswith("launcher.")
    }
    keys = _own(mine, RESUME)
    only = _only(keys["only"])
    study = place.manifest().study is not None
    if study and only:
        raise ConfigError("only: the workers of a study themselves take up what is unfinished")
    from vitruvian.sweeps.launchers import relaunched
    from vitruvian.sweeps.starting import is_idle, start

    launcher = relaunched(place, keys["launcher"], changes)
    if study:
        return start(place, launcher)
    from vitruvian.sweeps.states import counts_line, states_of

    alive = launcher.alive(place)
    states = states_of(place.runs(), alive)
    idle = [one for one in states if is_idle(one, alive) and (not only or one.state in only)]
    print(f"{len(states)} runs in {place.path}: {counts_line(states)}")
    if not idle:
        print("nothing to start")
        return 0
    print(f"starting {len(idle)} of them", flush=True)
    return start(place, launcher, [one.entry for one in idle])


def _only(text: str | None) -> frozenset[str]:
    """The states that are asked for; empty: all.

    Raises:
        ConfigError: one is none from which a run can be started.
    """
    from vitruvian.core.check import nearest
    from vitruvian.sweeps.states import MOVING, SETTLED, State

    valid = {state.replace(" ", "_"): state for state in State if state not in MOVING | SETTLED}
    words = [word.strip() for word in text.split(",")] if text else []
    for word in words:
        if word not in valid:
            near = nearest(word, valid)
            hint = f"did you mean `{near}`?" if near else f"expected {' or '.join(valid)}"
            raise ConfigError(f"only: got {word!r}; {hint}")
    return frozenset(valid[word] for word in words)


def cancel(place: SweepDirectory, values: dict[str, Any]) -> int:
    """Stop what is queued or running."""
    for key in values:
        raise ConfigError(f"{key}: cancel takes no keys, it stops the whole sweep")
    from vitruvian.sweeps.launchers import launcher_of

    count = launcher_of(place.manifest().launcher).cancel(place)
    if not count:
        print("nothing of this sweep is queued or running, as far as can be known here")
        return 0
    print(f"{count} job{'' if count == 1 else 's'} told to stop; running ones save their state")
    print(f"go on with: vitruvian-sweep resume {place.path}")
    return 0


ACTIONS: dict[str, Callable[[SweepDirectory, dict[str, Any]], int]] = {
    "status": status,
    "collect": collect,
    "resume": resume,
    "cancel": cancel,
}


if __name__ == "__main__":
    main()
