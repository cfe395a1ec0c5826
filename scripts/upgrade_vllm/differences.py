"""What is new in another version of vLLM, from the dumps of two parsers, and what that asks of the chart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.generate.schema import BY_TYPE
from vllm_chart.invariants.vllm_arguments import opposites

Dump = Mapping[str, Any]
Entry = dict[str, Any]

#: What is compared of a flag, with the word for it.
_PARTS = {"type": "type", "nargs": "number of values", "choices": "choices", "default": "default"}
#: Endings that vLLM's library adds to the names in the source.
_SUFFIX = re.compile(r"_(total|bucket|sum|count|created)$")


@dataclass(frozen=True)
class Changes:
    """What differs between two versions.

    Attributes:
        added, removed: flags by their own name without dashes, the latter with what files/data/flags.yaml says of each.
        returned: flags that files/data/flags.yaml calls removed and the new version has.
        changed: flag, part, before and after.
        twins: switches that can be written the other way round, too.
        guessed: flags whose type neither dump tells, so that it is taken for text.
        inherited: number of flags whose type only the old dump tells.
        metrics_added, metrics_removed: names in vLLM's source; None where a dump has none.
        lost_owned: flags that the chart sets and the new version does not have.
        lost_metrics: metrics that the chart reads and the new version's source does not name.
    """

    before: str
    after: str
    added: list[str]
    removed: dict[str, str]
    returned: list[str]
    changed: list[tuple[str, str, str, str]]
    twins: list[str]
    guessed: list[str]
    inherited: int
    metrics_added: list[str] | None
    metrics_removed: list[str] | None
    lost_owned: list[str]
    lost_metrics: list[str]

    @property
    def unwritten(self) -> list[str]:
        """Removed flags for which files/data/flags.yaml has no remedy."""
        return [name for name, remedy in self.removed.items() if not remedy]


def flags(dump: Dump) -> dict[str, Entry]:
    """Return the long flags of a dump by their own name without dashes; short forms and opposites are left out."""
    return {
        name.removeprefix("--"): entry
        for entry in dump["args"]
        for name in entry["flags"]
        if name.startswith("--") and name not in opposites(entry["flags"])
    }


def adopt(dump: Dump, old: Dump) -> tuple[dict[str, Any], int, list[str]]:
    """Return a dump as `make upgrade-vllm` writes it, how many types are the old one's, and flags of guessed type.

    A dump made by other means may have lost the types that vLLM wraps, and list spellings that help hides apart.
    """
    known, inherited, guessed = flags(old), 0, []
    accepted = set(dump.get("accepted_flags", ()))
    entries = []
    for entry in dump["args"]:
        names = list(entry["flags"])
        switch = entry["nargs"] == 0 and entry["action"] not in ("_HelpAction", "_StoreTrueAction")
        hidden = {f"--no-{name.removeprefix('--')}" for name in names if name.startswith("--")} & accepted
        names += sorted(hidden - set(names)) if switch else []
        kind, own = entry["type"], next((name for name in names if name.startswith("--")), "").removeprefix("--")
        if kind not in BY_TYPE:
            if own in known:
                kind = known[own]["type"]
                inherited += 1
            else:
                kind = "str"
                guessed += [own] if own else []  # not the model, which is no flag
        default = entry.get("default")
        default = None if default == "==SUPPRESS==" or (isinstance(default, str) and "(" in default) else default
        kept = {key: entry[key] for key in ("dest", "nargs", "choices")}
        action = "BooleanOptionalAction" if switch else entry["action"]
        text = " ".join((entry.get("help") or "").split())
        entries.append({"flags": names, **kept, "action": action, "type": kind, "default": default, "help": text})
    head = {key: dump[key] for key in ("vllm", "source", "allow_abbrev", "metrics") if key in dump}
    return {**head, "args": entries}, inherited, guessed


def compare(
    old: Dump, new: Dump, notes: Mapping[str, Any], read: Iterable[str], guessed: list[str], *, inherited: int = 0
) -> Changes:
    """Return what changed.

    Args:
        old: the dump of the version that the chart deploys.
        new: the dump of the other version.
        notes: the content of files/data/flags.yaml.
        read: names of vLLM's metrics that the chart reads.
        guessed: flags whose type is a guess, as `adopt` returned them.
        inherited: how many types are the old ones, as `adopt` returned it.
    """
    before, after = flags(old), flags(new)
    remedies = notes["removed"]
    changed = []
    for name in before.keys() & after.keys():
        for part, word in _PARTS.items():
            one, other = before[name].get(part), after[name].get(part)
            if one != other and part in before[name] and part in after[name]:
                changed.append((name, word, *_difference(one, other)))
    sources = ("metrics" in old and "metrics" in new) or None
    named = {_base(name) for name in new.get("metrics", ())}
    return Changes(
        before=str(old["vllm"]),
        after=str(new["vllm"]),
        added=sorted(after.keys() - before.keys()),
        removed={name: remedies.get(name, "") for name in sorted(before.keys() - after.keys())},
        returned=sorted(remedies.keys() & (after.keys() | {name.removeprefix("--") for name in _twins(new)})),
        changed=sorted(changed),
        twins=sorted(_twins(new) - _twins(old)),
        guessed=guessed,
        inherited=inherited,
        metrics_added=sources and sorted(set(new["metrics"]) - set(old["metrics"])),
        metrics_removed=sources and sorted(set(old["metrics"]) - set(new["metrics"])),
        lost_owned=sorted(notes["owned"].keys() - after.keys()),
        lost_metrics=sorted(name for name in read if _base(name) not in named) if named else [],
    )


def _base(name: str) -> str:
    return _SUFFIX.sub("", name)


def _twins(dump: Dump) -> set[str]:
    return {name for entry in dump["args"] for name in opposites(entry["flags"]) if not name.startswith("--no-")}


def _difference(one: Any, other: Any) -> tuple[str, str]:
    """Return two values as texts, of lists and maps only what differs."""
    if isinstance(one, list) and isinstance(other, list):
        return (
            ", ".join(str(item) for item in one if item not in other) or "-",
            ", ".join(str(item) for item in other if item not in one) or "-",
        )
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
        return (
            ", ".join(f"{key} {one[key]}" for key in keys if key in one) or "-",
            ", ".join(f"{key} {other[key]}" for key in keys if key in other) or "-",
        )
    return _short(one), _short(other)


def _short(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def report(changes: Changes, more: Iterable[str] = ()) -> Iterator[str]:
    """The lines of the report, as Markdown; `more` is to be done by hand, too."""
    yield f"# vLLM {changes.before} to {changes.after}"
    yield "\n## To do by hand"
    todo = [*_todo(changes), *more]
    yield from (f"- {line}" for line in todo or ["nothing"])
    yield f"\n## Flags: {len(changes.added)} added, {len(changes.removed)} removed, {len(changes.changed)} changed"
    yield from (f"- added `{name}`" for name in changes.added)
    for name, remedy in changes.removed.items():
        yield f"- removed `{name}`: {remedy or 'no remedy is written yet'}"
    for name, part, one, other in changes.changed:
        yield f"- changed `{name}`, {part}: {one} → {other}"
    if changes.twins:
        yield f"- {len(changes.twins)} switches have an opposite now, which the schema refuses with the switch to write"
    if changes.inherited:
        yield f"- the types of {changes.inherited} flags are those of {changes.before}, as the dump does not tell them"
    if changes.metrics_added is None:
        yield "\n## Metrics: not compared, as a dump does not list those in vLLM's source"
        return
    added, removed = changes.metrics_added, changes.metrics_removed or []
    yield f"\n## Metrics in vLLM's source: {len(added)} added, {len(removed)} removed"
    yield from (f"- added `{name}`" for name in added)
    yield from (f"- removed `{name}`" for name in removed)


def _todo(changes: Changes) -> Iterator[str]:
    for name in changes.unwritten:
        yield f"`{name}` is gone: write in charts/vllm/files/data/flags.yaml, under `removed`, what replaces it"
    for name in changes.returned:
        yield (
            f"`{name}` is a flag again, and is no longer in flags.yaml under `removed`: "
            "update what `migrate` makes of it in tests/commands/manifests"
        )
    for name in changes.lost_owned:
        yield f"the chart sets `{name}`, which is gone: change templates/workload/_args.tpl, and `owned` in flags.yaml"
    for name in changes.lost_metrics:
        yield f"the chart reads the metric `{name}`, which vLLM's source does not name: change what reads it"
    for name in changes.guessed:
        yield f"the dump does not tell the type of `{name}`, which is new: it is taken for text, so look at vLLM's help"
