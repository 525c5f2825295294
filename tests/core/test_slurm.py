"""What SLURM is asked when it stops a job; `scontrol` is a script that answers as the real one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from vitruvian.core import slurm

SCONTROL = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
  show) echo "JobId=7 JobState=RUNNING {fields} Partition=main" ;;
  requeue) echo "slurm_requeue error: {refusal}" >&2; exit {code} ;;
esac
"""

RUNNING = "StartTime=2026-11-20T10:00:00 PreemptEligibleTime=2026-11-20T10:00:00"
PREEMPTED = f"PreemptTime=2026-11-20T11:00:00 {RUNNING}"
BEFORE = f"PreemptTime=2026-11-20T09:00:00 {RUNNING}"
NEVER = f"PreemptTime=None {RUNNING}"


class Cluster:
    """A job of a batch, and the `scontrol` that it finds."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._log = folder, folder / "calls"
        patch.setenv("PATH", str(folder), prepend=":")
        patch.setenv("SLURM_JOB_ID", "7")
        for name in ("SLURM_JOB_NAME", "SLURM_RESTART_COUNT", slurm.OFF):
            patch.delenv(name, raising=False)
        self.answers(NEVER)

    def answers(self, fields: str, code: int = 0) -> None:
        script = self._folder / "scontrol"
        text = SCONTROL.format(log=self._log, fields=fields, code=code, refusal="Job is held")
        script.write_text(text)
        script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path, monkeypatch)


CASES = {
    "the warning of the time limit": (signal.SIGUSR1, NEVER, True),
    "the other warning": (signal.SIGUSR2, NEVER, True),
    "room for other jobs": (signal.SIGTERM, PREEMPTED, True),
    "scancel": (signal.SIGTERM, NEVER, False),
    "scancel in an old SLURM": (signal.SIGTERM, RUNNING, False),
    "scancel of a job that was pre-empted earlier": (signal.SIGTERM, BEFORE, False),
    "Ctrl-C": (signal.SIGINT, PREEMPTED, False),
}


@pytest.mark.parametrize("case", CASES)
def test_which_signals_ask_for_another_start(case: str, cluster: Cluster) -> None:
    signum, fields, wanted = CASES[case]
    cluster.answers(fields)
    assert slurm.requeue(signum) is wanted
    assert ("requeue 7" in cluster.calls) is wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [(slurm.OFF, "0"), ("SLURM_JOB_NAME", "bash"), ("SLURM_JOB_NAME", "interactive")],
)
def test_who_never_asks(
    name: str, value: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert not slurm.requeue(signal.SIGUSR1)
    assert cluster.calls == []


def test_outside_slurm_nobody_is_asked(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID")
    assert not slurm.requeue(signal.SIGUSR1)
    assert cluster.calls == []


def test_a_refusal_is_told(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.answers(NEVER, code=1)
    assert not slurm.requeue(signal.SIGUSR1)
    assert caplog.messages == ["scontrol requeue 7: slurm_requeue error: Job is held"]


def test_without_scontrol_nothing_is_wanted(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not slurm.requeue(signal.SIGTERM)
    assert "No such file" in caplog.text


@pytest.mark.parametrize(
    ("restarts", "signum", "fields", "futile"),
    [
        ("3", signal.SIGUSR1, NEVER, True),
        ("12", signal.SIGUSR2, NEVER, True),
        ("2", signal.SIGUSR1, NEVER, False),
        (None, signal.SIGUSR1, NEVER, False),
        ("3", signal.SIGUSR1, PREEMPTED, False),  # pre-empted again and again: bad luck
        ("3", signal.SIGTERM, PREEMPTED, False),
    ],
)
def test_when_another_start_is_futile(
    restarts: str | None,
    signum: int,
    fields: str,
    futile: bool,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster.answers(fields)
    if restarts is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    assert slurm.futile(signum) is futile
