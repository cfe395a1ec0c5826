"""Writes charts/vllm/values.schema.json from values.schema.yaml, vLLM's flags and the chart's own knowledge of them.

`python -m scripts.schema` writes the file, `--check` only tells whether it is current.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import yaml

from scripts.common import CHART, ROOT, app_version

SOURCE = CHART / "values.schema.yaml"
TARGET = CHART / "values.schema.json"
FLAG_NOTES = CHART / "files" / "flags.yaml"
DATA = ROOT / "tests" / "harness" / "data"

Schema = dict[str, Any]

INTEGER = r"^-?\d+$"
NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
# vLLM reads 32k as 32000 and 32K as 32768.
HUMAN_INTEGER = r"^-?\d+(\.\d+)?[kKmMgGtT]?$"

#: The schema of a flag's value by the type in the parser; `--set` gives numbers like 0.9 as text, null omits a flag.
BY_TYPE: dict[str | None, Schema] = {
    "int": {"type": ["integer", "string", "null"], "pattern": INTEGER},
    "float": {"type": ["number", "string", "null"], "pattern": NUMBER},
    "human_readable_int": {"type": ["integer", "string", "null"], "pattern": HUMAN_INTEGER},
    "human_readable_int_or_auto": {
        "type": ["integer", "string", "null"],
        "pattern": f"^auto$|{HUMAN_INTEGER}",
    },
    "loads": {"type": ["object", "array", "string", "null"]},
    "parse_dataclass": {"type": ["object", "string", "null"]},
    "_parse_type": {"type": ["object", "string", "null"]},
    "union_dict_and_str": {"type": ["object", "string", "null"]},
}
#: The parser has lost the type: any value but a switch.
UNKNOWN_TYPE: Schema = {"type": ["string", "number", "object", "null"]}


def flag_value(argument: dict[str, Any], name: str) -> Schema:
    """Return the schema of one flag's value, from one entry of the parser's dump."""
    if argument["nargs"] == 0:
        return {"type": ["boolean", "null"]}
    if argument["choices"] and argument["nargs"] is None:
        return {"enum": [*argument["choices"], None]}
    if argument["nargs"] in ("+", "*"):
        item: Schema = (
            {"enum": argument["choices"]} if argument["choices"] else {"type": ["string", "number", "object"]}
        )
        return {"type": ["array", "string", "number", "object", "null"], "items": item}
    if argument["action"] == "_AppendAction":
        return {"type": ["array", "string", "null"], "items": {"type": "string"}}
    if argument["type"] == "_optional_type" and name.endswith("-config"):
        return {"type": ["object", "string", "null"]}
    return dict(BY_TYPE.get(argument["type"], UNKNOWN_TYPE))


def flags_schema(dump: dict[str, Any], notes: dict[str, Any]) -> Schema:
    """Return the schema of engine.args: every flag of the parser, and a message for every other name.

    Helm shows a user the text of `const` and of nothing else, so a refused name has its remedy as its only valid value.
    """
    properties: Schema = {}
    for argument in dump["args"]:
        if argument["action"] == "_HelpAction":
            continue
        for flag in argument["flags"]:
            name = flag.removeprefix("--")
            if name == flag or name.startswith("no-"):
                continue
            value = flag_value(argument, name)
            properties[name] = {"description": argument["help"], **value} if argument["help"] else value
    version = ".".join(dump["vllm"].split(".")[:2])
    refused = {name: f"(set by the chart: {remedy})" for name, remedy in notes["owned"].items()}
    for name, remedy in notes["removed"].items():
        if name in properties:
            raise ValueError(f"files/flags.yaml says that vLLM has no flag {name} any more, but it has")
        refused[name] = f"(no flag of vLLM any more: {remedy})"
    properties |= {name: {"const": message} for name, message in refused.items()}
    return {
        "type": "object",
        "properties": dict(sorted(properties.items())),
        "patternProperties": {
            "^[^.]*_": {"const": "(write flags with dashes, as in max-model-len)"},
            "^-": {"const": "(write flags without dashes in front, as in max-model-len)"},
            "^no-": {"const": '(write the flag without "no-" and the value false)'},
            r"\.": {"const": "(write the part before the dot as the flag and its value as a map)"},
        },
        "additionalProperties": {
            "const": f"(no such flag in vLLM {version}; check the spelling, or pass it in engine.extraArgs)"
        },
    }


def complete(node: Any, flags: Schema) -> Any:
    """Return the node with vLLM's flags filled in where $flags stands, and every object with properties closed."""
    if isinstance(node, list):
        return [complete(item, flags) for item in node]
    if not isinstance(node, dict):
        return node
    if "$flags" in node:
        return {key: value for key, value in node.items() if key != "$flags"} | flags
    node = {key: complete(value, flags) for key, value in node.items()}
    if "type" in node and "properties" in node:
        node.setdefault("additionalProperties", False)
    return node


def build() -> str:
    """Return the text of values.schema.json."""
    dump_path = DATA / f"vllm-serve-args-{app_version()}.json"
    dump = json.loads(dump_path.read_text(encoding="utf-8"))
    notes = yaml.safe_load(FLAG_NOTES.read_text(encoding="utf-8"))
    source = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Generated from values.schema.yaml by `python -m scripts.schema`.",
        "title": "Values of the chart vllm",
        **complete(source, flags_schema(dump, notes)),
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 where --check finds the file out of date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.schema", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail where the file is not current")
    options = parser.parse_args(arguments)
    text = build()
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    name = TARGET.relative_to(ROOT)
    if options.check:
        print(f"{name} is not what its sources give: run `python -m scripts.schema`", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
