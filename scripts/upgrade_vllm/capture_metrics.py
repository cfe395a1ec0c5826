"""`python -m scripts.upgrade_vllm.capture_metrics < metrics.txt`: writes down what /metrics of the chart's vLLM has.

Standard input is the answer of a server that has served a request, for example of `make demo`:
`curl http://127.0.0.1:PORT/metrics`. The tests hold rules, dashboard and triggers against what is written: names,
types, labels and bucket bounds, without values. Metrics of the Python process are left out: they vanish with several
API servers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ci.common import ROOT
from vllm_chart.chart import DATA, app_version
from vllm_chart.entry_point import main
from vllm_chart.errors import InputError
from vllm_chart.invariants import promql


def kept(text: str) -> dict[str, dict[str, object]]:
    """Return what is written down of the text that /metrics answers; raises InputError where it is not vLLM's."""
    try:
        metrics = promql.parse_metrics(text)
    except (KeyError, ValueError):  # no metrics at all
        metrics = {}
    if "vllm:num_requests_running" not in metrics:
        raise InputError("That holds no metrics of vLLM: give what /metrics of a running server answers.")
    found: dict[str, dict[str, object]] = {}
    for name, metric in sorted(metrics.items()):
        if name.startswith(("vllm:", "http_")) and not name.endswith("_created"):
            found[name] = {"type": metric.type, "labels": sorted(metric.labels)}
            if metric.bounds:
                found[name]["bounds"] = list(metric.bounds)
    return found


def write(target: Path, metrics: dict[str, dict[str, object]]) -> None:
    """Write a capture with one metric on each line."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in metrics.items())
    target.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def run() -> None:
    """Write charts/vllm/files/data/vllm-metrics-VERSION.json."""
    target = DATA / f"vllm-metrics-{app_version()}.json"
    write(target, kept(sys.stdin.read()))
    print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main(run)
