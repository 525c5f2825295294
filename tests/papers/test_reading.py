"""A paper as YAML: what is wrong in it is told in the user's words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.papers.small import content, write_paper
from vitruvian.core.errors import ConfigError
from vitruvian.papers import reading
from vitruvian.papers.paper import AuditLine
from vitruvian.papers.reading import papers, read_paper


def test_a_file_becomes_a_paper(tmp_path: Path) -> None:
    paper = read_paper(str(write_paper(tmp_path)))
    assert paper.key == "small"
    assert (paper.experiments["eas"].key, paper.experiments["eas"].label) == (
        "eas",
        "with attention",
    )
    assert paper.presets["full"].repeats == {"seed": (0,), "split.fold": (0, 1)}
    assert paper.claims[0].value == 92.2
    assert paper.claims[2].higher_is_better is False
    assert paper.audit == (AuditLine("EAS", {"dice": "92.20", "voe": "93.05"}, ("dice",)),)


def test_a_measure_keeps_its_types(tmp_path: Path) -> None:
    node = {"_target_": "vitruvian.x.Y", "frames": 30, "seconds": 0.5, "on": True, "sizes": [1, 2]}
    claim = {"key": "ms", "quote": "fast", "where": "IV", "kind": "measured", "measure": node}
    paper = read_paper(str(write_paper(tmp_path, claims=[claim], audit=[])))
    assert paper.claims[0].measure == node


Change = Callable[[dict[str, Any]], Any]

MISTAKES: dict[str, tuple[Change, str]] = {
    "an unknown key": (lambda c: c.update(titel="x"), "titel: no such key; did you mean title?"),
    "a missing key": (lambda c: c.pop("study"), "study: missing"),
    "a type": (lambda c: c.update(year="soon"), "year: expected a whole number, got soon"),
    "a kind": (
        lambda c: c["claims"][0].update(kind="figures"),
        "claims[0].kind: figures is no choice; did you mean figure?",
    ),
    "a row": (
        lambda c: c["tables"][0].update(rows=["plain", "esa"]),
        "tables.one.rows: there is no experiment esa; did you mean eas?",
    ),
    "a reference": (
        lambda c: c["tables"][0].update(reference="plane"),
        "tables.one.reference: plane is no row of the table; did you mean plain?",
    ),
    "a rival": (
        lambda c: c["claims"][1].update(rival="plan"),
        "claims.better: there is no experiment plan; did you mean plain?",
    ),
    "a claim without what it needs": (
        lambda c: c["claims"][0].pop("metric"),
        "claims.dice.metric: missing, a claim of kind figure needs it",
    ),
    "a cost": (
        lambda c: c["claims"][2].update(metric="parameter"),
        "claims.smaller.metric: parameter is no cost; did you mean parameters?",
    ),
    "an audit line": (
        lambda c: c["audit"][0].update(claims=["dise"]),
        "audit[0].claims: there is no claim dise; did you mean dice?",
    ),
    "a preset": (
        lambda c: c["experiments"]["eas"].update(only=["quik"]),
        "experiments.eas.only: there is no preset quik; did you mean quick?",
    ),
    "an override": (
        lambda c: c["experiments"]["eas"].update(overrides=["seed"]),
        "experiments.eas.overrides: seed: expected key=value",
    ),
    "a key twice": (
        lambda c: c["claims"].append(c["claims"][1]),
        "claims: better is there twice",
    ),
    "a division that nobody explains": (
        lambda c: c["experiments"]["eas"]["overrides"].append("split=ratio"),
        "claims.dice.why: missing; split=ratio decides whom it is judged on, say what that means\n"
        "{file}: claims.better.why: missing; split=ratio decides whom it is judged on, say what "
        "that means",
    ),
    "why not": (
        lambda c: c["claims"][0].update(comparable="false"),
        "claims.dice.why: missing, a claim of kind figure needs it",
    ),
}


@pytest.mark.parametrize(("change", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_file_and_key(change: Change, told: str, tmp_path: Path) -> None:
    changed = copy.deepcopy(content())
    change(changed)
    file = write_paper(tmp_path, **changed)
    for key in content().keys() - changed.keys():
        lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{key}:")]
        file.write_text("\n".join(lines))
    with pytest.raises(ConfigError) as error:
        read_paper(str(file))
    assert str(error.value) == f"{file}: {told.format(file=file)}"


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    changed = copy.deepcopy(content())
    changed["tables"][0]["rows"] = ["plain", "esa"]
    changed["audit"][0]["claims"] = ["dise"]
    with pytest.raises(ConfigError) as error:
        read_paper(str(write_paper(tmp_path, **changed)))
    assert len(str(error.value).splitlines()) == 2


def test_no_such_paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_paper(tmp_path)
    monkeypatch.setattr(reading, "paper_folder", lambda: tmp_path)
    with pytest.raises(ConfigError, match=r"^paper: got 'smal'; did you mean small\?$"):
        read_paper("smal")
    assert read_paper("small").title == content()["title"]


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"my\.yaml: cannot be read"):
        read_paper(str(tmp_path / "my.yaml"))


@pytest.mark.parametrize("key", papers())
def test_our_papers_can_be_read(key: str) -> None:
    assert read_paper(key).key == key
