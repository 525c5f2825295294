"""What a reproduction leaves on disk reads back as it was, and says where it comes from."""

from __future__ import annotations

import csv
import html
import json
import math
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.papers.small import write_paper
from vitruvian.core.errors import DataError
from vitruvian.papers import storing, terminal
from vitruvian.papers.reading import read_paper
from vitruvian.papers.results import (
    Cost,
    Estimate,
    Judged,
    Line,
    PairedTest,
    Reproduction,
    ResultTable,
    RunLink,
    Verdict,
)
from vitruvian.report.page.reproduction import write_reproduction

NAN = math.nan
OURS = Estimate(0.1 + 0.2, 0.01, 0.25, 0.35, 12, 0.005)


@pytest.fixture
def found(tmp_path: Path) -> Reproduction:
    paper = read_paper(str(write_paper(tmp_path)))
    alone = Estimate(0.5, NAN, NAN, NAN, 1)
    test = PairedTest(12, 0.01, 0.0004, 0.0008)
    lines = (
        Line("plain | first", "plain", False, {"dice": alone}, runs=(1, 2)),
        Line("EAS", "eas", False, {"dice": OURS}, {"dice": 0.922}, {"dice": test}, Cost(9, 10)),
        Line("empty mask", "plain", True, {"dice": Estimate(0.0, 0.0, 0.0, 0.0, 12)}),
    )
    judged = [
        Judged(paper.claims[0], Verdict.IMPOSSIBLE, "7.80 to 14.47", OURS, None, ("empty", alone)),
        Judged(paper.claims[1], Verdict.PENDING, "not run"),
    ]
    return Reproduction(
        paper=paper,
        preset="quick",
        simulated=True,
        split="5-fold",
        tables=(ResultTable("one", "Table 1", ("dice",), lines, "plain", ("a note",)),),
        claims=tuple(judged),
        findings=("voe 93.05 is impossible",),
        runs=(RunLink("runs/0000", "plain", "plain, seed 0", "completed"),),
        commit="abc",
        machine="2 processor cores",
        seconds=3.5,
        commands=("vitruvian-reproduce paper=small",),
    )


def same(one: object, other: object) -> bool:
    """Equality in which NaN equals NaN."""
    return repr(one) == repr(other)


def test_the_results_read_back_as_they_were(found: Reproduction, tmp_path: Path) -> None:
    storing.store(found, tmp_path)
    again = storing.load(tmp_path)
    assert same(again, found)
    assert again.claims[0].verdict is Verdict.IMPOSSIBLE
    assert math.isnan(again.tables[0].lines[0].figures["dice"].sd)


@pytest.mark.parametrize(
    ("simulated", "end", "data"), [(True, "_simulated", "simulated"), (False, "", "real")]
)
def test_tables_say_where_they_come_from(
    simulated: bool, end: str, data: str, found: Reproduction, tmp_path: Path
) -> None:
    files = storing.store(replace(found, simulated=simulated), tmp_path)
    names = {
        "results.json",
        *(f"{n}{end}.{e}" for n in ("claims", "table_one") for e in ("csv", "md")),
    }
    assert {file.name for file in files} == names
    for name in ("claims", "table_one"):
        with (tmp_path / f"{name}{end}.csv").open(newline="") as stream:
            lines = list(csv.DictReader(stream))
        assert {line["data"] for line in lines} == {data}
        text = (tmp_path / f"{name}{end}.md").read_text()
        assert ("SIMULATED data: nothing here reproduces the paper" in text) is simulated


def test_numbers_keep_their_digits_and_nothing_is_no_zero(
    found: Reproduction, tmp_path: Path
) -> None:
    storing.store(found, tmp_path)
    with (tmp_path / "table_one_simulated.csv").open(newline="") as stream:
        plain, eas, _ = csv.DictReader(stream)
    assert float(eas["dice_mean"]) == OURS.mean
    assert (plain["dice_sd"], plain["dice_printed"], plain["macs"]) == ("", "", "")
    assert (eas["dice_printed"], eas["dice_p_holm"], eas["macs"]) == ("0.922", "0.0008", "10")
    assert "| plain \\| first | 1 of 2 |" in (tmp_path / "table_one_simulated.md").read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"paper": 3}', '{"preset": "x"}'])
def test_damaged_results_are_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match=r"results\.json is damaged"):
        storing.load(tmp_path)


def test_no_results(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no reproduction here"):
        storing.load(tmp_path)


# -- on the terminal ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_shows_every_number_uncut(width: int, found: Reproduction) -> None:
    console = Console(width=width, record=True, force_terminal=True, file=StringIO())
    terminal.show(found, console)
    text = console.export_text()
    for shown in ("0.3000 ± 0.0100", "[0.2500, 0.3500]", "0.9220", "< 0.001", "1 of 2", "92.2 %"):
        assert shown in text
    for shown in ("impossible as printed", "not run yet", "voe 93.05 is impossible", "a note"):
        assert shown in text


def test_simulated_figures_cannot_be_taken_for_the_papers(found: Reproduction) -> None:
    texts = []
    for simulated in (True, False):
        console = Console(width=120, record=True, file=StringIO())
        terminal.show(replace(found, simulated=simulated), console)
        texts.append(console.export_text())
    assert "SIMULATED data: nothing here reproduces the paper" in texts[0]
    assert texts[0].count("SIMULATED") >= 3, "above all, at the table, at the claims"
    assert "SIMULATED" not in texts[1]
    assert "real data" in texts[1]


# -- another recipe -------------------------------------------------------------------------------

CAVEAT = (
    "Not the paper's recipe (trainer.max_epochs=1; 1 of 5 folds): figures are shown, not judged"
)


@pytest.fixture
def changed(found: Reproduction) -> Reproduction:
    typed = ("trainer.max_epochs=1", "1 of 5 folds")
    return replace(found, simulated=False, departures=typed)


def test_another_recipe_is_kept(changed: Reproduction, tmp_path: Path) -> None:
    storing.store(changed, tmp_path)
    assert storing.load(tmp_path).departures == ("trainer.max_epochs=1", "1 of 5 folds")
    assert CAVEAT in (tmp_path / "claims.md").read_text()


def test_results_from_before_it_was_kept_can_be_read(found: Reproduction, tmp_path: Path) -> None:
    storing.store(found, tmp_path)
    file = tmp_path / storing.RESULTS
    content = json.loads(file.read_text())
    del content["departures"]
    file.write_text(json.dumps(content))
    assert storing.load(tmp_path).departures == ()


def shown(one: Reproduction, folder: Path) -> tuple[str, str]:
    """What stands above the first table: on the terminal, and on the page."""
    console = Console(width=120, record=True, file=StringIO())
    terminal.show(one, console)
    page = html.unescape(write_reproduction([one], folder).read_text(encoding="utf-8"))
    body = page.partition("<body")[2]
    return console.export_text().partition("Table 1")[0], body.partition("<table")[0]


def test_another_recipe_is_told_above_all(changed: Reproduction, tmp_path: Path) -> None:
    assert all(text.count(CAVEAT) == 1 for text in shown(changed, tmp_path))
    for fine in (replace(changed, departures=()), replace(changed, simulated=True)):
        assert not any("recipe" in text for text in shown(fine, tmp_path))


def test_the_page_of_all_tells_whose_recipe_is_another(
    changed: Reproduction, tmp_path: Path
) -> None:
    paper = replace(changed.paper, key="other")
    both = [changed, replace(changed, paper=paper, departures=())]
    page = html.unescape(write_reproduction(both, tmp_path).read_text(encoding="utf-8"))
    overview = page.partition("<body")[2].partition("<table")[0]
    assert overview.count(CAVEAT) == 1
