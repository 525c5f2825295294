"""Splits: nobody on two sides, the same on every machine, and errors a user can act on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.splits import FixedSplit, KFold, LeaveOneOut, Ratio, Resubstitution, Splits

LITS = [f"volume-{i}" for i in range(131)]
IRCAD = [f"volume-{i}" for i in range(28, 49)]


def sides(splits: Splits) -> tuple[tuple[str, ...], ...]:
    return splits.train, splits.val, splits.test


def counts(splits: Splits) -> tuple[int, ...]:
    return tuple(len(side) for side in sides(splits))


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (KFold(), (78, 26, 27)),
        (KFold(folds=10, fold=9), (104, 14, 13)),
        (KFold(folds=131), (129, 1, 1)),
        (Ratio(), (105, 26, 0)),
        (Ratio(0.7, 0.1, 0.2), (92, 13, 26)),
        (Ratio(1.0, 0.0, 0.0), (131, 0, 0)),
        (KFold(together=[IRCAD]), (78, 26, 27)),
        (Ratio(0.6, 0.2, 0.2, together=[IRCAD]), (79, 26, 26)),
        (Resubstitution(), (131, 131, 131)),
        (LeaveOneOut(), (129, 1, 1)),
        (LeaveOneOut(fold=130, inner=4), (126, 4, 1)),
    ],
    ids=str,
)
def test_sizes(split: Any, expected: tuple[int, ...]) -> None:
    assert counts(split.assign(LITS)) == expected


@pytest.mark.parametrize(
    "split",
    [
        KFold(seed=3),
        KFold(folds=3, fold=2),
        Ratio(0.6, 0.2, 0.2),
        KFold(together=[IRCAD, LITS[:4]]),
        Ratio(together=[IRCAD]),
        LeaveOneOut(fold=129, inner=3),
    ],
    ids=str,
)
def test_everybody_is_on_one_side_in_natural_order(split: Any) -> None:
    splits = split.assign(LITS)
    everyone = [subject for side in sides(splits) for subject in side]
    assert sorted(everyone, key=LITS.index) == LITS
    for side in sides(splits):
        assert list(side) == sorted(side, key=LITS.index)


@pytest.mark.parametrize("split", [KFold(), Ratio(), LeaveOneOut(7), Resubstitution()], ids=str)
def test_input_order_and_repeats_do_not_matter(split: Any) -> None:
    assert split.assign(LITS[::-1] + LITS[:9]) == split.assign(LITS)


@pytest.mark.parametrize("folds", [3, 5])
def test_every_subject_is_tested_in_exactly_one_fold(folds: int) -> None:
    splits = [KFold(folds, fold).assign(LITS) for fold in range(folds)]
    tested = [subject for s in splits for subject in s.test]
    assert sorted(tested, key=LITS.index) == LITS
    assert all(splits[f].val == splits[(f + 1) % folds].test for f in range(folds))


@pytest.mark.parametrize("inner", [1, 2])
def test_leaving_one_out_tests_everybody_once_in_natural_order(inner: int) -> None:
    names = [f"p{i}" for i in range(12)]
    split = LeaveOneOut(inner=inner)
    assert split.count([*names, "p3"]) == 12
    splits = [LeaveOneOut(fold, inner).assign(names[::-1]) for fold in range(12)]
    assert [s.test for s in splits] == [(name,) for name in names]
    validated = [subject for s in splits for subject in s.val]
    assert sorted(validated, key=names.index) == [n for n in names for _ in range(inner)]
    assert splits[3].kind == "leave one out, fold 3 of 12"


def test_the_subjects_after_the_last_one_are_the_first() -> None:
    assert LeaveOneOut(3, inner=2).assign(list("abcd")).val == ("a", "b")
    assert LeaveOneOut(3, inner=2).assign(list("abcd")).train == ("c",)


def test_k_folds_are_as_many_as_asked_for() -> None:
    assert KFold(folds=4).count(LITS) == 4


def test_seed_changes_the_division() -> None:
    assert len({KFold(seed=seed).assign(LITS).test for seed in range(5)}) == 5


def test_the_division_never_changes() -> None:
    names = [f"case-{i}" for i in range(10)]
    assert KFold().assign(names).test == ("case-0", "case-7")
    assert Ratio().assign(names).val == ("case-6", "case-8")


@pytest.mark.parametrize(
    "split",
    [KFold(fold=f, together=[IRCAD]) for f in range(5)]
    + [Ratio(0.6, 0.2, 0.2, seed=s, together=[IRCAD]) for s in range(5)],
    ids=str,
)
def test_groups_stay_together(split: Any) -> None:
    present = [subject for subject in LITS if subject not in ("volume-30", "volume-47")]
    splits = split.assign(present)
    assert sum(bool({"volume-28", "volume-31"} & set(side)) for side in sides(splits)) == 1
    (side,) = (side for side in sides(splits) if "volume-28" in side)
    assert set(IRCAD) & set(present) <= set(side)


@pytest.mark.parametrize(
    ("split", "subjects", "error", "message"),
    [
        (
            KFold(),
            ["a"],
            DataError,
            "1 subject cannot make 5 folds: add subjects or use split=resubstitution",
        ),
        (KFold(), ["a", "b"], DataError, "2 subjects cannot make 5 folds"),
        (KFold(), [], DataError, "0 subjects cannot make 5 folds"),
        (
            KFold(together=[LITS[:8]]),
            LITS[:10],
            DataError,
            "10 subjects in 3 groups cannot make 5 folds",
        ),
        (
            KFold(together=[["a", "b"], ["b", "c"]]),
            list("abcdefgh"),
            ConfigError,
            "together: b in more than one group",
        ),
        (Ratio(), ["a"], DataError, "1 subject cannot make train=0.8 val=0.2 test=0: add"),
        (Ratio(0.4, 0.3, 0.3), ["a", "b"], DataError, "2 subjects cannot make train=0.4"),
        (Resubstitution(), [], DataError, "no subject is left to train on"),
        (LeaveOneOut(3), list("abc"), ConfigError, "fold=3: choose a number from 0 to 2"),
        (LeaveOneOut(inner=2), list("abc"), DataError, "3 subjects cannot make folds that leave"),
        (LeaveOneOut(5), ["a"], DataError, "1 subject cannot make folds that leave one out"),
    ],
)
def test_assign_refuses(split: Any, subjects: list[str], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        split.assign(subjects)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (KFold, {"fold": 5}, "fold=5: choose a number from 0 to 4"),
        (KFold, {"fold": -1}, "fold=-1: choose a number from 0 to 4"),
        (KFold, {"folds": 2}, "folds=2: need at least 3"),
        (LeaveOneOut, {"fold": -1}, "fold=-1: choose a number from 0 on"),
        (LeaveOneOut, {"inner": 0}, "inner=0: at least 1 subject must validate"),
        (Ratio, {"train": 0.8, "val": 0.3}, "train=0.8 val=0.3 test=0: .* add up to 1"),
        (Ratio, {"train": 1.2, "val": -0.2}, "the shares must be from 0 to 1"),
        (Ratio, {"train": 0.0, "val": 1.0}, "train=0: give a share to train on"),
    ],
)
def test_config_refuses(make: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**arguments)


@pytest.mark.parametrize("total", range(2, 12))
def test_small_sets_leave_no_wanted_side_empty(total: int) -> None:
    names = [str(i) for i in range(total)]
    assert min(counts(Ratio(0.9, 0.1).assign(names))[:2]) >= 1
    if total > 2:
        assert min(counts(Ratio(0.9, 0.05, 0.05).assign(names))) >= 1
        assert min(counts(KFold(folds=3).assign(names))) >= 1


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [KFold(), Ratio(), Resubstitution()], ids=str)
def test_written_splits_come_back(tmp_path: Path, split: Any) -> None:
    splits = split.assign(LITS)
    splits.write(tmp_path / "splits.json")
    assert Splits.read(tmp_path / "splits.json") == splits


def test_only_resubstitution_may_overlap() -> None:
    with pytest.raises(DataError, match="a on more than one side of the split"):
        Splits(("a", "b"), ("a",), (), "fixed")
    assert Splits(("a",), ("a",), ("a",), "resubstitution").kind == "resubstitution"


CONTENTS = [
    ("{", "is not valid JSON"),
    ("[]", 'must hold {"train":'),
    ('{"train": ["a"], "val": []}', 'must hold {"train":'),
    ('{"train": ["a"], "val": [], "tset": []}', 'must hold {"train":'),
    ('{"train": [1], "val": [], "test": []}', "train must be a list of names"),
    ('{"train": "abc", "val": [], "test": []}', "train must be a list of names"),
]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *CONTENTS,
        ('{"train": ["a"], "val": [], "test": []}', 'has no "kind"'),
        (
            '{"train": ["a"], "val": ["a"], "test": [], "kind": "x"}',
            "split.json: a on more than one side",
        ),
        (
            '{"train": ["a", "a"], "val": [], "test": [], "kind": "x"}',
            "a named twice under train",
        ),
    ],
)
def test_read_refuses(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        Splits.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *CONTENTS,
        (
            '{"train": ["a", "b"], "val": ["c"], "test": ["x"]}',
            "split.json names x, not in the data",
        ),
        ('{"train": ["a"], "val": ["b"], "test": []}', "the data hold c, not in .*split.json"),
        (
            '{"train": ["a", "b", "c"], "val": ["b"], "test": []}',
            "split.json: b on more than one side",
        ),
        ('{"train": ["a", "b", "c", "c"], "val": [], "test": []}', "c named twice under train"),
        ('{"train": [], "val": ["a", "b"], "test": ["c"]}', "no subject is left to train on"),
    ],
)
def test_fixed_split_refuses(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        FixedSplit(str(path)).assign(["a", "b", "c"])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the split .*absent\.json: No such"):
        FixedSplit(str(tmp_path / "absent.json")).assign(["a"])


def test_fixed_split_takes_the_file_of_another_run(tmp_path: Path) -> None:
    splits = KFold().assign(LITS)
    splits.write(tmp_path / "splits.json")
    again = FixedSplit(str(tmp_path / "splits.json")).assign(LITS[::-1])
    assert sides(again) == sides(splits)
    assert again.kind == "file splits.json"


def test_long_lists_are_shortened(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": ["volume-0"], "val": [], "test": []}))
    with pytest.raises(DataError, match=r"volume-1, .*volume-5 and 125 more, not in"):
        FixedSplit(str(path)).assign(LITS)


@pytest.mark.parametrize("name", ["splits", "store", "sampling"])
def test_import_is_cheap(name: str) -> None:
    root = Path(vitruvian.__file__).parents[1]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import vitruvian.core.{name}; "
    code += "print(sorted({'torch', 'monai', 'pytorch_lightning'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"


# -- strata ---------------------------------------------------------------------------------------

PEOPLE = [f"p{i}" for i in range(150)]
FLAGS = {person: "red" if i % 5 == 0 else "green" for i, person in enumerate(PEOPLE)}  # 30 of 150


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("split", [KFold, Ratio], ids=["kfold", "ratio"])
def test_strata_are_spread_evenly(split: type[KFold] | type[Ratio], seed: int) -> None:
    splits = split(seed=seed).assign(PEOPLE, FLAGS)
    for side in (splits.train, splits.val, splits.test):
        red = sum(FLAGS[person] == "red" for person in side)
        assert abs(red - len(side) / 5) <= 1
    assert counts(splits) == counts(split(seed=seed).assign(PEOPLE))
    assert splits.kind.endswith(", stratified")


def test_every_fold_gets_its_share_of_a_rare_stratum() -> None:
    rare = {person: "red" if i < 7 else "green" for i, person in enumerate(PEOPLE)}
    shares = [
        sum(rare[person] == "red" for person in KFold(fold=fold).assign(PEOPLE, rare).test)
        for fold in range(5)
    ]
    assert sorted(shares) == [1, 1, 1, 2, 2]
    sizes = [len(KFold(fold=fold).assign(PEOPLE, rare).test) for fold in range(5)]
    assert sizes == [30] * 5


@pytest.mark.parametrize("split", [KFold(stratify=False), Ratio(stratify=False)])
def test_strata_can_be_left_aside(split: KFold | Ratio) -> None:
    assert split.assign(PEOPLE, FLAGS) == split.assign(PEOPLE)
    assert "stratified" not in split.assign(PEOPLE, FLAGS).kind
