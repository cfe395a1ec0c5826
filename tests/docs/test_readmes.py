"""The README is short, its numbers are those that were measured, and its translation says the same."""

from __future__ import annotations

import re
from pathlib import Path

from ci.common import ROOT
from scripts.docs import snippets

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def headings(page: Path) -> list[str]:
    """The levels of a page's headings, as # and ##."""
    return re.findall(r"^(#+) ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def shape(page: Path) -> list[object]:
    """What a translation leaves as it is: headings, rows of tables, code in the text, and links."""
    text = page.read_text(encoding="utf-8")
    rows = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    code = sorted(re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))
    links = sorted(target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("README"))
    return [headings(page), rows, code, links]


def test_the_translation_has_the_same_headings_tables_code_and_links() -> None:
    assert shape(ENGLISH) == shape(CHINESE)


def test_the_translation_has_the_same_blocks() -> None:
    found = [[(s.language, s.mark, s.text) for s in snippets.snippets(page)] for page in (ENGLISH, CHINESE)]
    assert found[0] == found[1]


def test_each_links_to_the_other() -> None:
    assert "(README.zh-CN.md)" in ENGLISH.read_text(encoding="utf-8")
    assert "(README.md)" in CHINESE.read_text(encoding="utf-8")


def test_a_reader_is_done_in_two_hundred_lines() -> None:
    assert len(ENGLISH.read_text(encoding="utf-8").splitlines()) <= 200


def table(title: str) -> list[list[str]]:
    """The rows of the first table under a heading of docs/reliability.md, as cells."""
    body = RELIABILITY.split(f"## {title}\n", 1)[1].split("\n## ")[0]
    lines = body[body.index("|---") :].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def key_changes() -> tuple[int, int]:
    """How many requests were sent and how many failed while keys changed, over both kinds of connections."""
    rows = [row for row in table("Upgrades, rollbacks and changed keys") if " key " in row[0]]
    return sum(int(row[1]) + int(row[3]) for row in rows), sum(int(row[2]) + int(row[4]) for row in rows)


def ordinary_events() -> tuple[int, int]:
    """The same in the events of `make e2e`, which are those under the loads "four" and "three"."""
    rows = [row for row in table("What clients saw") if row[2] in ("four", "three")]
    sent, failed = (sum(int(number) for row in rows for number in row[column].split("/")) for column in (3, 4))
    return sent, failed


def test_its_numbers_are_those_that_were_measured() -> None:
    for page, words in ((ENGLISH, "0 of {}"), (CHINESE, "{} 个请求失败 0 个")):
        text = page.read_text(encoding="utf-8")
        for sent, failed in (ordinary_events(), key_changes()):
            assert failed == 0
            assert sent > 0
            assert words.format(sent) in text, (page, sent)
        engine = next(row for row in table("Faults") if row[0].startswith("engine process killed"))
        assert engine[3] in text
        assert engine[4] in text
        groups = table("Groups of several nodes")
        assert groups[0][2] in text
        again = sorted(int(row[1].split()[0]) for row in groups[1:])
        assert re.search(rf"{again[0]} (?:to|到) {again[-1]} s", text)
    performance = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (median,) = re.findall(r"^\| median \|.*\| \+([\d.]+ s) \|$", performance, flags=re.MULTILINE)
    assert median in ENGLISH.read_text(encoding="utf-8")
    assert median in CHINESE.read_text(encoding="utf-8")
