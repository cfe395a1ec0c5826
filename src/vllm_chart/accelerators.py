"""Answers what the project knows about each value of `accelerator.type`, from files/data/accelerators.yaml."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vllm_chart.chart import DATA
from vllm_chart.render import go_yaml


@dataclass(frozen=True)
class Accelerator:
    """One value of `accelerator.type`; files/data/accelerators.yaml says what each field means."""

    resource: str
    repository: str
    tested: str
    quantization: tuple[str, ...] = ()
    image: str = ""
    label: str = ""
    docs: Mapping[str, str] = field(default_factory=dict)
    gpus: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@functools.cache
def known() -> dict[str, Accelerator]:
    """Every accelerator by its type."""
    found = go_yaml.load((DATA / "accelerators.yaml").read_text(encoding="utf-8"))
    return {name: Accelerator(**fields) for name, fields in found.items()}


def gpus() -> dict[str, str]:
    """The type of every GPU whose memory is known, by the GPU's name."""
    return {gpu: name for name, item in known().items() for gpu in item.gpus}


def of_resource(resource: str) -> str | None:
    """Return the type of an extended resource, such as nvidia.com/mig-3g.40gb, by its vendor; None if unknown."""
    vendors = {item.resource.partition("/")[0]: name for name, item in known().items() if item.resource}
    return vendors.get(resource.partition("/")[0])


def of_image(image: str) -> str | None:
    """Return the type that an image's name contains as a word; None if it names none."""
    words = re.split(r"[^a-z]+", image.lower())
    return next((name for name, item in known().items() if item.image and item.image in words), None)


def is_published(repository: str) -> bool:
    """Return whether vLLM publishes an image under this repository of docker.io."""
    return any(repository == item.repository for item in known().values())
