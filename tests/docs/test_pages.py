"""What reads our pages reads them right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import blocks, commands, keeps

PAGE = """
# A page

```sh
vitruvian-train seed=1 \\
  threads=1  # a comment
python - <<'END'
vitruvian-train never=1
END
```

It prints

```text
model 1.0
mean …
```

```sh no-run
$ KEY=1 vitruvian-check datamodule=liver_ct
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_blocks_have_their_output(page: Path) -> None:
    first, second = blocks(page)
    assert first.runs
    assert first.promised == ["model 1.0", "mean …"]
    assert not second.runs
    assert first.name == "page.md:5"


def test_commands_are_found_without_comments_and_literal_text(page: Path) -> None:
    found = [(command.verb, command.words) for command in commands(page)]
    assert found == [("train", ("seed=1", "threads=1")), ("check", ("datamodule=liver_ct",))]


@pytest.mark.parametrize(
    ("promise", "printed", "kept"),
    [
        ("model 1.0", "  model    1.0\n", True),
        ("model 1.0", "model 1.05\n", False),
        ("model …", "model  7\n", True),
        ("model …", "the model 7\n", False),
        ("run: x", "", False),
    ],
)
def test_promises(promise: str, printed: str, kept: bool) -> None:
    assert keeps(promise, printed) is kept
