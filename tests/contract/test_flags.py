"""What the chart knows about vLLM's flags agrees with vLLM's own parser."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from scripts.generate import schema as generator
from vllm_chart.chart import DATA
from vllm_chart.invariants.vllm_arguments import Flag, parser
from vllm_chart.render import go_yaml, helm

VERSION = generator.app_version()
DUMP: dict[str, Any] = json.loads((DATA / f"vllm-serve-args-{VERSION}.json").read_text(encoding="utf-8"))
NOTES: dict[str, Any] = go_yaml.load((DATA / "flags.yaml").read_text(encoding="utf-8"))
LONG: dict[str, Flag] = {
    name.removeprefix("--"): flag
    for flag in parser(VERSION).flags
    for name in flag.names
    if name.startswith("--") and name not in generator.opposites(flag.names)
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


def test_a_switch_has_one_name_and_its_opposite_is_refused_with_that() -> None:
    switch = {"flags": ["--enable-x", "--disable-x", "--no-enable-x"], "action": "BooleanOptionalAction", "nargs": 0}
    entry = {**switch, "type": None, "choices": None, "help": "Whether x."}
    schema = generator.flags_schema({"vllm": "9.9.9", "args": [entry]}, {"jsonLists": [], "owned": {}, "removed": {}})
    assert schema["properties"] == {
        "disable-x": {"const": "(write enable-x with the opposite value)"},
        "enable-x": {"description": "Whether x.", "type": ["boolean", "null"]},
    }
    assert generator.opposites(["--disable-log-stats"]) == set()
    assert generator.opposites(["--disable-y", "--no-disable-y", "--enable-y"]) == {"--no-disable-y", "--enable-y"}


def test_json_lists_are_read_as_json() -> None:
    assert {LONG[name].type for name in NOTES["jsonLists"]} == {"loads"}


def test_every_flag_of_the_parser_is_in_the_schema_and_only_messages_beside_them() -> None:
    properties = generator.flags_schema(DUMP, NOTES)["properties"]
    said = {name: value["const"] for name, value in properties.items() if name not in LONG and "const" in value}
    twins = {name for name, text in said.items() if text.endswith("with the opposite value)")}
    assert set(properties) - twins == set(LONG) - {"help"} | set(NOTES["removed"])


@pytest.mark.parametrize(
    ("flag", "right", "wrong"),
    [
        ("max-num-seqs", [8, "8", None], [8.5, "many", True]),
        ("gpu-memory-utilization", [0.9, 1, "0.9", "1e-1"], ["90%", True]),
        ("max-model-len", [-1, "32k", "32K", "1.5k", "auto", 4096], ["32q", "32 k", "1.5K", "-1k", 1.5]),
        ("kv-offloading-size", [8, 0.5, "0.5"], ["8Gi"]),
        ("enable-prefix-caching", [True, False, None], ["false", 0]),
        ("dtype", ["bfloat16", None], ["fp16", 16]),
        ("tokenizer-revision", ["main", "1.0"], [1.5, True, ["main"]]),
        ("speculative-config", [{"method": "ngram"}, '{"method": "ngram"}'], ["ngram", ["ngram"], 1]),
        ("hf-overrides", [{"a": 1}, "module.function"], [["a"], 1]),
        (
            "allowed-origins",
            [["https://a.example"], '["*"]', "[]", ' [ "a" ,"b\\u00e9\\"" ] '],
            ["*", [1], {"a": 1}, "[", "[1]", '["a",]', '["a" "b"]', '["\\q"]', '["a\nb"]', '["a"] x'],
        ),
        ("cudagraph-capture-sizes", [[1, 2, "4"], 8], [["one"], "one"]),
        ("middleware", [["a.b", "c.d"], "a.b"], [1, [1]]),
        ("collect-detailed-traces", [["all"], None], ["all", ["some"]]),
        ("device-ids", ["0,1", 0], [[0, 1]]),
    ],
)
def test_a_flag_takes_what_vllm_reads_and_nothing_else(flag: str, right: list[Any], wrong: list[Any]) -> None:
    schema = jsonschema.Draft7Validator(generator.flags_schema(DUMP, NOTES)["properties"][flag])
    assert [value for value in right if not schema.is_valid(value)] == []
    assert [value for value in wrong if schema.is_valid(value)] == []


def test_the_generator_stops_at_a_type_that_it_does_not_know() -> None:
    entry = {"flags": ["--new"], "action": "_StoreAction", "nargs": None, "type": "complex", "choices": None}
    with pytest.raises(ValueError, match="--new is read by complex"):
        generator.flag_value(entry, json_list=False)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Random seed. Use it well.", "Random seed."),
        ("Types, e.g. int, or others (see A.B). More.", "Types, e.g. int, or others (see A.B)."),
        ("API docs: https://a.example/b The seed.", "The seed."),
        ("The type of it: - `a` is one", "The type of it"),
    ],
)
def test_a_description_is_the_first_sentence_of_the_help(text: str, sentence: str) -> None:
    assert generator.summary(text) == sentence


#: A value of each type that a flag takes, as `--set` and as a file give it; `--set` makes a text of a fraction.
GIVEN: dict[str, tuple[str, Any]] = {
    "max-num-seqs": ("8", 8),
    "max-num-batched-tokens": ("1048576", 1048576),
    "seed": ("9007199254740991", 9007199254740991),
    "gpu-memory-utilization": ("0.85", 0.85),
    "max-model-len": ("32k", "32k"),
    "enforce-eager": ("true", True),
    "enable-prefix-caching": ("false", False),
    "disable-log-stats": ("null", None),
    "dtype": ("bfloat16", "bfloat16"),
    "cudagraph-capture-sizes": ("{1,2,1048576}", [1, 2, 1048576]),
    "middleware": ("{a.b,c.d}", ["a.b", "c.d"]),
    "allowed-origins": ("{https://a.example}", ["https://a.example"]),
    "device-ids": (r"0\,1", "0,1"),
}


@pytest.mark.every_helm
def test_a_flag_that_set_gives_renders_like_one_of_a_file() -> None:
    words = [word for name, (text, _) in GIVEN.items() for word in ("--set", f"engine.args.{name}={text}")]
    words += ["--set", "engine.args.speculative-config.num_speculative_tokens=1048576"]
    words += ["--set", "engine.args.speculative-config.disable_padded_drafter_batch=true"]
    args = {name: value for name, (_, value) in GIVEN.items()}
    args["speculative-config"] = {"num_speculative_tokens": 1048576, "disable_padded_drafter_batch": True}
    below = {"engine": {"args": {"disable-log-stats": True}}}  # which null takes away
    assert helm.render(below, options=words).text == helm.render({"engine": {"args": args}}).text
