"""Generates charts/vllm/files/data/dashboard.json, Grafana's form of the description below.

The chart puts the release's name into title, uid and variables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vllm_chart.chart import DATA

TARGET = DATA / "dashboard.json"

#: Size of a panel in Grafana's grid, which is 24 wide.
WIDTH, HEIGHT, GRID = 8, 7, 24

#: What picks the pods that the reader chose, and the series of vLLM that also carry a model.
PODS = 'namespace="$namespace",pod=~"$pod"'
MODEL = f'{PODS},model_name=~"$model"'
#: What picks the GPUs of the pods, and of the workers of a group that has one of the pods as its leader.
GPUS = 'namespace="$namespace",pod=~"($pod)(-[0-9]+)?"'
RATE = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One panel: its title, Grafana's unit, queries with their legends, and what a reader should know."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    note: str = ""
    stacked: bool = False


def panel(title: str, unit: str, *queries: tuple[str, str], note: str = "", stacked: bool = False) -> Panel:
    """Return a panel."""
    return Panel(title, unit, queries, note, stacked)


def share(status: str) -> str:
    """Return a query for the share of requests with such a status, 0 where servers are scraped and none has it."""
    requests, failed = (
        f"sum(rate(http_requests_total{{{PODS}{more}}}[{RATE}]))" for more in ("", f',status="{status}"')
    )
    return f"{failed} / {requests} > 0 or 0 * sum(up{{{PODS}}} == 1)"


def of_workload(deployment: str, group: str) -> str:
    """Return a query for one of two series of kube-state-metrics: a Deployment's, or that of the leaders of groups."""
    return (
        f'{deployment}{{namespace="$namespace",deployment="$release"}}'
        f' or {group}{{namespace="$namespace",statefulset="$release"}}'
    )


def percentiles(title: str, histogram: str, note: str = "") -> Panel:
    """Return a panel of three percentiles of one of vLLM's histograms of seconds."""
    queries = [
        (f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket{{{MODEL}}}[{RATE}])))", f"{share:.0%}")
        for share in (0.5, 0.95, 0.99)
    ]
    return panel(title, "s", *queries, note=note)


ROWS: dict[str, list[Panel]] = {
    "Traffic": [
        panel(
            "Requests by status",
            "reqps",
            (f"sum by (status) (rate(http_requests_total{{{PODS}}}[{RATE}]))", "{{status}}"),
            stacked=True,
        ),
        panel(
            "Finished requests by reason",
            "reqps",
            (f"sum by (finished_reason) (rate(vllm:request_success_total{{{MODEL}}}[{RATE}]))", "{{finished_reason}}"),
            stacked=True,
        ),
        panel(
            "Tokens",
            "short",
            (f"sum(rate(vllm:prompt_tokens_total{{{MODEL}}}[{RATE}]))", "prompt, per second"),
            (f"sum(rate(vllm:generation_tokens_total{{{MODEL}}}[{RATE}]))", "generated, per second"),
        ),
    ],
    "Latency": [
        percentiles("Time to first token", "vllm:time_to_first_token_seconds"),
        percentiles("Inter-token latency", "vllm:inter_token_latency_seconds"),
        percentiles("Whole request", "vllm:e2e_request_latency_seconds"),
        percentiles("Time in the queue", "vllm:request_queue_time_seconds", "Buckets begin at 0.3 s."),
        percentiles("Prefill", "vllm:request_prefill_time_seconds", "Buckets begin at 0.3 s."),
        percentiles("Decode", "vllm:request_decode_time_seconds", "Buckets begin at 0.3 s."),
    ],
    "Engine": [
        panel(
            "Queue and work",
            "short",
            (f"sum(vllm:num_requests_waiting{{{MODEL}}})", "waiting"),
            (f"sum(vllm:num_requests_running{{{MODEL}}})", "running"),
        ),
        panel(
            "KV cache in use",
            "percentunit",
            (f"max by (pod) (vllm:kv_cache_usage_perc{{{MODEL}}})", "{{pod}}"),
            note="Near 100 %, requests wait or are preempted.",
        ),
        panel(
            "Prefix cache hits",
            "percentunit",
            (
                f"sum(rate(vllm:prefix_cache_hits_total{{{MODEL}}}[{RATE}]))"
                f" / sum(rate(vllm:prefix_cache_queries_total{{{MODEL}}}[{RATE}]))",
                "tokens found in the cache",
            ),
        ),
        panel(
            "Preemptions",
            "ops",
            (f"sum by (pod) (rate(vllm:num_preemptions_total{{{MODEL}}}[{RATE}]))", "{{pod}}"),
        ),
        panel(
            "Engine steps",
            "ops",
            (f"sum by (pod) (rate(vllm:iteration_tokens_total_count{{{MODEL}}}[{RATE}]))", "{{pod}}"),
            note="0 while requests run: the engine stands still.",
        ),
        panel(
            "Tokens in a step",
            "short",
            (
                f"sum(rate(vllm:iteration_tokens_total_sum{{{MODEL}}}[{RATE}]))"
                f" / sum(rate(vllm:iteration_tokens_total_count{{{MODEL}}}[{RATE}]))",
                "mean",
            ),
        ),
    ],
    "Errors": [
        panel(
            "Share of errors",
            "percentunit",
            (share("5xx"), "5xx"),
            (share("4xx"), "4xx"),
        ),
        panel(
            "Turned away by a queue limit",
            "reqps",
            (f"sum by (reason) (rate(vllm:admission_rejections_total{{{MODEL}}}[{RATE}]))", "{{reason}}"),
        ),
        panel(
            "Requests that ended in an error",
            "reqps",
            (
                f'sum by (pod) (rate(vllm:request_success_total{{{MODEL},finished_reason=~"error|abort"}}[{RATE}]))',
                "{{pod}}",
            ),
        ),
    ],
    "Servers": [
        panel(
            "Replicas",
            "short",
            (f"count(up{{{PODS}}} == 1)", "scraped"),
            (of_workload("kube_deployment_status_replicas_ready", "kube_statefulset_status_replicas_ready"), "ready"),
            (of_workload("kube_deployment_spec_replicas", "kube_statefulset_replicas"), "wanted"),
            note="Ready and wanted need kube-state-metrics.",
        ),
        panel(
            "Restarts",
            "short",
            (
                f'sum by (pod) (increase(kube_pod_container_status_restarts_total{{{PODS},container="vllm"}}[15m]))',
                "{{pod}}",
            ),
            note="Needs kube-state-metrics.",
        ),
        panel(
            "Queue of each server",
            "short",
            (f"sum by (pod) (vllm:num_requests_waiting{{{MODEL}}})", "{{pod}}"),
        ),
    ],
    "GPUs, by the DCGM exporter": [
        panel("GPU utilisation", "percent", (f"DCGM_FI_DEV_GPU_UTIL{{{GPUS}}}", "{{pod}} {{gpu}}")),
        panel(
            "GPU memory in use",
            "percentunit",
            (
                f"DCGM_FI_DEV_FB_USED{{{GPUS}}} / (DCGM_FI_DEV_FB_USED{{{GPUS}}} + DCGM_FI_DEV_FB_FREE{{{GPUS}}})",
                "{{pod}} {{gpu}}",
            ),
        ),
        panel(
            "Generated tokens per GPU",
            "short",
            (
                f"sum by (pod) (rate(vllm:generation_tokens_total{{{MODEL}}}[{RATE}]))"
                f' / on (pod) count by (pod) (label_replace(DCGM_FI_DEV_GPU_UTIL{{{GPUS}}}, "pod", "${{1}}", "pod",'
                ' "($pod)-[0-9]+"))',
                "{{pod}}, per second",
            ),
        ),
        panel("Power", "watt", (f"DCGM_FI_DEV_POWER_USAGE{{{GPUS}}}", "{{pod}} {{gpu}}")),
        panel("Temperature", "celsius", (f"DCGM_FI_DEV_GPU_TEMP{{{GPUS}}}", "{{pod}} {{gpu}}")),
        panel("XID of the last error", "none", (f"DCGM_FI_DEV_XID_ERRORS{{{GPUS}}}", "{{pod}} {{gpu}}")),
    ],
}

#: Names of a release's pods are its own with the hash of a ReplicaSet and five characters; of a name of more than 46
#: characters what is left of the hash and, without a dash, the five; of groups the number.
_POD = "-([a-z0-9]{1,10}-[a-z0-9]{5}|[a-z0-9]{9,15}|[0-9]+)"
_SOURCE = {"type": "prometheus", "uid": "$datasource"}


def _variable(name: str, selector: str, label: str, **more: Any) -> dict[str, Any]:
    query = f"label_values(vllm:num_requests_running{selector}, {label})"
    shape = {"name": name, "type": "query", "datasource": _SOURCE, "definition": query, "query": query}
    return shape | {"refresh": 2, "sort": 1} | more


# Settings of a variable that takes several values, and all of them by default.
_SEVERAL: dict[str, Any] = {"includeAll": True, "multi": True, "current": {"text": "All", "value": "$__all"}}

#: Variables in the order in which one narrows down the next.
VARIABLES: list[dict[str, Any]] = [
    {"name": "datasource", "type": "datasource", "query": "prometheus"},
    _variable("namespace", "", "namespace"),
    _variable("release", '{namespace="$namespace"}', "pod", regex=f"/^(.+?){_POD}$/"),
    _variable("pod", f'{{namespace="$namespace",pod=~"$release{_POD}"}}', "pod", **_SEVERAL),
    _variable("model", f"{{{PODS}}}", "model_name", **_SEVERAL),
]


def filled(query: str, chosen: Mapping[str, str]) -> str:
    """A query as Grafana sends it.

    Args:
        query: with variables.
        chosen: what is chosen for each; several as an alternative of a regular expression.
    """
    # at a scrape each 5 s; Grafana takes four intervals, or more where a pixel is wider
    for name, value in {"__rate_interval": "1m", **chosen}.items():
        query = query.replace(f"${name}", value)
    return query


def _grafana_panel(identifier: int, x: int, y: int, item: Panel) -> dict[str, Any]:
    custom = {"fillOpacity": 10, "showPoints": "never"}
    if item.stacked:
        custom |= {"stacking": {"mode": "normal"}}
    made = {
        "id": identifier,
        "type": "timeseries",
        "title": item.title,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": item.unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(item.queries)
        ],
    }
    return made | ({"description": item.note} if item.note else {})


def _panels() -> Iterator[dict[str, Any]]:
    """Rows and panels, from left to right and from top to bottom."""
    identifier, y = 0, 0
    for title, items in ROWS.items():
        identifier += 1
        position = {"x": 0, "y": y, "w": GRID, "h": 1}
        yield {"id": identifier, "type": "row", "title": title, "collapsed": False, "gridPos": position, "panels": []}
        y += 1
        for index, item in enumerate(items):
            identifier += 1
            row, column = divmod(index, GRID // WIDTH)
            yield _grafana_panel(identifier, column * WIDTH, y + row * HEIGHT, item)
        y += -(-len(items) // (GRID // WIDTH)) * HEIGHT


def files() -> dict[Path, str]:
    """Return the dashboard, with one line for each panel and variable."""
    dashboard: dict[str, Any] = {
        "title": "vLLM",
        "uid": "vllm",
        "tags": ["vllm"],
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": VARIABLES},
        "panels": list(_panels()),
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in dashboard.items() if key != "panels"]
    panels = ",\n".join(json.dumps(item, ensure_ascii=False) for item in dashboard["panels"])
    return {TARGET: "{\n" + ",\n".join(lines) + f',\n"panels": [\n{panels}\n]\n}}\n'}
