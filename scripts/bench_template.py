"""`make bench-template`: CPU time of `helm template` with values/production.yaml, against a chart of `helm create`."""

from __future__ import annotations

import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ci import tools
from ci.common import ROOT
from vllm_chart.chart import CHART
from vllm_chart.command import main
from vllm_chart.progress import say

_PAIRS = 100


def bench() -> None:
    """Print, for each Helm, both times, their ratio and its interval."""
    pairs = int(sys.argv[1]) if sys.argv[1:] else _PAIRS
    say(f"{pairs} alternating pairs; load average {os.getloadavg()[0]:.1f}, which should be below 1")
    for program in filter(None, (tools.find("helm"), tools.oldest_helm(install=False))):
        with tempfile.TemporaryDirectory() as folder:
            _compare(program, Path(folder), pairs)


def _compare(program: Path, folder: Path, pairs: int) -> None:
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "KUBECONFIG": str(folder / "no-cluster")}
    version = subprocess.run(
        [program, "version", "--template={{.Version}}"], check=True, capture_output=True, text=True
    )
    subprocess.run([program, "create", folder / "base"], env=environment, check=True, capture_output=True)
    values = ROOT / "values" / "production.yaml"
    commands: list[list[str | Path]] = [
        [program, "template", "test", CHART, "--values", values],
        [program, "template", "test", folder / "base"],
    ]
    found = []
    for number in range(pairs + 1):
        turn = 1 if number % 2 else -1  # each is first in every other pair
        found.append([_cpu(command, environment) for command in commands[::turn]][::turn])
    del found[0]  # from then on the program and both charts are in memory
    ratios = sorted(ours / base for ours, base in found)
    ours, base = (statistics.median(times) * 1000 for times in zip(*found, strict=True))
    low, high = interval(ratios)
    quarter = len(ratios) // 4
    say(
        f"Helm {version.stdout}: values/production.yaml {ours:.0f} ms, helm create {base:.0f} ms, "
        f"ratio {statistics.median(ratios):.2f} (95 % of its median: {low:.2f} to {high:.2f}; "
        f"middle half of the pairs: {ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f})"
    )


def _cpu(command: Sequence[str | Path], environment: dict[str, str]) -> float:
    """Seconds of user and system time that a program takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def interval(ordered: Sequence[float]) -> tuple[float, float]:
    """Bounds between which the median lies with a probability of 95 %, by the ranks of the binomial distribution."""
    margin = math.ceil(0.98 * math.sqrt(len(ordered)))
    middle = len(ordered) // 2
    return ordered[max(0, middle - margin)], ordered[min(len(ordered) - 1, middle + margin)]


if __name__ == "__main__":
    main(bench)
