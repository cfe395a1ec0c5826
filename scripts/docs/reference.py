"""Pages of the documentation that are made of facts that stand elsewhere, so that none is written twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ci.common import ROOT
from scripts.docs import snippets
from scripts.generate import chart_readme as readme
from scripts.generate import sources
from scripts.generate.chart_readme import mark, table
from vllm_chart import accelerators
from vllm_chart.chart import DATA, app_version
from vllm_chart.render import go_yaml


def _cell(text: str) -> str:
    """A text as one line of a table, in which nothing is taken for markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def flags() -> str:
    """Every flag of vLLM's parser, with the key that replaces it where the chart sets it."""
    dump: dict[str, Any] = json.loads((DATA / f"vllm-serve-args-{app_version()}.json").read_text("utf-8"))
    owned, removed = readme.flags()["owned"], readme.flags()["removed"]
    rows = []
    for argument in dump["args"]:
        names = [flag.removeprefix("--") for flag in argument["flags"] if flag.startswith("--")]
        if not names or argument["dest"] == "help":
            continue
        name = names[0]
        what = mark(owned[name]) if name in owned else _cell(argument["help"] or "")
        kind = " or ".join(f"`{choice}`" for choice in (argument["choices"] or [])[:8]) or (argument["type"] or "")
        switch = argument["nargs"] == 0 or "Boolean" in argument["action"]
        rows.append((f"`{name}`", "switch" if switch else kind.replace("|", "\\|"), what))
    return f"""# vLLM's flags

`engine.args` takes each flag of vLLM {app_version()} by its own name. Where a key of the chart replaces a flag,
that is what stands behind it. Taken from vLLM's own parser by `make upgrade-vllm`.

{table(("flag", "takes", "meaning, or what to write instead"), sorted(rows))}

## Gone from vLLM

{table(("flag", "instead"), ((f"`{name}`", mark(text)) for name, text in removed.items()))}
"""


def checks() -> str:
    """Every check by its name."""
    return f"""# Checks

Checks validate combinations of values, on the pod as it will be installed. A message ends with the name of its check, by
which `checks.disabled` disables it:

```yaml
checks:
  disabled: {{serviceType: true}}
```

{table(("check", "ensures"), ((f"`{name}`", mark(text)) for name, text in sources.checks().items()))}
"""


def metrics() -> str:
    """Every metric that vLLM exposes and every series that the chart records."""
    captured: dict[str, Any] = json.loads((DATA / f"vllm-metrics-{app_version()}.json").read_text("utf-8"))
    rules: dict[str, Any] = go_yaml.load((DATA / "rules.yaml").read_text(encoding="utf-8"))
    exposed = (
        (f"`{name}`", metric["type"], ", ".join(f"`{label}`" for label in metric["labels"]))
        for name, metric in captured.items()
        if not name.endswith(("_created", "_count", "_sum"))
    )
    recorded = ((f"`{name}`", rule.get("needs", "")) for name, rule in rules["recorded"].items())
    return f"""# Metrics

## What vLLM exposes

Captured from `/metrics` of vLLM {app_version()}. A histogram is there as `_count` and `_sum`, too. A scrape adds
`namespace` and `pod`.

{table(("series", "type", "labels"), exposed)}

## What the chart records

With `metrics.rules.enabled`, each with the labels `namespace` and `release`. The objectives record the share of late ones
in each of their windows beside these ([how](../observability.md#recording-and-alert-rules)).

{table(("series", "needs"), recorded)}
"""


def alerts() -> str:
    """Every alert with its severity and its runbook."""
    rules: dict[str, Any] = go_yaml.load((DATA / "rules.yaml").read_text(encoding="utf-8"))
    rows = []
    for name, rule in rules["alerts"].items():
        runbook = f"[{name}](../runbooks.md#{name.lower()})"
        severity = rule.get("severity", "critical or warning, by the pace")
        rows.append((runbook, severity, str(rule.get("for", "")).replace("$deadlines", "the time of a start")))
    runbooks = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    listed = {row[0] for row in rows}
    for line in runbooks.splitlines():  # alerts of the objectives are made of one pattern
        name = line.removeprefix("## ")
        if line.startswith("## Vllm") and not any(name in row for row in listed):
            rows.append((f"[{name}](../runbooks.md#{name.lower()})", "critical or warning, by the pace", ""))
    return f"""# Alerts

Installed by `metrics.rules.enabled`. Each links to its runbook, and `make test-rules` proves that it fires when it must and
is silent when it must not.

{table(("alert", "severity", "after"), rows)}
"""


def documentation() -> str:
    """What each block of the documentation is held against, and every command with what a test does with it."""
    blocks = Counter(
        {"": "values, rendered and valid", "refused": "values, refused by the check that is named"}.get(
            snippet.mark, "objects of a cluster or a tool, valid by their project's definition"
        )
        for snippet in snippets.every_snippet()
        if snippet.language == "yaml" and snippet.mark != "untested:"
    )
    commands = sorted({(str(command), command.how) for command in snippets.every_command()})
    shown = [(str(s), "what a program prints") for s in snippets.every_snippet() if not s.language]
    reasons = shown + [(str(s), s.rest) for s in snippets.every_snippet() if s.mark == "untested:"]
    untested = table(("block", "reason"), reasons) if reasons else "None."
    return f"""# What holds the documentation

`make test` reads every page and holds each block against what it speaks of (`tests/docs`); `make test-all` asks Helm and
kubectl for each word of their commands (`tests/docs_programs`).

{table(("blocks of YAML", "number"), ((name, str(count)) for name, count in blocks.items()))}

## Commands

{table(("command", "what a test does with it"), ((f"`` {c[:160].replace('|', chr(92) + '|')} ``", how) for c, how in commands))}

## Blocks that nothing is held against

{untested}
"""


def gpus() -> str:
    """Every GPU that `vllm-chart size` knows."""
    rows = (
        (
            f"`{name}`",
            kind,
            f"{gpu['memory']:,} MiB",
            f"{gpu['sold']} GB",
            f"`{item.label}: {gpu['label']}`" if "label" in gpu else "",
        )
        for kind, item in accelerators.known().items()
        for name, gpu in item.gpus.items()
    )
    return f"""# GPUs

What `vllm-chart size` takes as `--gpu`; any other by its memory ([sizing](../sizing.md)). Drivers report less memory than
is sold, as error correction and firmware take a share.

{table(("name", "`accelerator.type`", "memory by the driver", "as sold", "node label"), rows)}
"""


def examples() -> str:
    """A list of the files in values/, each with its first sentence."""
    rows = []
    for path in sorted((ROOT / "values").glob("*.yaml")):
        sentence = path.read_text(encoding="utf-8").splitlines()[2].removeprefix("# ")
        rows.append((f"[{path.stem}]({path.stem}.md)", _cell(sentence)))
    return f"""# Examples

Each is a file in `values/` of the repository, rendered and checked by `make test`, and admitted by a real API server in
`make e2e`.

{table(("file", ""), rows)}
"""


def example(path: Path) -> str:
    """A values file, and the manifests that it makes."""
    manifests = (ROOT / "tests" / "snapshots" / path.name).read_text(encoding="utf-8")
    return f"""# {path.stem}

```yaml
{path.read_text(encoding="utf-8").rstrip()}
```

## What it makes

```yaml
{manifests.rstrip()}
```
"""
