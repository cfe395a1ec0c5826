"""`python -m scripts.vllm_metrics < metrics.txt`: writes down what /metrics of the chart's vLLM has.

Standard input is the answer of a server that has served a request, for example of `make demo`:
`curl http://127.0.0.1:PORT/metrics`. The tests hold rules, dashboard and triggers against what is written: names,
types, labels and bucket bounds, without values. Metrics of the Python process are left out: they vanish with several
API servers.
"""

from __future__ import annotations

import json
import sys

from scripts.common import ROOT, UserError, app_version, main

sys.path.insert(0, str(ROOT / "tests"))
from harness import promql


def run() -> None:
    """Write tests/harness/data/vllm-metrics-VERSION.json."""
    metrics = promql.parse_metrics(sys.stdin.read())
    if "vllm:num_requests_running" not in metrics:
        raise UserError("Standard input holds no metrics of vLLM: give it what /metrics of a running server answers.")
    kept = {
        name: {"type": metric.type, "labels": sorted(metric.labels)}
        | ({"bounds": list(metric.bounds)} if metric.bounds else {})
        for name, metric in sorted(metrics.items())
        if name.startswith(("vllm:", "http_")) and not name.endswith("_created")
    }
    target = promql.DATA / f"vllm-metrics-{app_version()}.json"
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in kept.items())
    target.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main(run)
