"""`make test` and `make e2e`: pytest with the project's own Helm, kubectl and cluster."""

from __future__ import annotations

import os
import sys

import pytest

from scripts import cluster, preload, tools
from scripts.common import CACHE, CHART, main


def run() -> None:
    """`scripts.tests e2e/STAGE …` makes the cluster ready for that folder; anything else goes to pytest as it is."""
    arguments = sys.argv[1:]
    tools.put_on_path("helm")
    os.environ["HARNESS_CACHE"] = str(CACHE / "renders")
    if arguments and arguments[0].startswith("e2e/"):
        cluster.use(workers=2)
        preload.vllm()
        preload.model()
        os.environ |= {"KUBECONFIG": str(cluster.KUBECONFIG), "ATS_CHART_PATH": str(CHART)}
        arguments = [f"tests/{arguments[0]}", "--cluster-type=kind", *arguments[1:]]
    sys.exit(int(pytest.main(arguments)))


if __name__ == "__main__":
    main(run)
