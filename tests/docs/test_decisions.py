"""Each decision has a number, a title, a date and a status, and the index lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.generate import decisions


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(one.number) for one in decisions.decisions()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_decision_is_accepted_or_superseded_by_a_later_one() -> None:
    for one in decisions.decisions():
        later = re.fullmatch(r"superseded by \[(\d{4})\]\(\1-[a-z-]+\.md\)", one.status)
        assert one.status == "accepted" or (later and later[1] > one.number), one.file.name


@pytest.mark.parametrize("lost", ["- Date: 2026-11-23\n", "- Status: accepted\n", "## Consequences\n", "# 0002"])
def test_decision_without_a_part_is_rejected(lost: str, tmp_path: Path) -> None:
    (found,) = decisions.FOLDER.glob("0002-*.md")
    text = found.read_text(encoding="utf-8")
    assert lost in text
    copy = tmp_path / found.name
    copy.write_text(text.replace(lost, "", 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"0002-.*\.md: not of the form"):
        decisions.read(copy)
