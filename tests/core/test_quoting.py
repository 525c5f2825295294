"""What is written for Hydra's grammar is read as the text it was."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.core.quoting import as_value, quoted

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


def read(value: str) -> str:
    (override,) = OverridesParser.create().parse_overrides([f"key={value}"])
    return str(override.value())


@given(TEXTS)
def test_any_text_is_read_back(text: str) -> None:
    assert read(quoted(text)) == text
    plain = as_value(text)  # numbers and words such as `null` keep their meaning without quotes
    assert read(plain) == text or plain == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/data/ct", "/data/ct"),
        ("my scans", "my scans"),
        ("0.5", "0.5"),
        ("a:b+c-d%@?|*$.", "a:b+c-d%@?|*$."),
        ("", "''"),
        (" led", "' led'"),
        ("scäns & x", "'scäns & x'"),
        ("a,b", "'a,b'"),
        ("it's", r"'it\'s'"),
        ("end\\", r"'end\\'"),
        ("[1]", "'[1]'"),
        ("日本", "'日本'"),
        ("~home", "'~home'"),
    ],
)
def test_quotes_stand_where_they_are_needed(text: str, written: str) -> None:
    assert as_value(text) == written
    assert read(written) == text
