"""What the chart knows about vLLM's flags agrees with vLLM's own parser."""

from __future__ import annotations

from typing import Any

import pytest
from harness import go_yaml
from harness.helm import CHART
from harness.vllm_arguments import Flag, parser

from scripts import schema as generator

VERSION = generator.app_version()
NOTES: dict[str, Any] = go_yaml.load((CHART / "files" / "flags.yaml").read_text(encoding="utf-8"))
LONG: dict[str, Flag] = {
    name.removeprefix("--"): flag
    for flag in parser(VERSION).flags
    for name in flag.names
    if name.startswith("--") and not name.startswith("--no-")
}


def test_the_dump_is_of_the_version_that_the_chart_deploys() -> None:
    assert parser(VERSION).version == VERSION


def test_owned_flags_exist_and_removed_flags_do_not() -> None:
    assert not set(NOTES["owned"]) - set(LONG)
    assert not set(NOTES["removed"]) & set(LONG)


def test_short_forms_are_those_of_the_parser() -> None:
    short = {
        name.removeprefix("-"): long
        for long in NOTES["owned"]
        for name in LONG[long].names
        if not name.startswith("--")
    }
    assert NOTES["short"] == short


def test_no_flag_that_users_may_give_begins_an_owned_one() -> None:
    # the check of engine.extraArgs refuses every beginning of an owned flag
    free = set(LONG) - set(NOTES["owned"])
    assert not [(name, owned) for name in free for owned in NOTES["owned"] if owned.startswith(name)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("switches", {name for name, flag in LONG.items() if flag.action == "_StoreTrueAction"}),
        ("repeated", {name for name, flag in LONG.items() if flag.action == "_AppendAction"}),
        ("jsonLists", {"allowed-origins", "allowed-methods", "allowed-headers"}),
    ],
)
def test_flags_that_render_another_way_are_those_of_the_parser(key: str, expected: set[str]) -> None:
    assert set(NOTES[key]) == expected


def test_json_lists_are_read_as_json() -> None:
    assert {LONG[name].type for name in NOTES["jsonLists"]} == {"loads"}


def test_every_flag_of_the_parser_is_in_the_schema_and_only_messages_beside_them() -> None:
    dump = {"vllm": VERSION, "args": [vars(flag) | {"flags": flag.names, "help": ""} for flag in LONG.values()]}
    properties = generator.flags_schema(dump, NOTES)["properties"]
    assert set(properties) == set(LONG) - {"help"} | set(NOTES["removed"])
