"""MLflow: a database of its own in the outputs, or a server."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vitruvian.core.confidential import in_address
from vitruvian.core.errors import ConfigError
from vitruvian.core.files import turn, write_text
from vitruvian.core.history import Values, read_history
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED
from vitruvian.core.subject import Findings, Subject
from vitruvian.core.tracker_file import Entry
from vitruvian.core.tracking import Tracker, newer
from vitruvian.trackers.needed import need

log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
ADDRESS = "MLFLOW_TRACKING_URI"
_STATES = {COMPLETE: "FINISHED", FAILED: "FAILED", INTERRUPTED: "KILLED"}
_EVERY_S = 5.0  # rows are sent together
_PAUSE_S = 60.0  # after a failure, before the server is asked again
_MOST = 500  # values in one message
_LONGEST = 5000  # letters of a parameter
# What the user has set stands; a server that is away must not hold up the training for minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}


class MLflow(Tracker):
    """A run of MLflow; the runs of a sweep share an experiment.

    While the server is away nothing is kept for it but the knowledge that something is missing:
    `metrics.csv` has the rows, and the next message brings what MLflow lacks.

    Args:
        folder: of `mlflow.db` and the artefacts, where there is no server.
        uri: address of a server; by default what MLFLOW_TRACKING_URI says, else the folder.
        charts: show the charts of the evaluation beside its pictures; drawing them takes time.
        artifacts: keep the best checkpoint there, too.
    """

    kind = "MLflow"

    def __init__(
        self,
        folder: str | Path = "outputs/mlflow",
        uri: str | None = None,
        charts: bool = True,
        artifacts: bool = False,
    ) -> None:
        super().__init__()
        need("mlflow", "mlflow")
        self._folder, self._charts, self._artifacts = Path(folder), charts, artifacts
        self._uri = uri or os.environ.get(ADDRESS) or f"{_SQLITE}{self._folder / 'mlflow.db'}"
        if in_address(self._uri):
            raise ConfigError(
                f"logger.mlflow.uri or {ADDRESS}: no user and password in an address; set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        self._local = not (uri or os.environ.get(ADDRESS))
        self._client: Any = None
        self._id: str | None = None
        self._waiting: list[Values] = []
        self._known: dict[str, float] = {}
        self._behind = self._told = False
        self._next = 0.0
        self._lost: str | None = None

    # -- the run of MLflow ------------------------------------------------------------------------

    def _begin(self, subject: Subject, entry: Entry) -> Entry:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._about = subject
        self._id = entry.id
        self._reached = self._described = False
        self._send(now=True)
        return Entry(id=self._id, place=self._uri)

    def _reach(self) -> None:
        """Find the run, or make it; the server may have been away before."""
        if self._reached:
            return
        from mlflow.tracking import MlflowClient

        if self._client is None:
            logging.getLogger("mlflow").setLevel(logging.WARNING)
            self._prepare_database()
            self._client = MlflowClient(self._uri)
        if self._id is not None and self._found(self._id):
            self._client.update_run(self._id, status="RUNNING")
            self._behind = True
        else:
            self._id = self._create()  # noted at once: what fails later must not make another run
            self.noted(Entry(id=self._id, place=self._uri))
        self._reached = True

    def _prepare_database(self) -> None:
        """Several processes that make the tables of one fresh file break it for ever."""
        if not self._uri.startswith(_SQLITE):
            return
        import mlflow
        from mlflow.tracking import MlflowClient

        database = Path(self._uri.removeprefix(_SQLITE))
        ready = database.with_name(f".{database.name}.ready")
        with turn(database.with_name(f".{database.name}.lock"), database):
            if not ready.is_file() or ready.read_text(encoding="utf-8") != mlflow.__version__:
                MlflowClient(self._uri).search_experiments(max_results=1)
                write_text(ready, mlflow.__version__)

    def _found(self, identity: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(identity)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

    def _create(self) -> str:
        about = self._about
        tags = {"data": about.data, "mlflow.source.name": "vitruvian-train"}
        tags |= {"sweep": about.group} if about.group else {}
        tags |= {f"axis {_name(axis)}": value for axis, value in about.axes.items()}
        environment = {k: v for k, v in about.environment.items() if k != "packages" and v}
        tags |= {key: str(value) for key, value in environment.items()}
        if about.environment.get("commit"):
            tags["mlflow.source.git.commit"] = about.environment["commit"]
        run = self._client.create_run(self._experiment(), tags=tags, run_name=about.title)
        return str(run.info.run_id)

    def _describe(self) -> None:
        """Tell the parameters and texts that the run lacks; may be repeated after a failure."""
        if self._described:
            return
        from mlflow.entities import Param

        about = self._about
        known = self._client.get_run(self._id).data.params
        parameters = {
            _name(k): _short(v) for k, v in (about.parameters | {"data": about.data}).items()
        }
        told = [Param(name, value) for name, value in parameters.items() if name not in known]
        for some in _batches(told, 100):
            self._client.log_batch(self._id, params=some)
        kept = {file.path for file in self._client.list_artifacts(self._id)}
        if "config.yaml" not in kept:
            self._client.log_text(self._id, about.config, "config.yaml")
        if "environment.json" not in kept:
            self._client.log_dict(self._id, about.environment, "environment.json")
        self._described = True

    def _experiment(self) -> str:
        """One experiment for each study, and for each sweep."""
        from mlflow.exceptions import MlflowException

        name = self._about.group or self._about.study
        artefacts = (self._folder.resolve() / "artifacts").as_uri() if self._local else None
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=artefacts))
        except MlflowException:  # another run of the sweep has just made it
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    # -- rows -------------------------------------------------------------------------------------

    def _rewind(self, rows: Sequence[Values]) -> None:
        """MLflow forgets nothing, and a step gives the same values again: only new ones go."""
        self._waiting = []
        self._behind = True

    def _add(self, values: Values) -> None:
        self._waiting.append(values)
        self._send()

    def _send(self, now: bool = False) -> None:
        """Send what waits, if it is time."""
        if time.monotonic() < self._next and not now:
            return
        try:
            self._reach()
            if self._behind:
                self._known = self._recorded()
                self._waiting = read_history(self._about.run.metrics_file)
            self._log(self._waiting)
            self._describe()
        except Exception as error:  # of the network, the server or the database
            self._away(error)
        else:
            self._behind = False
            self._next = time.monotonic() + _EVERY_S
        self._waiting = []

    def _away(self, error: Exception) -> None:
        self._behind = True
        self._next = time.monotonic() + _PAUSE_S
        if not self._told:
            self._told = True
            first = (str(error).splitlines() or [type(error).__name__])[0][:200]
            log.warning("logger.%s: no connection (%s); the run goes on", self.role, first)

    def _log(self, rows: Sequence[Values]) -> None:
        from mlflow.entities import Metric

        moment = int(time.time() * 1000)
        named = [{_name(key): value for key, value in row.items()} for row in rows]
        told = [
            Metric(key, value, moment, int(row["step"]))
            for row in named
            for key, value in newer(row, self._known).items()
        ]
        for some in _batches(told, _MOST):
            self._client.log_batch(self._id, metrics=some)

    def _recorded(self) -> dict[str, float]:
        """Up to which step MLflow knows each metric."""
        names = self._client.get_run(self._id).data.metrics
        return dict(self._last_steps(names))

    def _last_steps(self, names: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        for name in names:
            history = self._client.get_metric_history(self._id, name)
            yield name, max(float(one.step) for one in history)

    # -- the end ----------------------------------------------------------------------------------

    def _show(self, findings: Findings) -> None:
        self._send(now=True)
        try:
            self._show_all(findings)
        except Exception as error:
            self._lost = "its results are missing"
            self._away(error)

    def _show_all(self, findings: Findings) -> None:
        self._reach()
        self._known = {}
        self._log([{"step": float(findings.step), **findings.summary}])
        for table in findings.tables:
            self._client.log_artifact(self._id, str(table.file), "evaluation")
        for picture in findings.figures(self._charts):
            folder = f"figures/{picture.name.rpartition('/')[0]}"
            self._client.log_artifact(self._id, str(picture.file), folder)
        if self._artifacts and findings.checkpoint is not None:
            self._client.log_artifact(self._id, str(findings.checkpoint), "checkpoints")
        self._lost = None

    def _end(self, state: str) -> None:
        self._send(now=True)
        if self._behind:
            return
        try:
            self._client.set_terminated(self._id, status=_STATES[state])
        except Exception as error:
            self._away(error)

    def missing(self) -> str | None:
        """What MLflow has not been told."""
        return "rows are missing in MLflow" if self._behind else self._lost or super().missing()


def _name(key: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-. /]", "_", key)[:250]


def _batches(items: Sequence[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), most):
        yield list(items[start : start + most])


def _short(value: Any) -> str:
    return str(value)[:_LONGEST]
