"""`vitruvian-report`: which page it writes for what it is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from tests.report.page.made import SECRET, cut_to, make_run

from vitruvian import report_verb
from vitruvian.core.errors import UserError
from vitruvian.core.rundir import FAILED, RunDirectory
from vitruvian.report.page.document import Document, html
from vitruvian.report.page.many import document, neighbours
from vitruvian.report.page.run import write_run_page
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.gathering import found_below, of_runs, of_sweep


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second to make and changes nothing of what these tests look at."""
    monkeypatch.setattr("vitruvian.report.page.document.bundle", lambda: "H4sI")


def said(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["vitruvian-report", *arguments])
    return report_verb.report()


def test_page_is_that_of_the_run_or_of_all_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, lr in enumerate((0.1, 0.01)):
        make_run(tmp_path / "runs" / str(number), lr=lr)
    assert said(monkeypatch, str(tmp_path / "runs" / "0")) == 0
    assert said(monkeypatch, str(tmp_path / "runs")) == 0
    assert said(monkeypatch, str(tmp_path / "runs"), f"output={tmp_path / 'all.html'}") == 0
    pages = [line.removeprefix("page: ") for line in capsys.readouterr().out.splitlines()]
    inside = [f"{tmp_path}/runs/0/index_simulated.html", f"{tmp_path}/runs/index_simulated.html"]
    assert pages == [*inside, f"{tmp_path}/all_simulated.html"]
    source = Path(pages[1]).read_text(encoding="utf-8")
    assert 'href="0/index_simulated.html"' in source, "the run that has a page"
    assert 'href="1/' not in source, "and not the one that has none"
    assert SECRET not in source
    assert 'href="runs/0/index_simulated.html"' in Path(pages[2]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["empty"], "no run here"),
        (["run", "output=a.html"], "output: the page of a run is in the run"),
        (["run", "outptu=a.html"], "did you mean `output`"),
        (["run", "optimizer.lr=1"], "a page changes nothing of a run"),
        (["output=a.html"], "a run, a sweep or a folder"),
    ],
)
def test_mistakes_are_told_in_a_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as told:
        said(monkeypatch, *arguments)
    assert "\n" not in str(told.value)


def test_family_knows_its_axes_its_best_and_who_is_near(tmp_path: Path) -> None:
    for number, (lr, dice) in enumerate(((0.1, 0.8), (0.001, 0.95), (0.01, 0.9))):
        make_run(tmp_path / str(number), lr=lr, dice=dice)
    below = found_below(tmp_path)
    assert below.sweeps == []
    (family,), _ = of_runs(below.runs, tmp_path)
    assert (family.metric, family.mode, family.simulated) == ("val/liver_dice", "max", True)
    assert family.axes == ("optimizer.lr",)
    assert [line.axes["optimizer.lr"] for line in family.ranked] == ["0.001", "0.01", "0.1"]
    assert [(key, line.name) for key, line in neighbours(family)] == [
        ("optimizer.lr", "2"),
        ("optimizer.lr", "0"),
    ]
    assert [epoch for epoch, _ in family.lines[0].curve] == [1, 2, 3, 4]


def test_runs_on_simulated_and_on_real_data_are_never_ranked_together(tmp_path: Path) -> None:
    for number, simulated in enumerate((True, False, True)):
        make_run(tmp_path / str(number), simulated, dice=0.9 + number / 100)
    made, _ = of_runs(found_below(tmp_path).runs, tmp_path)
    assert [[line.name for line in family.lines] for family in made] == [["0", "2"], ["1"]]
    assert [{line.data for line in family.lines} for family in made] == [{"SIMULATED"}, {"real"}]
    assert [family.simulated for family in made] == [True, False]


def test_what_has_failed_is_shown_but_not_the_best(tmp_path: Path) -> None:
    for number, dice in enumerate((0.8, 0.9)):
        run = make_run(tmp_path / str(number), dice=dice)
    run.write_status(FAILED, reason="out of memory", simulated=True)
    (family,), _ = of_runs(found_below(tmp_path).runs, tmp_path)
    assert [line.name for line in family.ranked] == ["0"]
    assert [line.state for line in family.lines] == ["completed", "failed"]


def no_config(run: RunDirectory) -> None:
    run.config_file.unlink()


def cut_config(run: RunDirectory) -> None:
    cut_to(run.config_file)


def broken_config(run: RunDirectory) -> None:
    run.config_file.write_text("name: liver_small\nmonitor: [\n")


def cut_metrics(run: RunDirectory) -> None:
    cut_to(run.metrics_file)


def cut_evaluation(run: RunDirectory) -> None:
    cut_to(run.evaluation / "test_simulated.csv")


def cut_summary(run: RunDirectory) -> None:
    cut_to(run.evaluation / "test_simulated.json", 0.5)


def no_summary(run: RunDirectory) -> None:
    (run.evaluation / "test_simulated.json").unlink()


def no_status(run: RunDirectory) -> None:
    run.status_file.unlink()


DAMAGE = [
    (no_config, "", "config.yaml is missing: left out"),
    (cut_config, "", "config.yaml is cut: its last line has no end: left out"),
    (broken_config, "", "config.yaml is not valid YAML, line 3: left out"),
    (cut_metrics, "damaged", "metrics.csv, line 5 is cut"),
    (cut_evaluation, "damaged", "evaluation/test_simulated.csv, line 7 is cut"),
    (cut_summary, "damaged", "evaluation/test_simulated.json is not JSON, line"),
    (no_summary, "damaged", "evaluation/test_simulated.json is missing"),
    (no_status, "not known", "status.json is missing: nobody knows whether the run has ended"),
]


@pytest.mark.parametrize(("spoil", "state", "note"), DAMAGE)
def test_what_is_damaged_is_told_and_never_the_best(
    spoil: Callable[[RunDirectory], None],
    state: str,
    note: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_run(tmp_path / "good", dice=0.8)
    spoil(make_run(tmp_path / "spoilt", dice=0.95))
    (family,), _ = of_runs(found_below(tmp_path).runs, tmp_path)
    assert [line.name for line in family.ranked] == ["good"]
    lost = [line for line in family.lines if line.name == "spoilt"]
    assert [line.state for line in lost] == ([state] if state else [])
    assert not any(line.values or line.baselines or line.curve for line in lost)
    assert said(monkeypatch, str(tmp_path)) == 0
    told = capsys.readouterr()
    (warning,) = told.err.splitlines()
    assert warning.startswith(f"warning: spoilt: {note}")
    page = Path(told.out.strip().removeprefix("page: ")).read_text(encoding="utf-8")
    assert "What is missing" in page
    assert warning.removeprefix("warning: ") in unescape(page)
    assert "0.95" not in page


def test_a_page_over_nothing_but_damage_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken_config(make_run(tmp_path / "a"))
    assert said(monkeypatch, str(tmp_path)) == 0
    page = Path(capsys.readouterr().out.strip().removeprefix("page: "))
    assert "a: config.yaml is not valid YAML" in page.read_text(encoding="utf-8")


def test_damaged_runs_of_a_sweep_are_left_out_of_its_leaderboard(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path / "sweep")
    manifest = Manifest("liver_small", ("optimizer.lr=0.1,0.01",), ("optimizer.lr",), {}, {})
    sweep.write_manifest(manifest)
    rates = (0.1, 0.01)
    sweep.write_points([[f"optimizer.lr={rate}"] for rate in rates])
    for index, dice in enumerate((0.8, 0.95)):
        make_run(sweep.run(index).path, lr=rates[index], dice=dice)
    cut_evaluation(sweep.run(1))
    family = of_sweep(sweep, tmp_path)
    assert [line.name for line in family.ranked] == ["0000"]
    assert [line.state for line in family.lines] == ["completed", "damaged"]
    (note,) = family.damage
    assert note.startswith("sweep/0001: evaluation/test_simulated.csv, line 7 is cut")


def test_links_to_runs_are_followed_once_and_never_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "elsewhere"
    write_run_page(make_run(kept / "0"))
    links = tmp_path / "links"
    links.mkdir()
    for name, to in (("a", kept / "0"), ("b", kept / "0"), ("round", tmp_path), ("self", links)):
        (links / name).symlink_to(to, target_is_directory=True)
    assert found_below(links).runs == [links / "a"]
    assert found_below(tmp_path).runs == [kept / "0"], "rather the folder than a link to it"
    assert said(monkeypatch, str(links)) == 0
    page = Path(capsys.readouterr().out.strip().removeprefix("page: "))
    assert 'href="a/index_simulated.html"' in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("output", "page"),
    [
        ("there", "there/index_simulated.html"),
        ("there/", "there/index_simulated.html"),
        ("new/", "new/index_simulated.html"),
        ("new", "new_simulated.html"),
        ("new/all.html", "new/all_simulated.html"),
        ("all.htm", "all_simulated.htm"),
        ("all_simulated.html", "all_simulated.html"),
    ],
)
def test_page_is_written_where_it_is_asked_for(
    output: str,
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_run(tmp_path / "runs" / "0")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # our own page is written again
        assert said(monkeypatch, "runs", f"output={output}") == 0
        assert capsys.readouterr().out == f"page: {tmp_path / page}\n"
    assert (tmp_path / page).is_file()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("runs/0/metrics.csv", "output=runs/0/metrics.csv: the name of a page ends in .html"),
        ("mine.html", "mine_simulated.html is somebody else's: move it"),
        ("runs/0/index.html", "index_simulated.html is another page: move it"),
        ("runs/0/metrics.csv/", "metrics.csv"),
    ],
)
def test_no_file_of_anybody_is_written_over(
    output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run_page(make_run(tmp_path / "runs" / "0"))
    (tmp_path / "mine_simulated.html").write_text("my own")
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message) as told:
        said(monkeypatch, "runs", f"output={output}")
    assert "\n" not in str(told.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_data_of_runs_that_were_never_begun_are_not_called_real(tmp_path: Path) -> None:
    run = make_run(tmp_path / "0", simulated=False)
    for path in (run.evaluation, run.figures):
        shutil.rmtree(path)
    for file in (run.path / "status.json", run.metrics_file):
        file.unlink()
    families, _ = of_runs(found_below(tmp_path).runs, tmp_path)
    page = html(document(families, "Runs"))
    assert "data not known yet" in page
    assert "real data" not in page


def test_page_of_another_kind_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "runs" / "0")
    (tmp_path / "index.html").write_text(html(Document("Holds?", "", True, (), kind="papers")))
    before = (tmp_path / "index.html").read_bytes()
    assert said(monkeypatch, str(tmp_path)) == 0
    page, note = capsys.readouterr().out.splitlines()
    assert page == f"page: {tmp_path / 'runs_simulated.html'}"
    assert "is another page: kept" in note
    assert (tmp_path / "index.html").read_bytes() == before


def test_folders_with_signs_of_the_shell_in_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "lr=0.1 a")
    monkeypatch.chdir(tmp_path)
    assert said(monkeypatch, "lr=0.1 a") == 0
    page = Path(capsys.readouterr().out.strip().removeprefix("page: "))
    assert page == write_run_page(run)
    source = page.read_text(encoding="utf-8")
    assert "vitruvian-report &#39;lr=0.1 a&#39;" in source
    assert "vitruvian-evaluate &#39;run=lr=0.1 a&#39; split=val" in source
