"""`make crds`: writes the schemas against which custom resources are checked."""

from __future__ import annotations

from pathlib import Path

from ci import go_programs
from ci.common import ROOT, VERSIONS
from ci.crds import SOURCES, Schema, definitions
from scripts.generate.schema import to_text
from vllm_chart.entry_point import main
from vllm_chart.invariants.custom_resources import FOLDER
from vllm_chart.progress import say, step

#: What the tests have no use for. `x-kubernetes-validations` are rules in CEL, which only an API server evaluates.
DROPPED = {"description", "format", "x-kubernetes-map-type", "x-kubernetes-validations"}

#: How gateway-api marks fields that its standard definitions leave out.
EXPERIMENTAL = "<gateway:experimental>"

HEADER = """\
# Schemas of custom resources

The `openAPIV3Schema` of each served version, without descriptions, formats, rules in CEL and the fields of
gateway-api's experimental channel. Written by `make crds`, which runs controller-gen {version} on these Go modules;
their licence, and so that of the files here, is Apache-2.0.

| kind | versions | Go module |
|---|---|---|
"""


def trimmed(node: Schema) -> Schema:
    """Return a schema without what is dropped, at any depth; a property may be called like a keyword."""
    kept = {key: value for key, value in node.items() if key not in DROPPED}
    if "properties" in kept:
        kept["properties"] = {
            name: trimmed(inner)
            for name, inner in kept["properties"].items()
            if EXPERIMENTAL not in inner.get("description", "")
        }
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = trimmed(kept[key])
    return kept


def files() -> dict[Path, str]:
    """Return the text of every file that belongs into the folder."""
    controller_gen = go_programs.CONTROLLER_GEN.build() / "controller-gen"
    texts, rows = {}, []
    for source in SOURCES:
        with step(f"Read {source.project} {source.version}", hint="1 to 3 min"):
            found = dict(definitions(source, controller_gen))
        for kind in source.kinds:
            spec = found[kind]["spec"]
            served = {
                f"{spec['group']}/{version['name']}": trimmed(version["schema"]["openAPIV3Schema"])
                for version in spec["versions"]
                if version["served"]
            }
            texts[FOLDER / f"{kind}.json"] = to_text(served) + "\n"
            rows.append(f"| {kind} | {', '.join(served)} | {source.module} v{source.version} |\n")
    header = HEADER.format(version=VERSIONS["custom-resources"]["controller-tools"])
    return {**texts, FOLDER / "README.md": header + "".join(sorted(rows))}


def write() -> None:
    """Write what changed, and delete what no source makes any more."""
    wanted = files()
    FOLDER.mkdir(exist_ok=True)
    for path in set(FOLDER.iterdir()) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    say(f"wrote {len(wanted)} files to {FOLDER.relative_to(ROOT)}")


if __name__ == "__main__":
    main(write)
