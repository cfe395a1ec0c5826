"""`make test`, `make test-rules` and `make e2e`: pytest with the project's own Helm, kubectl and cluster."""

from __future__ import annotations

import os
import sys

import pytest

from scripts import cluster, preload, tools
from scripts.common import CACHE, CHART, main


def run() -> None:
    """Run pytest; `e2e/STAGE` as first argument makes the cluster ready for that folder, `rules` runs tests/rules."""
    arguments = sys.argv[1:]
    tools.put_on_path("helm")
    os.environ["HARNESS_CACHE"] = str(CACHE / "renders")
    if arguments and arguments[0].startswith("e2e/"):
        cluster.use(workers=2)
        preload.vllm()
        preload.model()
        os.environ |= {"KUBECONFIG": str(cluster.KUBECONFIG), "ATS_CHART_PATH": str(CHART)}
        arguments = [f"tests/{arguments[0]}", "--cluster-type=kind", *arguments[1:]]
    elif arguments[:1] == ["rules"]:
        tools.put_on_path("promtool")
        arguments = ["tests/rules", *arguments[1:]]
    sys.exit(int(pytest.main(arguments)))


if __name__ == "__main__":
    main(run)
