"""Checks the server's arguments against vLLM's own parser, as its dump in data/ describes it.

The real parser takes prefixes of flags, so that a typo may pass; here a flag must be spelt in full.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vllm_chart.chart import DATA
from vllm_chart.render.findings import Finding
from vllm_chart.render.objects import Container, Objects, containers

_NUMBERS = {
    "int": re.compile(r"-?\d+"),
    "float": re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"),
    "human_readable_int": re.compile(r"-?\d+|\d+[KMGT]|\d+(\.\d+)?[kmgt]"),
    "human_readable_int_or_auto": re.compile(r"auto|-?\d+|\d+[KMGT]|\d+(\.\d+)?[kmgt]"),
}
_JSON = frozenset(["loads", "parse_dataclass"])

#: What LeaderWorkerSet sets in each pod of a group, by an example.
_LEADER_WORKER_SET = {"LWS_LEADER_ADDRESS": "a-0.a-0.models", "LWS_GROUP_SIZE": "2", "LWS_WORKER_INDEX": "1"}


@dataclass(frozen=True)
class Flag:
    """What the parser says of one flag; `nargs` is argparse's: None for one value, 0 for a switch, "+" for several."""

    names: tuple[str, ...]
    action: str
    nargs: int | str | None
    type: str | None
    choices: tuple[Any, ...]


class Parser:
    """The flags of one version of `vllm serve`."""

    def __init__(self, dump: dict[str, Any]) -> None:
        self.version = str(dump["vllm"])
        self.flags = [
            Flag(tuple(entry["flags"]), entry["action"], entry["nargs"], entry["type"], tuple(entry["choices"] or ()))
            for entry in dump["args"]
            if entry["flags"]
        ]
        self._by_name = {name: flag for flag in self.flags for name in flag.names}

    def flag(self, name: str) -> Flag | None:
        """Return the flag of that full name with its dashes."""
        return self._by_name.get(name)

    def near(self, name: str) -> str:
        """Return the flag whose name is nearest to a misspelt one; empty where none is near."""
        return next(iter(difflib.get_close_matches(name, self._by_name, n=1, cutoff=0.75)), "")

    def problems(self, arguments: Sequence[str]) -> list[str]:
        """One sentence for each thing that the parser would not take, or would take another way than it reads."""
        if not arguments or arguments[0].startswith("-"):
            return ["the model must be the first argument"]
        return list(self._problems(list(arguments[1:])))

    def _problems(self, rest: list[str]) -> Iterator[str]:
        seen: set[Flag] = set()
        while rest:
            name, equals, value = rest.pop(0).partition("=")
            flag = self.flag(name)
            if flag is None:
                yield (
                    f"vLLM {self.version} has no flag {name}" if name.startswith("-") else f"{name} belongs to no flag"
                )
                continue
            if flag in seen and flag.action != "_AppendAction":
                yield f"{name} is given twice"
            seen.add(flag)
            values = [value] if equals else []
            if flag.nargs == 0:
                if equals:
                    yield f"{name} is a switch and takes no value"
                continue
            if not equals:
                while rest and not rest[0].startswith("--") and (flag.nargs is not None or not values):
                    values.append(rest.pop(0))
            if not values and flag.nargs != "?":
                yield f"{name} has no value"
            for item in values:
                yield from _value_problems(name, flag, item)


def _value_problems(name: str, flag: Flag, value: str) -> Iterator[str]:
    if flag.choices and value not in map(str, flag.choices):
        yield f"{name} does not take {value!r}, only {', '.join(map(str, flag.choices))}"
    pattern = _NUMBERS.get(flag.type or "")
    if pattern and not pattern.fullmatch(value):
        yield f"{name} takes a number, not {value!r}"
    if flag.type in _JSON:
        try:
            json.loads(value)
        except ValueError:
            yield f"{name} takes JSON, not {value!r}"


def opposites(names: Sequence[str]) -> set[str]:
    """Return the spellings of a switch that say the opposite of its first: --no-x, and --disable-x of --enable-x."""
    own = next((name for name in names if name.startswith("--") and not name.startswith("--no-")), "")
    twin = own.replace("--enable-", "--disable-", 1) if own.startswith("--enable-") else ""
    twin = twin or (own.replace("--disable-", "--enable-", 1) if own.startswith("--disable-") else "")
    return {name for name in names if name.startswith("--no-") or (twin and name == twin)}


@functools.cache
def parser(version: str) -> Parser:
    """Return the parser of a vLLM version such as 0.32.0; raises FileNotFoundError where it was never dumped."""
    return Parser(json.loads((DATA / f"vllm-serve-args-{version}.json").read_text(encoding="utf-8")))


def arguments(container: Container) -> list[str]:
    """Return the arguments as vLLM gets them: Kubernetes fills in $(NAME) from the container's environment.

    What stands in no manifest is filled in by an example.
    """
    known = dict(_LEADER_WORKER_SET)
    for variable in container.body.get("env", []):
        known[variable["name"]] = variable.get("value", "example")
    return [
        re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), argument)
        for argument in container.body["args"]
    ]


def findings(objects: Objects, version: str) -> list[Finding]:
    """Every argument of a vLLM server that this version would not take."""
    return [
        Finding(manifest, (*container.path, "args"), problem)
        for manifest in objects.workloads()
        for container in containers(manifest)
        if container.body["name"] == "vllm"
        for problem in parser(version).problems(arguments(container))
    ]
