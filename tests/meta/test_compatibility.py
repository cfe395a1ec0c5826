"""The comparison with the last release finds each kind of break, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib import compatibility


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (schema(a=TEXT), schema(b=TEXT), "a: is gone"),
        (schema(a=schema(b=TEXT)), schema(a=schema()), "a.b: is gone"),
        (schema(a=TEXT), schema(a={"const": "(write b)"}), "a: is refused (write b)"),
        (schema(a={"type": ["string", "integer"]}), schema(a=TEXT), "a: takes integer no more"),
        (schema(a={"enum": ["x", "y"]}), schema(a={"enum": ["x"]}), "a: takes y no more"),
        (schema(a={"type": "integer"}), schema(a={"type": "integer", "minimum": 1}), "a: has minimum 1"),
        (schema(a={"type": "integer", "maximum": 9}), schema(a={"type": "integer", "maximum": 8}), "which was 9"),
        (schema(a=TEXT), {**schema(a=TEXT), "required": ["a"]}, "a: is required"),
        (schema(a={"type": "array", "items": TEXT}), schema(a={"type": "array", "items": {"type": "integer"}}), "a.*"),
        (schema(a={"type": "object"}), schema(a=schema()), "a: takes no keys of any name"),
        (
            {**schema(a={"$ref": "#/properties/b"}, b=TEXT)},
            schema(a={"type": "integer"}, b=TEXT),
            "a: takes string no more",
        ),
    ],
)
def test_a_break_is_found(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    (found,) = compatibility.breaches(old, new, {}, {})
    assert words in str(found)


def test_what_only_takes_more_breaks_nothing() -> None:
    old = schema(a={"type": "integer", "minimum": 1}, gone={"const": "(was refused)"})
    new = schema(a={"type": ["integer", "string"]}, b=TEXT)
    assert compatibility.breaches(old, new, {"a": 1}, {"a": 1, "b": ""}) == []


def test_another_default_is_a_break_at_any_depth() -> None:
    (found,) = compatibility.breaches(schema(), schema(), {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    assert str(found) == "a.c: is 3 by default, which was 2"


@pytest.mark.parametrize(
    ("version", "breaking", "wanted"),
    [
        ("0.1.0", True, "0.2.0"),
        ("0.1.3", False, "0.2.0"),
        ("1.4.2", True, "2.0.0"),
        ("1.4.2", False, "1.5.0"),
        ("1.0.0-rc.1", True, "2.0.0"),
    ],
)
def test_before_1_0_a_minor_version_may_break(version: str, breaking: bool, wanted: str) -> None:
    assert compatibility.next_version(version, breaking=breaking) == wanted


def test_versions_are_compared_as_numbers() -> None:
    assert compatibility.as_numbers("0.10.0") > compatibility.as_numbers("0.9.9")
    assert compatibility.as_numbers("0.10.0-rc.1+build.7") == (0, 10, 0)
