"""`vitruvian-audit` as users call it."""

from __future__ import annotations

import re
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
    "small": (["s:percent=0.5%,of=200"], 0, "in 1 row", 1),
    "small, with the unit": (["s:percent=0.5,of=200", "unit=percent"], 0, "in 1 row", 1),
    "small, all of it": (["s:dice=.90,voe=.50", "unit=percent"], 1, "99.10 to 99.55", 2),
    "a limit as in the help": (["a:dice>=90,voe=30"], 1, "with dice >= 90.00", 2),
    "a sign in the name": (["age>=60:dice=92.2,voe=93.05"], 1, "age>=60: voe 93.05", 2),
    "a colon and a sign": (["at 12:30=noon:dice=92.2,voe=93.05"], 1, "at 12:30=noon: voe", 2),
    "a formula in the end": (["EAS:dice=92.2,formula=voe : 1-dice"], 1, "EAS: voe by the", 2),
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
    "infinite": (["s:dice=1e400"], "dice='1e400' is too large"),
    "twice": (["s:dice=91,dice=93"], "row 's': dice is given twice; keep the one to be judged"),
    "twice by two names": (["s:dice=91,dsc=93"], "row 's': dice and dsc are the same"),
    "two rows in one": (["a:dice=90,b:voe=10"], "is neither NAME:metric=value"),
    "no step": (["s:mean=3,n=4,step=0"], "step='0' is not above 0"),
    "a limit of people": (["s:accuracy=98.4,people>=20"], "people='>=20' is not a whole number"),
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


TABLES = {
    # the file, exit code, in the output
    "semicolons": ("name;dice;voe\nEAS;92,20;93,05\n", 1, "EAS (line 2): voe 93.05"),
    "semicolons and points": ("name;dice;voe\nEAS;92.20;93.05\n", 1, "voe 93.05"),
    "tabs": ("name\tdice\tvoe\nEAS\t92,20\t93,05\n", 1, "voe 93.05 is impossible"),
    "limits": ("name;dice;voe\nEAS;>= 90,0;30,0 %\n", 1, "with dice >= 90.00"),
    "a point in a name": ("name;dice;voe\nv1.2;92,20;93,05\n", 1, "v1.2 (line 2): voe 93.05"),
    "quoted": ('name,dice,voe\n"EAS, ours",92.20,93.05\n', 1, "EAS, ours (line 2)"),
    "heads with units": ("name,Dice (%),VOE [%],ASD (mm)\nEAS,92.20,93.05,1\n", 1, "voe 93.05"),
    "the unit of a head": ("name,Percent (%),of\na,0.5,200\nb,0.5%,200\nc,,9\n", 0, "in 3 rows"),
    "a plain unit": ("name,RMSE (deg),bias (deg)\na,0.20,-0.30\n", 1, "rmse 0.20 is impossible"),
    "other unit": ("name,dice,asd (cm),hd (mm)\na,90,5,3\n", 0, "in 1 row"),
    "pandas": (",dice,voe\n0,92.20,93.05\n", 1, "0 (line 2): voe"),
    "blank lines": ("name,dice,voe\n\nEAS,92.20,93.05\n", 1, "EAS (line 3)"),
    "empty cells": ("name,dice,voe,,\nEAS,92.20,93.05,,,,\n,,,,\n", 1, "EAS (line 2): voe"),
    "voxels": ("name,n,accuracy,dice\nnnU-Net,131,99.63,95.1\n", 0, "in 1 row"),
    "cases": ("Case,Dice (%),VOE\n7,92.20,93.05\n", 1, "7: voe 93.05 is impossible"),
    "cases of a predictor": ("case,Predictor,dice,voe\n7,net,90,50\n", 1, "7 / net: voe"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, tmp_path: Path, shell: Shell) -> None:
    text, code, told = TABLES[name]
    path = tmp_path / "table.csv"
    path.write_text(text)
    outcome = shell("audit", str(path))
    assert (outcome.code, outcome.err) == (code, "")
    assert told in outcome.out


SPOILT = {
    "other columns": ("name,year\na,2\n", "has no column of a known number, such as dice, voe or"),
    "their names": ("name,Jahr (n. Chr.),\na,2,\n", "it has name, Jahr (n. Chr.), (no name)"),
    "unlike shares": ("name,Dice (mm)\na,90\n", "it has name, Dice (mm)"),
    "cases of nothing": ("case,x\na,b\n", "known metric, such as dice or voe; it has case, x"),
    "decimal commas": (
        "name,dice,voe\nEAS,92,20,93,05\n",
        "line 2 has 5 cells, the header 3; a decimal comma?",
    ),
    "a short row": ("name,dice,voe\na,90,15\nb,90\n", "line 3 has 2 cells, the header 3; an empty"),
    "twice": ("name,dice,dice\na,91,93\n", "dice is given twice"),
    "twice by two names": ("name,Dice (%),DSC\na,91,93\n", "dice and dsc are the same"),
    "header only": ("name,dice\n", "has no rows"),
    "cases without rows": ("case,dice\n,\n", "has no rows"),
    "nothing": ("", "has no rows"),
    "thousands": ("name;dice;volume_ml\na;92.20;1,600\n", "volume_ml='1,600' is not a number"),
    "fractions": ("case,dice,voe\na,0.9,0.18\n", "is it in fractions?"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_tables_that_cannot_be_judged(name: str, tmp_path: Path, shell: Shell) -> None:
    text, told = SPOILT[name]
    path = tmp_path / "table.csv"
    path.write_text(text)
    outcome = shell("audit", str(path))
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert told in outcome.err


def test_a_table_of_tabs_by_its_own_ending(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "table.TSV").write_text("name\tdice\tvoe\nEAS\t92.20\t93.05\n")
    outcome = shell("audit", str(tmp_path / "table.TSV"))
    assert (outcome.code, "voe 93.05 is impossible" in outcome.out) == (1, True)


def test_the_help_can_be_typed(shell: Shell) -> None:
    limits = re.search(r"a limit as (\S+) or (\S+)", shell("audit", "-h").out)
    assert limits is not None
    for limit in limits.groups():
        assert shell("audit", f"a:{limit.rstrip('.')}").code == 0
