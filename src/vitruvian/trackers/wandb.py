"""Weights & Biases: a record in `wandb/` of the run directory, sent at once or later."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from vitruvian.core.history import Values
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED
from vitruvian.core.subject import Findings, Subject, Table
from vitruvian.core.tracker_file import Entry
from vitruvian.core.tracking import Tracker
from vitruvian.trackers.needed import need

log = logging.getLogger(__name__)

FOLDER = "wandb"
_EXITS = {COMPLETE: 0, FAILED: 1, INTERRUPTED: 255}  # wandb calls 255 killed
_WAIT = "WANDB_INIT_TIMEOUT"  # its own variable: how long it waits for a server
_LOCALLY = 120.0  # seconds for its service on this machine, however busy that is
# How processes find a service that they share: it would hold the ids of killed runs for good.
_SERVICE = "WANDB_SERVICE"
# Where wandb would otherwise put parts of a run: the home folder.
_FOLDERS = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR")
# What it would otherwise gather about machine, user and code.
_SILENCE: dict[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "save_code": False,
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "host": "",
    "program": "vitruvian-train",
}


class WandB(Tracker):
    """A run of Weights & Biases, offline by default.

    wandb cannot continue an offline record: a continued run gets a new one under the same id, with
    all rows of `metrics.csv`, and the old one goes.

    Args:
        project: of the account.
        entity: user or team; that of the key by default.
        mode: `offline`, or `online`, which falls back to it where there is no connection.
        charts: show the charts of the evaluation beside its pictures; drawing them takes time.
        artifacts: keep the best checkpoint there, too.
    """

    kind = "Weights & Biases"

    def __init__(
        self,
        project: str = "vitruvian",
        entity: str | None = None,
        mode: Literal["offline", "online"] = "offline",
        charts: bool = True,
        artifacts: bool = False,
    ) -> None:
        super().__init__()
        need("wandb", "wandb")
        self._project, self._entity, self._mode = project, entity, mode
        self._charts, self._artifacts = charts, artifacts
        self._run: Any = None
        self._row = 0

    def _begin(self, subject: Subject, entry: Entry) -> Entry:
        self._about = subject
        self._id = entry.id or secrets.token_hex(4)
        self._older = self._records()
        if self._mode == "online":
            self._go_online()
        if self._run is None:
            self._run = self._start("offline")
        return Entry(id=self._id, place=FOLDER)

    def _go_online(self) -> None:
        """Begin online; offline where the network, the account or the server do not let us."""
        import requests
        import wandb

        try:
            with self._inside():
                address = wandb.setup().settings.base_url
            requests.head(address, timeout=_patience())  # asked first: wandb would try for long
            self._run = self._start("online")
        except Exception as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            log.warning("logger.%s: no connection (%s); kept offline", self.role, told[:200])
            self._mode = "offline"
            wandb.teardown()  # its service holds the id of the run that did not begin

    def _records(self) -> list[Path]:
        """The offline records of this run."""
        return sorted((self._about.run.path / FOLDER).glob(f"offline-run-*-{self._id}"))

    def _start(self, mode: Literal["offline", "online"]) -> Any:
        import wandb

        about = self._about
        (about.run.path / FOLDER).mkdir(exist_ok=True)  # else wandb takes another folder
        told = {"data": about.data, "environment": about.environment, "axes": about.axes}
        with self._inside():
            run = wandb.init(
                project=self._project,
                entity=self._entity,
                id=self._id,
                name=about.title,
                group=about.group,
                tags=[about.study, about.data],
                config={**about.parameters, **told},
                dir=str(about.run.path),
                mode=mode,
                resume="allow" if mode == "online" else None,
                reinit="create_new",  # two runs of one process never become one
                settings=wandb.Settings(
                    init_timeout=_patience() if mode == "online" else _LOCALLY, **_SILENCE
                ),
            )
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        return run

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Keep wandb's staging inside the run directory, and its service inside this process."""
        place = self._about.run.path / FOLDER
        before = {name: os.environ.get(name) for name in (*_FOLDERS, _SERVICE)}
        os.environ.update(dict.fromkeys(_FOLDERS, str(place / "staging")))
        os.environ.pop(_SERVICE, None)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({} if value is None else {name: value})

    def _rewind(self, rows: Sequence[Values]) -> None:
        """Write the rows that this record lacks; it replaces the records of earlier starts."""
        known = int(self._run.step) if self._mode == "online" else 0
        self._row = 0
        for row in rows:
            if self._row >= known:
                self._add(row)
            else:
                self._row += 1
        for older in self._older:
            shutil.rmtree(older, ignore_errors=True)

    def _add(self, values: Values) -> None:
        self._run.log(values, step=self._row)
        self._row += 1

    def _show(self, findings: Findings) -> None:
        with self._inside():  # tables are staged, too
            self._show_all(findings)

    def _show_all(self, findings: Findings) -> None:
        import wandb

        shown: dict[str, Any] = {f"evaluation/{t.name}": _as_wandb(t) for t in findings.tables}
        for picture in findings.figures(self._charts):
            figure = picture.figure
            caption = f"{figure.title}{_mark(figure.file)}: {figure.caption}"
            shown[f"figures/{picture.name}"] = wandb.Image(str(picture.file), caption=caption)
        self._run.log({"step": float(findings.step), **shown}, step=self._row)
        self._run.summary.update(findings.summary)
        if self._artifacts and findings.checkpoint is not None:
            self._keep(findings.checkpoint)

    def _keep(self, checkpoint: Path) -> None:
        import wandb

        kept = wandb.Artifact(f"{self._about.study}-{self._id}", type="model")
        kept.add_file(str(checkpoint))
        self._run.log_artifact(kept)

    def _end(self, state: str) -> None:
        self._run.summary["state"] = state
        with self._inside():
            self._run.finish(exit_code=_EXITS[state])


def _patience() -> float:
    """Seconds for a server that does not answer."""
    try:
        return float(os.environ[_WAIT])
    except (KeyError, ValueError):
        return 30.0


def _as_wandb(table: Table) -> Any:
    import wandb

    rows = table.evaluation.rows
    columns = list(dict.fromkeys(key for row in rows for key in row))
    data = "simulated" if table.evaluation.simulated else "real"
    cells = [[*(row.get(key) for key in columns), data] for row in rows]
    return wandb.Table(columns=[*columns, "data"], data=cells)


def _mark(file: str) -> str:
    return " (simulated)" if "simulated" in file else ""
