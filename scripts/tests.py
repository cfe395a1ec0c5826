"""`make test` and `make e2e`: pytest with the project's own Helm, kubectl and cluster."""

from __future__ import annotations

import os
import sys

import pytest

from scripts import cluster, preload, tools
from scripts.common import CACHE, CHART, main


def run() -> None:
    """`scripts.tests e2e …` makes the cluster ready and runs tests/e2e; anything else goes to pytest as it is."""
    arguments = sys.argv[1:]
    tools.put_on_path("helm")
    os.environ["HARNESS_CACHE"] = str(CACHE / "renders")
    if arguments[:1] == ["e2e"]:
        preload.vllm()
        preload.model()
        os.environ |= {"KUBECONFIG": str(cluster.KUBECONFIG), "ATS_CHART_PATH": str(CHART)}
        arguments = ["tests/e2e", "--cluster-type=kind", *arguments[1:]]
    sys.exit(int(pytest.main(arguments)))


if __name__ == "__main__":
    main(run)
