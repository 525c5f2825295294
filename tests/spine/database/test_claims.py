"""Claims on clips: one extractor each, and given up when their extractor is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.spine.fake_clips import IDENTITY

import vitruvian
from vitruvian.spine.database import claims as module
from vitruvian.spine.database.claims import Claims
from vitruvian.spine.database.connections import Connections
from vitruvian.spine.database.schema import CLAIMS, EXTRACTORS

ROOT = Path(vitruvian.__file__).parents[2]

HOLDER = """
import sys, time
from tests.spine.fake_clips import IDENTITY
from vitruvian.spine.database.claims import Claims
from vitruvian.spine.database.connections import Connections
claims = Claims(Connections(sys.argv[1]))
with claims.entered():
    assert claims.take("c", IDENTITY, "walk")
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def connections(path: Path) -> Connections:
    return Connections(path)


@pytest.fixture
def entered(connections: Connections) -> Iterator[Claims]:
    claims = Claims(connections)
    with claims.entered(beat_s=3600):
        yield claims


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a claim until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"},
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    yield process
    process.kill()
    process.wait()


def rows(connections: Connections, table: sa.Table) -> int:
    with connections.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_clip_is_claimed_once(entered: Claims) -> None:
    assert entered.take("c", IDENTITY, "walk")
    assert not entered.take("c", IDENTITY, "copy of walk")
    assert entered.take("c", {**IDENTITY, "variant": "full"}, "walk")
    assert entered.take("d", IDENTITY, "jump")


def test_a_claim_is_released(entered: Claims, connections: Connections) -> None:
    entered.take("c", IDENTITY, "walk")
    other = Claims(connections)
    with other.entered(beat_s=3600):
        assert not other.take("c", IDENTITY, "walk")
        other.release("walk")  # not its own
        assert not other.take("c", IDENTITY, "walk")
        entered.release("walk")
        assert other.take("c", IDENTITY, "walk")


def test_a_process_claims_for_its_extractor(entered: Claims, connections: Connections) -> None:
    helper = Claims(connections, entered.extractor)
    assert helper.take("c", IDENTITY, "walk")
    entered.release("walk")
    assert helper.take("c", IDENTITY, "walk")


def test_nothing_is_left_of_an_extractor_that_ends(connections: Connections) -> None:
    claims = Claims(connections)
    with claims.entered(beat_s=3600):
        claims.take("c", IDENTITY, "walk")
    assert rows(connections, EXTRACTORS) == rows(connections, CLAIMS) == 0


def test_only_who_has_entered_can_claim(entered: Claims, connections: Connections) -> None:
    assert not Claims(connections, "a stranger").take("c", IDENTITY, "walk")


def test_the_living_keep_their_claims(holder: subprocess.Popen[str], entered: Claims) -> None:
    entered.beat()
    assert not entered.take("c", IDENTITY, "walk")


@pytest.mark.parametrize("reaped", [True, False], ids=["ended", "zombie"])
def test_the_killed_lose_their_claims_at_once(
    holder: subprocess.Popen[str], entered: Claims, reaped: bool
) -> None:
    holder.send_signal(signal.SIGKILL)
    if reaped:
        holder.wait()
    else:
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    entered.beat()
    assert entered.take("c", IDENTITY, "walk")


def test_a_process_number_that_comes_again_is_another(
    entered: Claims, connections: Connections
) -> None:
    ghost = EXTRACTORS.insert().values(
        id="ghost", host=module._host(), process=f"{os.getpid()} 1", beat=0
    )
    connections.write(lambda connection: connection.execute(ghost))
    assert Claims(connections, "ghost").take("c", IDENTITY, "walk")
    entered.beat()
    assert entered.take("c", IDENTITY, "walk")


def elsewhere(beat: int = 0) -> Callable[[sa.Connection], object]:
    row = {"id": "elsewhere", "host": "another computer", "process": "1 1", "beat": beat}
    return lambda connection: connection.execute(EXTRACTORS.insert(), row)


def test_another_computer_is_given_time(
    entered: Claims, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    connections.write(elsewhere())
    assert Claims(connections, "elsewhere").take("c", IDENTITY, "walk")
    entered.beat()
    now[0] += module.PATIENCE_S - 1
    entered.beat()
    assert not entered.take("c", IDENTITY, "walk")
    rise = EXTRACTORS.update().where(EXTRACTORS.c.id == "elsewhere").values(beat=1)
    connections.write(lambda connection: connection.execute(rise))
    now[0] += 2
    entered.beat()  # it lives
    now[0] += module.PATIENCE_S - 1
    entered.beat()
    assert not entered.take("c", IDENTITY, "walk")
    now[0] += 2
    entered.beat()
    assert entered.take("c", IDENTITY, "walk")


def test_who_was_given_up_while_suspended_enters_again(
    entered: Claims, connections: Connections
) -> None:
    connections.write(lambda connection: connection.execute(EXTRACTORS.delete()))
    assert not entered.take("c", IDENTITY, "walk")
    entered.beat()
    assert entered.take("c", IDENTITY, "walk")


def test_the_beat_goes_on(connections: Connections) -> None:
    claims = Claims(connections)
    with claims.entered(beat_s=0.01):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with connections.reading() as connection:
                if connection.execute(sa.select(EXTRACTORS.c.beat)).scalar_one() >= 3:
                    return
            time.sleep(0.01)
    pytest.fail("no beat")
