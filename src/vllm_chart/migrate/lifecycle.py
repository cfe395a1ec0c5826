"""Probes, lifecycle hooks and the termination grace period of the server."""

from __future__ import annotations

import re

from vllm_chart.migrate.arguments import DEFAULT_DRAIN
from vllm_chart.migrate.manifests import Body, Server
from vllm_chart.migrate.part import Part

#: The chart's own drain.delaySeconds and startup.timeoutSeconds.
_DEFAULT_DELAY, _DEFAULT_STARTUP = 15, 1800
#: Grace period up to which the chart's own drain is at least as long.
_SHORT_GRACE = DEFAULT_DRAIN + 2 * _DEFAULT_DELAY


def lifecycle(server: Server) -> Part:
    """Return what probes, hooks and the grace period become."""
    part, container = Part(), server.container
    _probes(part, container)
    hooks = container.get("lifecycle") or {}
    if hook := hooks.get("postStart"):
        _warmup(part, _command(hook))
    delay = _DEFAULT_DELAY
    if hook := hooks.get("preStop"):
        pause = re.search(r"sleep\s+(\d+)", _command(hook))
        delay = max(int(pause.group(1)) if pause else int(hook.get("sleep", {}).get("seconds", 0)), _DEFAULT_DELAY)
        if delay > _DEFAULT_DELAY:
            part.put("drain", "delaySeconds", delay)
        part.note("chart", "preStop", f"a stopping server goes on for {delay} s, then finishes what is open (drain)")
    grace = server.pod.get("terminationGracePeriodSeconds")
    if grace and grace > _SHORT_GRACE and "shutdown-timeout" not in server.start.flags:
        part.put("drain", "timeoutSeconds", max(DEFAULT_DRAIN, grace - delay - 15))
    if grace:
        part.note("chart", "terminationGracePeriodSeconds", "follows from drain")
    return part


def _command(hook: Body) -> str:
    return " ".join(map(str, hook.get("exec", {}).get("command") or []))


def _probes(part: Part, container: Body) -> None:
    probes = [name for name in ("startupProbe", "readinessProbe", "livenessProbe") if name in container]
    if not probes:
        return
    budget = max(
        (
            probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
            for probe in (container[name] for name in probes if name != "readinessProbe")
        ),
        default=0,
    )
    if budget > _DEFAULT_STARTUP:
        part.put("startup", "timeoutSeconds", budget)
    part.note(
        "chart",
        ", ".join(probes),
        f"on /health, with {max(budget, _DEFAULT_STARTUP)} s to load the model (startup.timeoutSeconds); "
        f"yours gave up after {budget} s",
    )


def _warmup(part: Part, command: str) -> None:
    asked = re.search(r"https?://[^/\s'\"]+(/[^\s'\"]*)", command)
    if asked and not asked.group(1).startswith("/health"):
        part.put("warmup", "enabled", True)
        part.note(
            "changed",
            "postStart",
            f"warmup: the chart's own request before the server is ready, not {asked.group(1)} at a guessed time",
        )
    else:
        part.note("lost", "postStart", f"`{command}`: set warmup.enabled where it warms up, else write initContainers")
