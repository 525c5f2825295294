"""`vitruvian-audit` as users call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitruvian.core.evaluation import summarise, write

from .shell import Shell

FORMULA = "EAS:dice=92.20,formula=voe:1-2|A∩B|/(|A|+|B|)"

JUDGED = {
    # arguments, exit code, in the output, lines of it
    "liver": (["U-Net:dice=89.13,voe=90.54", "EAS:dice=92.20,voe=93.05"], 1, "7.80 to 14.47", 3),
    "SAR-U-Net": (["SAR-U-Net:dice=95.71,voe=9.52"], 1, "4.29 to 8.23", 2),
    "formula": ([FORMULA], 1, "this is 1 - Dice", 2),
    "spine": (["spine:accuracy=98.4,people=29"], 1, "28/29 = 96.55 %", 2),
    "limits": (["a:percent>=79,group=x", "b:percent>=76,group=x"], 1, "155 %, not 100 %", 2),
    "a colon in the name": (["ours: best:dice=92.20,voe=10"], 0, "found in 1 row", 1),
    "distances": (["EAS:dice=92.20,asd=7.65", "volume_ml=1600"], 1, "implausible", 2),
    "fractions": (["EAS:dice=.9220,voe=.9305", "unit=fraction"], 1, "0.0780 to 0.1447", 2),
    "consistent": (["a:dice=92.20,voe=14.4", "b:accuracy=96.6,people=29"], 0, "in 2 rows", 1),
}


@pytest.mark.parametrize("name", JUDGED)
def test_rows_on_the_command_line(name: str, shell: Shell) -> None:
    arguments, code, told, lines = JUDGED[name]
    outcome = shell("audit", *arguments)
    assert (outcome.code, outcome.err) == (code, "")
    assert told in outcome.out
    assert len(outcome.out.splitlines()) == lines


def test_the_last_line_counts(shell: Shell) -> None:
    outcome = shell("audit", "EAS:dice=92.20,voe=93.05", FORMULA)
    assert outcome.out.splitlines()[-1] == "1 impossible, 1 to be doubted in 2 rows"
    outcome = shell("audit", FORMULA)
    assert outcome.out.splitlines()[-1] == "nothing impossible found in 1 row, 1 to be doubted"


PAPERS = {
    "wang2024": (1, ["93.05 is impossible with dice 92.20", "7.80 to 14.47", "this is 1 - Dice"]),
    "singha2021": (1, ["98.4 % is impossible with 29 people", "28/29 = 96.55 %"]),
    "cunningham2017": (0, ["nothing to judge"]),
}


@pytest.mark.parametrize("paper", PAPERS)
def test_the_papers_that_we_reproduce(paper: str, shell: Shell) -> None:
    code, told = PAPERS[paper]
    outcome = shell("audit", f"paper={paper}")
    assert outcome.code == code
    assert all(part in outcome.out for part in told), outcome.out


def test_a_table_of_means(tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "table.csv"
    path.write_text("model,DSC,VOE,year\nU-Net,89.13,90.54,2015\nours,92.20,,2024\n")
    outcome = shell("audit", str(path))
    assert outcome.code == 1
    assert "U-Net (line 2): voe 90.54 is impossible" in outcome.out


def test_a_table_of_cases_as_an_evaluation_writes_it(tmp_path: Path, shell: Shell) -> None:
    rows = [
        {"case": str(i), "predictor": "model", "dice": d, "voe": 1 - d / (2 - d)}
        for i, d in enumerate((0.9, 0.5, 0.0))
    ]
    write(rows, summarise(rows, resamples=1), tmp_path, "good", simulated=True)
    rows[1]["voe"] = 0.5
    write(rows, summarise(rows, resamples=1), tmp_path, "bad", simulated=True)
    assert shell("audit", str(tmp_path / "good.csv"), "unit=fraction").code == 0
    outcome = shell("audit", str(tmp_path / "bad.csv"), "unit=fraction")
    assert outcome.code == 1
    assert outcome.out.startswith("1 / model: voe 0.5")


MISTAKES = {
    "no row": (["U-Net"], "'U-Net' is neither NAME:metric=value,metric=value nor a CSV file"),
    "no value": (["U-Net:dice"], "is neither NAME:metric=value"),
    "no name": (["dice=3"], "is neither NAME:metric=value"),
    "key": (["untt=percent"], "did you mean `unit`?"),
    "unit": (["a:dice=90", "unit=mm"], "unit: got 'mm', expected percent or fraction"),
    "volume": (["a:dice=90", "volume_ml=big"], "volume_ml: got 'big'"),
    "metric": (["a:dise=90"], "did you mean `dice`?"),
    "file": (["nowhere.csv"], "cannot read nowhere.csv"),
    "nothing": (["unit=percent"], "nothing to judge"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_read(name: str, shell: Shell) -> None:
    arguments, told = MISTAKES[name]
    outcome = shell("audit", *arguments)
    assert outcome.code == 2
    assert told in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [("name,year\na,2\n", "has no column of a known number"), ("case,x\na,b\n", "known metric")],
)
def test_tables_without_numbers(text: str, told: str, tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    outcome = shell("audit", str(path))
    assert (outcome.code, told in outcome.err) == (2, True)
