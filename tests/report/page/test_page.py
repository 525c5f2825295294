"""What a page says and keeps to itself, without a browser."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.report.page.made import HOSTILE, SECRET, cut_to, make_run, reproduction

from vitruvian.core.errors import RunError
from vitruvian.core.evaluation import Row, summarise, write
from vitruvian.core.fold_results import by_subject
from vitruvian.core.rundir import COMPLETE, FAILED, RUNNING, RunDirectory
from vitruvian.papers.paper import Experiment
from vitruvian.report.page import bundle as bundling
from vitruvian.report.page.curves import curve_figures
from vitruvian.report.page.damage import evaluation_damage, read_metrics
from vitruvian.report.page.document import (
    Cell,
    Document,
    Section,
    Table,
    drawing,
    html,
    write_index,
)
from vitruvian.report.page.ending import hand_over
from vitruvian.report.page.lengths import length_figures
from vitruvian.report.page.origin import facts
from vitruvian.report.page.privacy import MASK, text_shown, value_shown, words_shown
from vitruvian.report.page.reproduction import write_reproduction
from vitruvian.report.page.run import write_run_page

VOID = {"meta", "link", "img", "input", "br"}
FETCHING = re.compile(r"""(?:src|href)=["'](?!data:|#)[a-z]+:|url\((?!data:)|@import""", re.I)


class Reader(HTMLParser):
    """The words of a page, the scripts it would run, and whether its elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.scripts: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second to make and changes nothing of what these tests look at."""
    monkeypatch.setattr("vitruvian.report.page.document.bundle", lambda: "H4sI")


def test_run_page_tells_all_and_fetches_nothing(tmp_path: Path) -> None:
    page = write_run_page(make_run(tmp_path / "a run"))
    assert page == tmp_path / "a run" / "index_simulated.html"
    source, reader = page.read_text(encoding="utf-8"), read(page)
    assert "<title>SIMULATED: liver_small</title>" in source
    for said in (
        "SIMULATED DATA.",
        "2 to train, 1 to validate, 2 to test",
        "commit 0123456789ab, MODIFIED",
        "baseline: HU threshold",
        "0.8000 ± 0.1000",
        "global_dice",
        "The first chart",
        "val/liver_dice over the epochs",
        "optimizer.lr",
    ):
        assert said in reader.text
    assert not FETCHING.search(source)
    assert "default-src 'none'" in source
    assert source.count('id="bundle"') == 1
    assert 'alt="The worst case, beside the truth."' in source


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    page = write_run_page(make_run(tmp_path))
    reader = read(page)
    kinds = [script.get("type") for script in reader.scripts]
    assert kinds.count(None) == 1, "the page's own script alone is run"
    specs = re.findall(
        r'<script type="application/json">(.*?)</script>', page.read_text(encoding="utf-8")
    )
    assert [json.loads(spec)["description"] for spec in specs[:2]] == [
        "Dice, first time.",
        "Dice, second time.",
    ]
    assert any(row["case"] == HOSTILE for row in json.loads(specs[0])["data"]["values"])


def test_run_page_keeps_secrets_and_people_to_itself(tmp_path: Path) -> None:
    source = write_run_page(make_run(tmp_path)).read_text(encoding="utf-8")
    for kept in (SECRET, "jane", "ward-7", str(tmp_path)):
        assert kept not in source
    assert "…/lits/volumes" in source


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/jane/lits", "…/lits"),
        ("/mnt/big/lits/volumes", "…/lits/volumes"),
        ("/runs/one/figures/a.png", "figures/a.png"),
        ("~/data", "…/data"),
        ("cannot read /mnt/a/b/c.csv: gone", "cannot read …/b/c.csv: gone"),
        ("https://me:pw@host/x?token=abc", f"https://host/x?token={MASK}"),
        ("sqlite:////home/jane/studies/a.db", "sqlite:…/studies/a.db"),
        ("N/mm", "N/mm"),
    ],
)
def test_paths_and_addresses_are_shortened(text: str, shown: str) -> None:
    assert text_shown(text, Path("/runs/one")) == shown


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("logger.wandb.api_key", "abc", MASK),
        ("a.password", "abc", MASK),
        ("a.token", None, "null"),
        ("model.tokens_kept", 4, MASK),  # rather one too many than one too few
        ("optimizer.lr", 0.1, "0.1"),
    ],
)
def test_secrets_are_known_by_their_keys(key: str, value: object, shown: str) -> None:
    assert value_shown(key, value, Path("/run")) == shown
    assert words_shown(["/usr/bin/x", f"{key}={value}"], Path("/run"))[0] == "x"


def _no_metrics(run: RunDirectory) -> str:
    run.metrics_file.unlink()
    return "metrics.csv is missing: no curves"


def _empty_metrics(run: RunDirectory) -> str:
    run.metrics_file.write_text("")
    return "metrics.csv is empty: no curves"


def _binary_metrics(run: RunDirectory) -> str:
    run.metrics_file.write_bytes(b"\x00\xff\xfe" * 100)
    return "metrics.csv is not text: no curves"


def _word_for_a_number(run: RunDirectory) -> str:
    run.metrics_file.write_text("epoch,step\n1,two\n")
    return "metrics.csv, line 2, column step: 'two' is no number: no curves"


def _cut_metrics(run: RunDirectory) -> str:
    cut_to(run.metrics_file, 0.75)
    return "metrics.csv, line 4 is cut: what stands before is shown"


def _cut_row_within_metrics(run: RunDirectory) -> str:
    lines = run.metrics_file.read_text().splitlines()
    run.metrics_file.write_text("\n".join([*lines[:3], "2,20", lines[4]]) + "\n")
    return "metrics.csv, line 4 is cut: it has 2 cells, its head 4: what stands before is shown"


def _cut_metrics_between_lines(run: RunDirectory) -> str:
    told = {"val/liver_dice": 0.825, "val/other": 0.5}
    run.write_status(COMPLETE, simulated=True, metrics=told)
    assert read_metrics(run)[1] == "", "a figure that is in no column says nothing"
    cut_to(run.metrics_file, lines=3)
    return (
        "metrics.csv ends before the last validation that status.json tells of: "
        "what stands before is shown"
    )


def _only_a_head(run: RunDirectory) -> str:
    cut_to(run.metrics_file, lines=1)
    return "metrics.csv holds no row: no curves"


def _cut_head(run: RunDirectory) -> str:
    run.metrics_file.write_text("epoch,step,train/l")
    return "metrics.csv, line 1 is cut: no curves"


def _word_in_evaluation(run: RunDirectory) -> str:
    head = (run.evaluation / "test_simulated.csv").read_text().splitlines()[0]
    (run.evaluation / "test_simulated.csv").write_text(f"{head}\n4,model,simulated,large\n")
    return (
        "evaluation test_simulated cannot be read: "
        "evaluation/test_simulated.csv, line 2, column dice: 'large' is no number"
    )


def _cut_evaluation(run: RunDirectory) -> str:
    cut_to(run.evaluation / "test_simulated.csv")
    return "cannot be read: evaluation/test_simulated.csv, line 7 is cut"


def _cut_evaluation_between_lines(run: RunDirectory) -> str:
    cut_to(run.evaluation / "test_simulated.csv", lines=5)
    return "test_simulated.csv has 1 of the 3 cases of baseline: HU threshold"


def _short_row_in_evaluation(run: RunDirectory) -> str:
    file = run.evaluation / "test_simulated.csv"
    file.write_text(file.read_text().replace(",simulated,0.6\n", "\n"))
    return "test_simulated.csv, line 5 is cut: it has 2 cells, its head 4"


def _foreign_summary(run: RunDirectory) -> str:
    (run.evaluation / "test_simulated.json").write_text('{"groups": 3}')
    return "evaluation/test_simulated.json is not a summary of an evaluation"


def _no_status(run: RunDirectory) -> str:
    run.status_file.unlink()
    return "status.json is missing: nobody knows whether the run has ended"


def _cut_status(run: RunDirectory) -> str:
    cut_to(run.status_file, 0.5)
    return "status.json is damaged: nobody knows whether the run has ended"


def _lost_picture(run: RunDirectory) -> str:
    (run.figures / "test_simulated" / "worst_simulated.png").unlink()
    return "figure “Worst case” cannot be shown"


def _damaged_list(run: RunDirectory) -> str:
    (run.figures / "test_simulated" / "index.json").write_text("{")
    return "their list is damaged"


def _failed(run: RunDirectory) -> str:
    for file in run.evaluation.iterdir():
        file.unlink()
    run.write_status(FAILED, reason="out of memory", simulated=True)
    return "no evaluation yet: the run is failed"


def _no_config(run: RunDirectory) -> str:
    run.config_file.unlink()
    return "no configuration"


@pytest.mark.parametrize(
    "spoil",
    [
        _no_metrics,
        _empty_metrics,
        _binary_metrics,
        _word_for_a_number,
        _cut_metrics,
        _cut_row_within_metrics,
        _cut_metrics_between_lines,
        _only_a_head,
        _cut_head,
        _word_in_evaluation,
        _cut_evaluation,
        _cut_evaluation_between_lines,
        _short_row_in_evaluation,
        _foreign_summary,
        _no_status,
        _cut_status,
        _lost_picture,
        _damaged_list,
        _failed,
        _no_config,
    ],
)
def test_what_is_missing_is_told(spoil: Callable[[RunDirectory], str], tmp_path: Path) -> None:
    run = make_run(tmp_path)
    said = spoil(run)
    assert said in read(write_run_page(run)).text


def test_a_summary_over_participants_counts_fewer_than_its_table_has(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"case": f"P1_task{task}", "predictor": "model", "participant": "P1", "rmse": 1.0}
        for task in range(3)
    ]
    summary = summarise(by_subject(rows), resamples=50)
    write(rows, summary, tmp_path, "folds", simulated=False)
    assert evaluation_damage(tmp_path, "folds") == ""


def test_a_line_that_is_being_written_is_no_damage(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.write_status(RUNNING, simulated=True)
    cut_to(run.metrics_file)
    text = read(write_run_page(run)).text
    assert "is cut" not in text
    assert "val/liver_dice over the epochs" in text


def test_a_cut_table_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    _cut_metrics(run)
    text = read(write_run_page(run)).text
    assert "the kept weights are those of epoch 2 (mark)" in text, "the last whole line"


@pytest.mark.parametrize("name", ["rün 1 & x", "it's", "a$b"])
def test_commands_survive_the_shell(name: str, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    typed = ["experiment=liver_demo", f"run='outputs/{name}'"]
    start = {"command": ["/opt/bin/vitruvian-train", *typed]}
    run.environment_file.write_text(json.dumps({"starts": [start]}))
    run.overrides_file.write_text("".join(f"{word}\n" for word in typed))
    told = dict(facts(run, run.config, True))
    assert shlex.split(told["command"]) == ["vitruvian-train", *typed]
    assert shlex.split(told["overrides"]) == typed


def test_page_of_real_data_takes_the_place_of_no_foreign_file(tmp_path: Path) -> None:
    (tmp_path / "index_simulated.html").write_text("somebody's own")
    page = write_run_page(make_run(tmp_path, simulated=False))
    assert page.name == "index.html"
    assert "SIMULATED" not in read(page).text
    assert (tmp_path / "index_simulated.html").read_text() == "somebody's own"


def test_reproduction_page_tells_every_verdict(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "0000")
    write_run_page(RunDirectory(tmp_path / "runs" / "0000"))
    page = write_reproduction([reproduction()], tmp_path)
    source, text = page.read_text(encoding="utf-8"), read(page).text
    for said in (
        "not comparable",
        "impossible as printed",
        "not run yet",
        "On simulated data nothing here reproduces the paper",
        "paper: 92.2",
        "p = 0.040",
        "row 3: voe 19.20 is impossible with dice 89.13",
        "Wang, Li: A liver net. A journal, 2024.",
        "vitruvian-reproduce paper=wang2024",
        "6 claims: 2 hold on what needs no data, 1 is impossible as printed, 1 cannot be judged "
        "on simulated data, 1 cannot be judged from outside, 1 waits for a run or a measurement.",
        "Claims that nobody can judge from outside (1)",
        "8.66 M parameters",
        "8.18 GMAC",
        "Table 1 (SIMULATED data)",
    ):
        assert said in text
    assert 'href="runs/0000/index_simulated.html"' in source
    assert not FETCHING.search(source)
    for table in re.findall(r"<table.*?</table>", source, re.S):
        head, *rows = (row.count("</th>") + row.count("</td>") for row in table.split("</tr>")[:-1])
        assert set(rows) == {head}, "a cell for each column"
    assert ">VOE</th>" not in source, "a column that is empty throughout is left out"
    assert "(simulated)" not in source, "once is enough"


def test_page_of_all_papers_counts_and_links(tmp_path: Path) -> None:
    write_run_page(make_run(tmp_path / "wang2024" / "runs" / "0000"))
    page = write_reproduction([reproduction(), reproduction(simulated=False)], tmp_path)
    assert 'href="wang2024/runs/0000/index_simulated.html"' in page.read_text(encoding="utf-8")
    source, text = page.read_text(encoding="utf-8"), read(page).text
    assert "Verdicts on the claims" in text
    name = "Wang et al. 2024, liver"
    anchor = "wang-et-al-2024-liver-the-claims"
    assert f'<a href="#{anchor}">{name}</a>' in source
    assert f'<section id="{anchor}"' in source
    assert f"{name}: claims , tables , own numbers , how it was made" in text
    assert "6 claims: 2 are reproduced" in text, "of the real data"


def test_claims_of_one_unit_share_a_chart_and_costs_are_ratios(tmp_path: Path) -> None:
    source = write_reproduction([reproduction()], tmp_path).read_text(encoding="utf-8")
    specs = re.findall(r'<script type="application/json">(.*?)</script>', source)
    figures, costs = (json.loads(spec)["data"]["values"] for spec in specs)
    rows = {row["claim"]: row for row in figures}
    assert set(rows) == {"eas: Dice\nTable 1, row 3", "VOE\nTable 1, row 1"}
    assert [row["value"] for row in costs] == pytest.approx([0.27907, 0.17015], rel=1e-4)


def test_notes_of_a_paper_are_no_warnings(tmp_path: Path) -> None:
    found = reproduction()
    noted = replace(found, paper=replace(found.paper, notes=("No spread is given.",)))
    source = write_reproduction([noted], tmp_path).read_text(encoding="utf-8")
    (warnings,) = re.findall(r'<ul class="notes">(.*?)</ul>', source, re.S)
    assert "No spread is given." in source
    assert "No spread is given." not in warnings


def test_page_without_charts_carries_no_bundle() -> None:
    table = Table("t", ["a", "b"], [[Cell("1"), Cell("2")]])
    page = html(Document("t", "", False, [Section("one", tables=[table])]))
    assert "bundle" not in re.sub(r"<script>.*</script>", "", page, flags=re.S)


@pytest.mark.parametrize("kept", ["nothing", "half", "read-only"])
def test_bundle_is_made_once_and_mended(
    kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def make(snippet: str) -> str:
        made.append(snippet)
        return "window.vegaEmbed = 1;"

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr("vl_convert.javascript_bundle", make)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    if kept == "half":
        bundling.cache_file().parent.mkdir()
        bundling.cache_file().write_text("H4sIAAAA")
    if kept == "read-only":
        (home / "vitruvian").write_text("a file where the folder would be")
    for _ in range(2):
        bundling.bundle.cache_clear()
        assert gzip.decompress(b64decode(bundling.bundle())) == b"window.vegaEmbed = 1;"
    bundling.bundle.cache_clear()
    assert len(made) == (2 if kept == "read-only" else 1)


def test_page_that_fails_fails_no_verb(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Path:
        raise RunError("cannot write index.html: the disk is full")

    hand_over(broken)
    hand_over(lambda: Path(str(1 // 0)))
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "warning: no page was written: cannot write index.html: the disk is full"
    assert "ZeroDivisionError" in told[1]


def test_a_page_of_another_kind_is_never_replaced(tmp_path: Path) -> None:
    verdicts = Document("Does it hold?", "", True, (), kind="papers")
    (tmp_path / "index.html").write_text(html(verdicts), "utf-8")
    kept = (tmp_path / "index.html").read_bytes()
    runs = Document("Runs", "", True, (), kind="runs")
    assert write_index(tmp_path, runs) == tmp_path / "runs_simulated.html"
    assert write_index(tmp_path, replace(runs, simulated=False)) == tmp_path / "runs.html"
    assert not (tmp_path / "runs_simulated.html").exists()
    assert (tmp_path / "index.html").read_bytes() == kept
    (tmp_path / "runs.html").write_text("somebody's own", "utf-8")
    with pytest.raises(RunError, match="somebody else's"):
        write_index(tmp_path, replace(runs, simulated=False))


def test_a_chart_saved_by_itself_says_that_it_is_simulated() -> None:
    shown = drawing("Loss", "ours: SIMULATED", {"mark": "line", "data": {"values": []}})
    page = Document("x", "", True, [Section("a", figures=[shown])])
    assert '"title":{"text":"SIMULATED DATA"' in html(page)
    assert '"title":{"text":"SIMULATED DATA"' not in html(replace(page, simulated=False))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/nfs/home/jdoe/LiTS", "…/LiTS"),
        ("/gpfs/users/jdoe", "…"),
        ("error:/home/jdoe/x/y", "error:…/x/y"),
        ("postgresql://me:p@ss@host/db", "postgresql://host/db"),
        ("http://localhost:5000/a", "http://localhost:5000/a"),
    ],
)
def test_no_user_and_no_password_is_told(text: str, shown: str) -> None:
    assert text_shown(text, Path("/somewhere/run")) == shown


def test_nets_of_several_lengths_get_a_chart() -> None:
    found = reproduction()
    table = found.tables[0]
    line = next(line for line in table.lines if not line.baseline)
    windows = {
        str(n): Experiment(str(n), f"LSTM {n}", (), net="LSTM", frames=n) for n in (100, 500)
    }
    lines = tuple(replace(line, experiment=name) for name in windows)
    long = replace(
        found,
        paper=replace(found.paper, experiments=windows),
        tables=(replace(table, lines=lines), table),
    )
    (shown,) = length_figures(long)
    values = json.loads(shown.content)["data"]["values"]
    mean = line.figures[table.metrics[0]].mean
    assert [(row["length"], row["value"]) for row in values] == [(100, mean), (500, mean)]
    assert length_figures(found) == []


def test_the_mark_is_at_the_best_epoch_even_where_the_curve_is_thinned() -> None:
    rows = [{"epoch": float(e), "val/dice": 0.9 if e in (501, 800) else 0.5} for e in range(1000)]
    (shown,) = curve_figures(rows, "val/dice", "max")
    assert "the kept weights are those of epoch 502 (mark)" in shown.caption
