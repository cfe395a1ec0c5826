"""What the commands need of the machine."""

from __future__ import annotations

from pathlib import Path

import yaml

from vllm_chart.chart import CHART, DATA, app_version
from vllm_chart.errors import InputError
from vllm_chart.render import helm

_INSTALL = "Install Helm (https://helm.sh/docs/intro/install) and put it on PATH, or set the environment variable HELM."


def require_helm() -> None:
    """Raise InputError unless there is a Helm that is new enough for the chart."""
    try:
        program = helm.binary()
    except FileNotFoundError:
        raise InputError(f"helm: program not found. {_INSTALL}") from None
    try:
        version = helm.version()
    except (OSError, ValueError, helm.HelmError):
        raise InputError(f"{program}: does not answer like Helm. {_INSTALL}") from None
    if version[:2] < helm.OLDEST:
        oldest, found = (".".join(map(str, numbers)) for numbers in (helm.OLDEST, version))
        raise InputError(f"{program}: unsupported Helm version {found}. Update Helm to {oldest} or newer.")


def require_chart(chart: Path | None) -> Path:
    """Return the folder of a chart, ours without one; raises InputError if it has none, or one of another vLLM."""
    chart = chart or CHART
    if chart.is_file():
        raise InputError(f"{chart}: is a file. Unpack it with tar -xzf, and name the folder that has Chart.yaml.")
    try:
        version = app_version(chart)
    except FileNotFoundError:
        raise InputError(f"{chart}: no Chart.yaml. Name the chart's folder with --chart.") from None
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        raise InputError(f"{chart / 'Chart.yaml'}: no appVersion. Name the chart's folder with --chart.") from None
    known = sorted(path.stem.rpartition("-")[2] for path in DATA.glob("vllm-serve-args-*.json"))
    if version not in known:
        raise InputError(
            f"{chart}: unsupported vLLM version {version}. Supported: {', '.join(known)}. "
            "Install the vllm-chart of the chart's own version."
        )
    return chart
