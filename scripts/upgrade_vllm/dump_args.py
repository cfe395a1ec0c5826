"""Writes what vLLM's parser says of the flags of `vllm serve`, and which metrics its source names.

It runs where vLLM is installed.

Usage: dump_args.py OUTPUT
"""

import argparse
import dataclasses
import functools
import importlib
import inspect
import json
import re
import sys
from pathlib import Path

output = Path(sys.argv[1])
# vLLM reads the texts beside its settings only for a command line that asks for help
sys.argv = ["vllm", "serve", "--help=all"]

import vllm
from vllm.utils.argparse_utils import FlexibleArgumentParser


def type_name(converter):
    """Return the name of the function that reads a value, without those that only wrap it; None where there is none."""
    while converter is not None:
        if isinstance(converter, functools.partial):
            converter = converter.func
        closure = inspect.getclosurevars(converter).nonlocals if inspect.isfunction(converter) else {}
        if "return_type" not in closure:
            return converter.__name__
        converter = closure["return_type"]
    return None


def default(value):
    """Return a default as JSON: of a group of settings those that are plain, of anything else nothing."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: default(getattr(value, field.name, None)) for field in dataclasses.fields(value)}
        return {name: inner for name, inner in fields.items() if inner is not None}
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float, bool)) for item in value):
        return list(value)
    plain = isinstance(value, (str, int, float, bool)) and value != "==SUPPRESS=="
    return getattr(value, "value", value) if plain else None


def metrics():
    """Return the names of metrics that stand in vLLM's source, as it gives them to its library."""
    found = set()
    for file in Path(vllm.__file__).parent.rglob("*.py"):
        found.update(re.findall(r"[\"'](vllm:[a-z0-9_]+)", file.read_text(encoding="utf-8")))
    return sorted(found)


def entry(action):
    """Return one flag as a map; its spellings that help does not show come last."""
    hidden = [name for name, other in parser._option_string_actions.items() if other is action]
    switch = isinstance(action, argparse.BooleanOptionalAction)
    return {
        "flags": list(dict.fromkeys([*action.option_strings, *hidden])),
        "dest": action.dest,
        "action": "BooleanOptionalAction" if switch else type(action).__name__,
        "nargs": action.nargs,
        "type": type_name(action.type),
        "choices": list(action.choices) if action.choices else None,
        "default": default(action.default),
        "help": " ".join((action.help or "").replace("%%", "%").split()),
    }


# where the parser is made, newest first
for module in ("vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args"):
    try:
        make_arg_parser = importlib.import_module(module).make_arg_parser
        break
    except ModuleNotFoundError:
        continue
parser = make_arg_parser(FlexibleArgumentParser())
head = {
    "vllm": vllm.__version__.partition("+")[0],
    "source": "the parser of `vllm serve`, by `make upgrade-vllm`",
    "allow_abbrev": parser.allow_abbrev,
    "metrics": metrics(),
}
lines = ",\n".join("  " + json.dumps(entry(action), ensure_ascii=False) for action in parser._actions)
output.write_text(json.dumps(head, indent=1)[:-2] + ',\n "args": [\n' + lines + "\n ]\n}\n", encoding="utf-8")
