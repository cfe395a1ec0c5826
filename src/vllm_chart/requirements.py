"""What the commands need of the machine."""

from __future__ import annotations

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
