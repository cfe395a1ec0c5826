"""`make chart-readme`: writes charts/vllm/README.md from the files that already say what each value means.

Order, defaults and sentences come from values.yaml, types and checks from values.schema.yaml, flags from
files/data/flags.yaml, and examples from values/. `--check` only tells whether the file is current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from ci.common import ROOT
from scripts.generate.files import generated
from vllm_chart import accelerators
from vllm_chart.chart import CHART, DATA
from vllm_chart.render import go_yaml
from vllm_chart.render.helm import OLDEST

TARGET = CHART / "README.md"
METADATA: dict[str, Any] = go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = go_yaml.load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))
FLAGS: dict[str, Any] = go_yaml.load((DATA / "flags.yaml").read_text(encoding="utf-8"))

#: Files in values/ that are shown whole, from the simplest on.
EXAMPLES = ("single-gpu", "multi-gpu", "production", "autoscaling", "cpu")

TEXT = """\
<!-- Written by `make generate`; change values.yaml, values.schema.yaml or files/data/flags.yaml instead. -->

# {name}

{description}.

Needs Kubernetes {kubernetes} or newer and Helm {helm} or newer. This version deploys vLLM {vllm}.

## Install

From a folder that holds the chart, with values of your own (see [Typical values](#typical-values)):

```sh
helm install llama ./{name} --namespace llm --create-namespace --values my-values.yaml
```

Helm then prints the commands that watch the start and send a first request. What is wrong with the values is said
before anything is installed, with what to write instead.

As a part of another chart, under its own name or an alias:

```yaml subchart
# Chart.yaml
dependencies:
  - name: {name}
    version: {version}
    repository: file://../{name}
    alias: chat
    condition: chat.enabled
---
# values.yaml
chat:
  enabled: true
  model:
    uri: hf://Qwen/Qwen3-8B
```

Then these values count, too:

{parent}

## Typical values

{examples}

## Values

A type in capitals is Kubernetes' own and written as in a manifest. `null` takes a default away. An editor completes
keys in a file whose first line is `# yaml-language-server: $schema={name}/editor.schema.json`.

{sections}

## vLLM's flags

`engine.args` takes each flag of vLLM {vllm} by its own name, and an editor completes them with vLLM's help. A misspelt
flag is refused. So is one that the chart sets:

{owned}

and one that vLLM no longer has:

{removed}

## Checks

What no single value can tell is checked across values, on the pod as it is installed. The message of a check says what
to change; `checks.disabled` switches one off by its name.

{checks}
"""


def build() -> str:
    """Return the text of the README."""
    parent = [(f"global.{name}", inner) for name, inner in SCHEMA["properties"]["global"]["properties"].items()]
    parent.append(("enabled", SCHEMA["properties"]["enabled"]))
    checks = SCHEMA["properties"]["checks"]["properties"]["disabled"]["properties"]
    minimum = re.search(r"\d+\.\d+", METADATA["kubeVersion"])
    assert minimum, "kubeVersion names a minor"
    return TEXT.format(
        name=METADATA["name"],
        version=METADATA["version"],
        description=METADATA["description"],
        vllm=METADATA["appVersion"],
        kubernetes=minimum[0],
        helm=".".join(map(str, OLDEST)),
        parent=table(("key", "type", "meaning"), ((f"`{k}`", kind(s), mark(s["description"])) for k, s in parent)),
        examples="\n\n".join(map(example, EXAMPLES)),
        sections="\n\n".join(sections()),
        owned=table(("flag", "instead"), ((f"`{name}`", mark(text)) for name, text in FLAGS["owned"].items())),
        removed=table(("flag", "instead"), ((f"`{name}`", mark(text)) for name, text in FLAGS["removed"].items())),
        checks=table(("check", "holds where"), ((f"`{name}`", mark(s["description"])) for name, s in checks.items())),
    )


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def example(name: str) -> str:
    """Return a file of values/ under its name, without the line for editors."""
    lines = (ROOT / "values" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    text = "\n".join(lines[2:])
    return f"### {name}\n\n```yaml\n{text}\n```"


def sections() -> Iterator[str]:
    """Each section of values.yaml as a heading and the table of its keys."""
    root = yaml.compose(VALUES, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "values.yaml is a map"
    keys = list(rows(root, go_yaml.load(VALUES), SCHEMA))
    starts = [
        (n, found[1]) for n, line in enumerate(VALUES.splitlines()) if (found := re.match(r"# -- (.+?) -+$", line))
    ]
    for (start, title), (end, _) in zip(starts, [*starts[1:], (sys.maxsize, "")], strict=True):
        inside = [row for number, row in keys if start < number < end]
        yield f"### {title}\n\n" + table(("key", "type", "default", "meaning"), inside)


def rows(
    node: yaml.MappingNode, values: dict[str, Any], schema: dict[str, Any], path: str = ""
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line number and cells of each key that a user sets, and of each group of keys that has a sentence of its own."""
    for key, value in node.value:
        if key.value.startswith("x-"):  # no key of a user's
            continue
        inner, default = resolve(schema["properties"][key.value]), values[key.value]
        number, name = key.start_mark.line, f"{path}{key.value}"
        meaning = comment_above(number)
        group = isinstance(value, yaml.MappingNode) and bool(value.value) and "properties" in inner
        if group and meaning:
            yield number, (f"`{name}`", "", "", mark(meaning))
        if group:
            yield from rows(value, default, inner, f"{name}.")
        else:
            yield number, (f"`{name}`", kind(inner), f"`{flow(default)}`", mark(meaning or inner["description"]))


def comment_above(number: int) -> str:
    """Return the comment that ends in the line above this one, as one line; empty without one."""
    found: list[str] = []
    for line in reversed(VALUES.splitlines()[:number]):
        if not line.lstrip().startswith("# ") or line.startswith("# -- "):
            break
        found.insert(0, line.lstrip()[2:])
    return " ".join(found)


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference leads to, or the schema itself."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = SCHEMA["definitions"][schema["$ref"].removeprefix("#/definitions/")]
    return found


def kind(schema: dict[str, Any]) -> str:
    """Return the type of a value in a few words."""
    schema = resolve(schema)
    given = schema.get("type", "object")
    if "$k8s" in schema:
        return f"`{schema['$k8s'].partition(' ')[0].rpartition('.')[2]}`"
    if "$accelerators" in schema:
        return _either([f"`{name}`" for name in accelerators.known()])
    if "enum" in schema:
        return _either([f"`{item}`" for item in schema["enum"]])
    if isinstance(given, list):
        return _either([kind({**schema, "type": name}) for name in given if name != "null"])
    if given == "array":
        return f"list of {kind(schema['items'])}"
    return _map(schema) if given == "object" else f"{given}{_range(schema)}"


def _map(schema: dict[str, Any]) -> str:
    if "$flags" in schema:
        return "map of flags"
    for inner in [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]:
        if isinstance(inner, dict) and "const" not in inner:
            return f"map of {kind(inner)}"
    keys = schema.get("properties", {})
    return f"`{{{', '.join(keys)}}}`" if 0 < len(keys) <= 3 else "map"


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _range(schema: dict[str, Any]) -> str:
    if "maximum" in schema:
        return f" ({schema['minimum']} to {schema['maximum']})"
    if "exclusiveMinimum" in schema:
        return f" (above {schema['exclusiveMinimum']})"
    return f" (at least {schema['minimum']})" if "minimum" in schema else ""


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=sys.maxsize, allow_unicode=True)
    return text.removesuffix("\n...\n").strip().replace("''", '""')


def mark(text: str) -> str:
    """Return a sentence in which keys of the chart and pieces of YAML are marked as code."""
    text = re.sub(r"\[?\{.*?\}+\]?", r"`\g<0>`", text)
    keys = "|".join(SCHEMA["properties"])
    return re.sub(rf"(?<![`\w./-])(?:{keys})(?:\.\w+)+", r"`\g<0>`", text)


if __name__ == "__main__":
    sys.exit(generated(TARGET, build, "make chart-readme"))
