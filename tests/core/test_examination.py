"""A look at data: what is printed of each case, the last line, the exit code."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from vitruvian.core.errors import DataError
from vitruvian.core.examination import Examination, Examined

GOOD = Examined("walk", "60 frames", notes=("it breaks off",), figure=Path("walk.png"))
BAD = Examined("jump", "", ("no rating", "two lines:\n  here"))


class Fake:
    """Data that have been looked at already; remembers where its figures were to go."""

    def __init__(self, *found: Examined) -> None:
        self.found, self.figures = found, Path("not asked")

    def examine(self, figures: Path | None = None) -> Iterator[Examined]:
        self.figures = figures
        yield from self.found


def examined(*found: Examined, figures: Path | None = None) -> tuple[int, list[str], Fake]:
    said, data = io.StringIO(), Fake(*found)
    code = Examination(data, figures, Console(file=said, width=20)).run()
    return code, said.getvalue().splitlines(), data


def test_a_case_is_a_line_with_its_remarks_below() -> None:
    code, said, _ = examined(GOOD, BAD)
    assert code == 1
    assert said == [
        "ok  walk: 60 frames",
        "    note: it breaks off",
        "BAD jump",
        "    problem: no rating",
        "    problem: two lines:",
        "        here",
        "2 cases, 1 with problems: jump",
    ]


def test_notes_are_no_problems() -> None:
    code, said, data = examined(GOOD)
    assert (code, said[-1]) == (0, "1 case, 0 with problems")
    assert data.figures is None


@pytest.mark.parametrize(
    ("found", "line"),
    [((GOOD, BAD), "figures: 1 in figs"), ((BAD,), "figures: none drawn")],
)
def test_figures_are_counted(found: tuple[Examined, ...], line: str) -> None:
    _, said, data = examined(*found, figures=Path("figs"))
    assert said[-1] == line
    assert data.figures == Path("figs")


def test_many_bad_cases_are_not_all_named_at_the_end() -> None:
    _, said, _ = examined(*(Examined(str(i), "", ("x",)) for i in range(12)))
    assert said[-1] == "12 cases, 12 with problems: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 ..."


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="there is no case to examine"):
        examined()


def test_a_case_is_shown_before_the_next_is_read() -> None:
    said = io.StringIO()

    class Slow:
        def examine(self, figures: Path | None = None) -> Iterator[Examined]:
            yield GOOD
            assert "walk" in said.getvalue()
            yield BAD

    assert Examination(Slow(), console=Console(file=said)).run() == 1
