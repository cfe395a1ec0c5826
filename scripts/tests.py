"""`make test`, `make test-rules` and `make e2e`: pytest with the project's own Helm, kubectl and cluster."""

from __future__ import annotations

import os
import sys

import pytest

from scripts import cluster, preload, tools
from scripts.common import CACHE, CHART, main


def run() -> None:
    """Run pytest; `e2e` as first argument makes the cluster ready and runs tests/e2e, `rules` runs tests/rules."""
    arguments = sys.argv[1:]
    tools.put_on_path("helm")
    os.environ["HARNESS_CACHE"] = str(CACHE / "renders")
    if arguments[:1] == ["e2e"]:
        preload.vllm()
        preload.model()
        os.environ |= {"KUBECONFIG": str(cluster.KUBECONFIG), "ATS_CHART_PATH": str(CHART)}
        arguments = ["tests/e2e", "--cluster-type=kind", *arguments[1:]]
    elif arguments[:1] == ["rules"]:
        tools.put_on_path("promtool")
        arguments = ["tests/rules", *arguments[1:]]
    sys.exit(int(pytest.main(arguments)))


if __name__ == "__main__":
    main(run)
