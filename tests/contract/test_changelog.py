"""The changelog gets an entry for each key, check, alert and accelerator that the last release lacks."""

from __future__ import annotations

from scripts.generate import changelog

ENTRIES = {name: f"`{name}`: New." for name in ("service", "service.affinity", "pool", "pool.size", "neuron")}


def test_new_name_that_the_changelog_lacks_gets_an_entry() -> None:
    assert changelog.missing(ENTRIES, {"service"}, "- `neurons`") == [
        "`service.affinity`: New.",
        "`pool`: New.",
        "`neuron`: New.",
    ]


def test_name_that_the_changelog_has_gets_no_entry() -> None:
    assert not changelog.missing(ENTRIES, {"service"}, "- `pool.size`, `neuron`, `service.affinity: Local`")


def test_entry_stands_under_added_and_has_at_most_three_lines() -> None:
    text = changelog.with_entries("## [Unreleased]\n\n### Fixed\n\n- b\n", ["word " * 100])
    before, added, fixed = text.partition("### Added\n\n")[0], *text.partition("### Added\n\n")[2].split("\n\n", 1)
    assert (before, fixed) == ("## [Unreleased]\n\n", "### Fixed\n\n- b\n")
    assert len(added.splitlines()) == 3
    assert changelog.with_entries("## [Unreleased]\n\n### Added\n\n- b\n", ["a"]).endswith("### Added\n\n- a\n- b\n")
