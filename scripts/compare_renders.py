"""Compares what the chart of another commit renders with what the chart of this checkout renders.

Each values file in values/ and tests/render/values/ is rendered offline with both charts, and the objects are compared
after parsing: comments and the order of objects and keys do not count, everything else does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import tools
from ci.common import ROOT
from scripts.last_release import unpacked
from scripts.value_sets import ValueSet, value_sets
from vllm_chart.chart import CHART
from vllm_chart.entry_point import main
from vllm_chart.errors import InputError, UserError
from vllm_chart.process import run as git
from vllm_chart.render import helm
from vllm_chart.render.helm import HelmError
from vllm_chart.render.objects import Manifest

#: Stands for an object, a key or an item that only one side has.
ABSENT = "(absent)"

#: An annotation of pods that follows the programs. Its other source, settings.json, is compared where it stands.
CHECKSUM = "checksum/lifecycle"


@dataclass(frozen=True)
class Difference:
    """A part of a render that differs.

    Attributes:
        object: kind and name, e.g. `Service/test`.
        path: the place in the object, e.g. `spec.ports[0].port`; empty for the whole.
        before: the part as the other commit's chart renders it, as text.
        after: the part as this checkout's chart renders it, as text.
    """

    object: str
    path: str
    before: str
    after: str

    def __str__(self) -> str:
        place = f"{self.object} {self.path}" if self.path else self.object
        return f"{place}: {_short(self.before)} → {_short(self.after)}"


def _short(text: str, length: int = 80) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def compare(values: ValueSet, before: Path, after: Path, *, ignore_programs: bool = False) -> list[Difference]:
    """Return what differs between the renders of two charts.

    Args:
        values: the values file.
        before: folder of the one chart.
        after: folder of the other.
        ignore_programs: compare the names of the charts' Python programs instead of their texts.
    """
    one, other = (_render(values, chart, ignore_programs) for chart in (before, after))
    names = [*one, *(name for name in other if name not in one)]
    return [
        Difference(name, path, *map(_text, sides))
        for name in names
        for path, *sides in differences(one.get(name, ABSENT), other.get(name, ABSENT))
    ]


def _text(value: Any) -> str:
    return ABSENT if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _render(values: ValueSet, chart: Path, ignore_programs: bool) -> dict[str, Any]:
    """Objects by kind and name; where the chart rejects the values, its message stands for them."""
    try:
        objects = helm.render(values.path, chart=chart).objects
    except HelmError as error:
        return {"rejected": error.text}
    programs = {}
    if ignore_programs:
        programs = {path.read_text(encoding="utf-8"): path.name for path in (chart / "files").rglob("*.py")}
    found: dict[str, Any] = {}
    for manifest in objects:
        found[_name(manifest, found)] = _named(manifest.body, programs)
    return found


def _name(manifest: Manifest, taken: Mapping[str, Any]) -> str:
    """Kind and name, with a number where several objects share them."""
    number = sum(name.split(" ")[0] == str(manifest) for name in taken)
    return f"{manifest} #{number + 1}" if number else str(manifest)


def _named(value: Any, programs: Mapping[str, str]) -> Any:
    """A value in which a program's text is its name, and what follows from the texts is left out; all of it if none."""
    if not programs:
        return value
    if isinstance(value, dict):
        return {key: _named(item, programs) for key, item in value.items() if key != CHECKSUM}
    if isinstance(value, list):
        return [_named(item, programs) for item in value]
    return programs.get(value, value) if isinstance(value, str) else value


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Return the path of each innermost part that differs, with both sides; ABSENT where one has none."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            step = f".{key}" if path else str(key)
            yield from differences(before.get(key, ABSENT), after.get(key, ABSENT), f"{path}{step}")
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            one, other = (side[index] if index < len(side) else ABSENT for side in (before, after))
            yield from differences(one, other, f"{path}[{index}]")
    elif before != after or type(before) is not type(after):
        yield path, before, after


def base_chart(commit: str, checkout: Path = ROOT) -> Path:
    """Return the folder of the chart as it was at a commit; raises InputError where there is none."""
    if not commit:
        raise InputError("No commit to compare with. Name one, e.g. `make compare-renders BASE=main`.")
    found = git(["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"], cwd=checkout, check=False).strip()
    if not found:
        raise InputError(f"BASE: no commit {commit} in this checkout. Name a commit, a branch or a tag that it has.")
    return unpacked(found, checkout) / "charts" / "vllm"


def report(sets: Sequence[ValueSet], before: Path, after: Path, *, ignore_programs: bool = False) -> None:
    """Print a row for each values file, then each difference once; raises UserError if there is one."""
    found = {item.name: compare(item, before, after, ignore_programs=ignore_programs) for item in sets}
    width = max(map(len, found))
    where: dict[Difference, list[str]] = {}
    for name, parts in found.items():
        for part in parts:
            where.setdefault(part, []).append(name)
        objects = ", ".join(dict.fromkeys(part.object for part in parts))
        print(f"{name:{width}}  {f'{len(parts)} differences in {objects}' if parts else 'identical'}")
    for part, names in where.items():
        print(f"\n{part}\n  in {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}")
    if where:
        different = sum(map(bool, found.values()))
        raise UserError(f"{different} of {len(sets)} values files render differently.")


def run() -> None:
    """Compare as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="commit, branch or tag whose chart is compared with the one of this checkout")
    parser.add_argument(
        "--ignore-programs", action="store_true", help="compare the chart's Python programs by name only"
    )
    options = parser.parse_args()
    before = base_chart(options.base)
    tools.put_on_path("helm")
    report(value_sets(), before, CHART, ignore_programs=options.ignore_programs)


if __name__ == "__main__":
    main(run)
