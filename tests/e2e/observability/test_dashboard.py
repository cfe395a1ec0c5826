"""Every query of the dashboard that the release brought returns data, as Grafana would ask it."""

import json
import re
import time
from collections.abc import Callable, Collection
from typing import Any

import pytest

from ci.helm_release import HelmRelease
from ci.prometheus import Prometheus, Series
from scripts.docs import pictures
from scripts.generate.dashboard import filled
from tests.e2e.observability.conftest import await_none

Record = Callable[..., None]
#: Panels that read the DCGM exporter, which needs an NVIDIA GPU.
NEED_A_GPU = {
    "GPU utilisation",
    "GPU memory in use",
    "Generated tokens per GPU",
    "Power",
    "Temperature",
    "XID of the last error",
}


@pytest.fixture(scope="module")
def dashboard(watched: HelmRelease) -> dict[str, Any]:
    """What Grafana's sidecar would find."""
    selector = "--selector=grafana_dashboard=1"
    (found,) = [
        item
        for item in json.loads(watched.kubectl("get", "configmaps", selector, "--output=json"))["items"]
        if item["metadata"]["name"] == f"{watched.name}-dashboard"
    ]
    (text,) = found["data"].values()
    return dict(json.loads(text))


def _choices(prometheus: Prometheus, variable: dict[str, Any], chosen: dict[str, str]) -> list[str]:
    """What Grafana offers for a variable, when those before it are chosen."""
    asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
    assert asked, variable["query"]
    series = prometheus.ask("series", **{"match[]": filled(asked[1], chosen), "start": time.time() - 60})
    values = {item[asked[2]] for item in series}
    if pattern := variable.get("regex", "").strip("/"):
        values = {found[1] for value in values if (found := re.search(pattern, value))}
    return sorted(values)


@pytest.fixture(scope="module")
def chosen(dashboard: dict[str, Any], watched: HelmRelease, prometheus: Prometheus) -> dict[str, str]:
    """The dashboard's variables, as it opens: this release, all of its pods and models."""
    chosen: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        offered = _choices(prometheus, variable, chosen)
        if variable.get("includeAll"):
            chosen[variable["name"]] = f"({'|'.join(offered)})"
        else:
            assert variable["current"]["value"] in offered
            chosen[variable["name"]] = variable["current"]["value"]
    pods = "|".join(sorted(pod["metadata"]["name"] for pod in watched.pods()))
    assert chosen["pod"] == f"({pods})"
    return chosen


def test_every_panel_has_data_under_load(
    busy: HelmRelease, dashboard: dict[str, Any], chosen: dict[str, str], prometheus: Prometheus, record: Record
) -> None:
    assert busy.pods()
    panels = {panel["title"]: panel["targets"] for panel in dashboard["panels"] if panel["type"] != "row"}

    def answer(title: str) -> list[tuple[str, list[Series]]]:
        return [
            (target["legendFormat"], prometheus.query_range(filled(target["expr"], chosen), 600))
            for target in panels[title]
        ]

    def empty(titles: Collection[str]) -> set[str]:
        return {
            f"{title}: {legend}"
            for title in titles
            for legend, series in answer(title)
            if not any(item.has_data() for item in series)
        }

    await_none(lambda: empty(panels.keys() - NEED_A_GPU), "empty panels", seconds=240)
    # what needs a GPU is asked, too: an error would be raised
    assert {line.partition(":")[0] for line in empty(NEED_A_GPU)} == NEED_A_GPU
    pictures.keep({title: answer(title) for title in panels if title not in NEED_A_GPU})
    record("dashboard", panels=len(panels), without_data=sorted(NEED_A_GPU))
