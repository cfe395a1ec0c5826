"""Accelerators, CPU and memory of the server's container."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from vllm_chart import accelerators
from vllm_chart.errors import InputError
from vllm_chart.migrate.manifests import Server
from vllm_chart.migrate.part import Part


def accelerator_type(server: Server) -> str:
    """Return the accelerator.type of the server, by a device of a known vendor, else by the image."""
    devices = _devices(server)
    return accelerators.of_resource(_device(devices)) or _by_image(server, devices) or "nvidia"


def _device(devices: Mapping[str, Any]) -> str:
    """Return the resource that the chart derives: the first of a known vendor, else the first, or empty."""
    return next((name for name in devices if accelerators.of_resource(name)), next(iter(devices), ""))


def _by_image(server: Server, devices: Mapping[str, Any]) -> str | None:
    found = accelerators.of_image(str(server.container.get("image", "")))
    found = "cpu" if server.start.absent.get("device") == "cpu" else found
    return None if devices and found == "cpu" else found  # the chart requests no device for a CPU


def _devices(server: Server) -> Mapping[str, Any]:
    resources = server.container.get("resources") or {}
    asked = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    return {name: amount for name, amount in asked.items() if "/" in name and not name.startswith("hugepages")}


def accelerator(server: Server) -> Part:
    """Return what the container's devices become."""
    part, devices, kind = Part(), _devices(server), accelerator_type(server)
    name = _device(devices)
    if not devices and not _by_image(server, devices):
        part.note(
            "changed",
            "accelerator",
            "the manifest asks for no GPU and the chart for one: set accelerator.type to cpu if there is none",
        )
    if devices and not accelerators.of_resource(name):
        part.note(
            "todo",
            f"limits.{name}",
            f"unknown device, kept as accelerator.resourceName with the settings of type {kind}. Set "
            f"accelerator.type ({', '.join(accelerators.known())}) or, for another device, image and podSpec",
        )
    if kind != "nvidia":
        part.put("accelerator", "type", kind)
    if name and name != accelerators.known()[kind].resource:
        part.put("accelerator", "resourceName", name)
    for other in [device for device in devices if device != name]:
        part.note("lost", f"limits.{other}", "one kind of device is derived: write the other in podSpec.containers")
    asked = str(devices.get(name, 1))
    if not re.fullmatch(r"\d+(\.0+)?", asked):
        raise InputError(f"{name} of container {server.container['name']} is {asked}: write a whole number.")
    needed = math.prod(server.start.flags.get(f"{size}-parallel-size", 1) for size in ("tensor", "pipeline", "data"))
    count = int(float(asked))
    if devices and count != needed:
        part.put("accelerator", "perPod", count)
        part.note(
            "changed",
            f"limits.{name}",
            f"{count} are asked for and vLLM uses {needed}: set parallelism.tensor instead of perPod",
        )
    elif devices:
        part.notes["chart"].append(f"{name}: the number follows from parallelism")
    part.explained[f"requests.{name}"] = "a device's request is its limit"
    return part


def cpu_and_memory(server: Server) -> Part:
    """Return what the container's other resources become."""
    part, resources = Part(), server.container.get("resources") or {}
    for kind in ("requests", "limits"):
        amounts = {name: amount for name, amount in (resources.get(kind) or {}).items() if "/" not in name}
        if amounts:
            part.put("resources", kind, amounts)
    if not (resources.get("limits") or resources.get("requests")):
        part.note("todo", "resources", "the manifest asks for no CPU and memory: set resources")
    return part
