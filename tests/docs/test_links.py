"""Every link of a page in the repository leads somewhere, as do its anchors; `make docs` checks the site's."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from ci.common import ROOT
from scripts.docs import snippets

PAGES = [*snippets.pages(), ROOT / "CHANGELOG.md"]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its blocks and pieces of code."""
    text = re.sub(r"^ *(```+|~~~+).*?^ *\1 *$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "``", text)


@cache
def anchors(page: Path) -> list[str]:
    """The anchors of a page's headings, as the hosts of repositories and the site make them."""
    text = re.sub(r"^ *(```+|~~~+).*?^ *\1 *$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+?) *$", text, flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "") for heading in headings)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_heading_stands_twice_on_a_page(page: Path) -> None:
    twice = [anchor for anchor, count in Counter(anchors(page)).items() if count > 1]
    assert not twice, "is a part of the page there twice? A link would find the first of them only"


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"^[a-z]+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_addresses_are_encrypted() -> None:
    local = r"http://(?:127\.0\.0\.1|localhost|collector|prometheus|alertmanager)"
    for page in PAGES:
        assert not re.findall(rf"\]\((?!{local})http://[^)]*\)", page.read_text(encoding="utf-8")), page


def test_no_page_is_left_out_of_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name in nav or name.startswith("decisions/"), name
