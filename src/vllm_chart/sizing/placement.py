"""How a model fits GPUs: parallel sizes, memory on each GPU, and the smallest number of GPUs that suffices."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from vllm_chart import accelerators
from vllm_chart.errors import InputError
from vllm_chart.sizing.model_memory import GIB, Model

#: vLLM's own share of a GPU's memory, and the most that is proposed.
UTILIZATION, MOST_UTILIZATION = 0.92, 0.95
#: Devices of the usual node, and how many of them are tried for a server where no number is asked for.
NODE_GPUS = 8
COUNTS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU; memory in bytes."""

    name: str
    memory: float
    type: str = "nvidia"
    label: str = ""


@dataclass(frozen=True)
class SizingRequest:
    """What is asked for; 0 leaves a number to the arithmetic."""

    gpus: int = 0
    context: int = 0
    concurrency: int = 8
    utilization: float = 0
    cache_bytes: int = 2
    node: int = NODE_GPUS


@dataclass(frozen=True)
class Fit:
    """How a model lies on GPUs, in bytes on each of them."""

    tensor: int
    pipeline: int
    nodes: int
    utilization: float
    usable: float
    weights: float
    runtime: float
    context: int
    request: float

    @property
    def gpus(self) -> int:
        """Devices of one server."""
        return self.tensor * self.pipeline

    @property
    def free(self) -> float:
        """What is left for the KV cache."""
        return self.usable - self.weights - self.runtime

    @property
    def requests(self) -> float:
        """Requests of the whole context that the KV cache holds."""
        return self.free / self.request if self.free > 0 and self.request else 0.0


def gpu(name: str) -> Gpu:
    """Return a GPU by its name, or by its memory; raises InputError where it is neither."""
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*Gi?B?", name, re.IGNORECASE):
        return Gpu(name, float(found.group(1)) * GIB)
    wanted = re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("nvidia")
    for own, kind in accelerators.gpus().items():
        if re.sub(r"[^a-z0-9]", "", own.lower()) in (wanted, f"{wanted}gb"):
            item = accelerators.known()[kind]
            entry = item.gpus[own]
            label = f"{item.label}: {entry['label']}" if "label" in entry else ""
            return Gpu(own, entry["memory"] * 1024**2, kind, label)
    names = ", ".join(accelerators.gpus())
    raise InputError(f"--gpu {name}: unknown GPU. Write one of {names}, or its memory, e.g. 48GiB.")


def split(model: Model, gpus: int, node: int = NODE_GPUS) -> tuple[int, int]:
    """Return tensor and pipeline sizes for so many GPUs: each layer over as many of a node's as its heads allow."""
    nodes = max(1, gpus // node)
    if gpus > node and gpus % node:
        return 0, 0
    each = gpus // nodes
    sizes = [size for size in model.tensor_sizes(each) if each % size == 0 and gpus // size <= model.layers]
    return (max(sizes), gpus // max(sizes)) if sizes else (0, 0)


def fit(model: Model, device: Gpu, gpus: int, context: int, *, wanted: SizingRequest, utilization: float) -> Fit | None:
    """Return how a model lies on so many GPUs; None where it can't be split so."""
    tensor, pipeline = split(model, gpus, wanted.node)
    if not tensor:
        return None
    return Fit(
        tensor=tensor,
        pipeline=pipeline,
        nodes=max(1, gpus // wanted.node),
        utilization=utilization,
        usable=device.memory * utilization,
        weights=model.weights / gpus,
        runtime=model.runtime(tensor),
        context=context,
        request=model.request(context, tensor, pipeline, wanted.cache_bytes),
    )


def longest(model: Model, device: Gpu, gpus: int, wanted: SizingRequest, utilization: float) -> int:
    """Return the longest context in whole thousands that fits the requested number of requests; 0 if none fits."""
    low, high = 0, (model.context or 1024 * 1024) // 1024
    while low < high:
        middle = (low + high + 1) // 2
        found = fit(model, device, gpus, middle * 1024, wanted=wanted, utilization=utilization)
        if found and found.requests >= wanted.concurrency:
            low = middle
        else:
            high = middle - 1
    return low * 1024


def plan(model: Model, device: Gpu, wanted: SizingRequest, name: str) -> Fit:
    """Return the smallest way in which the request fits; raises InputError that says what would where none does."""
    if wanted.context and model.context and wanted.context > model.context:
        raise InputError(
            f"--context-length {wanted.context}: longer than {name} supports. Write at most {model.context}."
        )
    shares = (wanted.utilization,) if wanted.utilization else (UTILIZATION, MOST_UTILIZATION)
    if wanted.gpus > wanted.node and wanted.gpus % wanted.node:
        less = wanted.gpus // wanted.node * wanted.node
        raise InputError(
            f"--gpus {wanted.gpus}: not a multiple of the {wanted.node} GPUs of a node. Write --gpus {less} or "
            f"--gpus {less + wanted.node}, or the GPUs of your nodes, e.g. --node-gpus 4."
        )
    counts = (wanted.gpus,) if wanted.gpus else tuple(count for count in COUNTS if count <= wanted.node)
    aim = wanted.context or min(model.context or 8192, 8192)
    for count in counts:
        for share in shares:
            found = fit(model, device, count, aim, wanted=wanted, utilization=share)
            if found is None or found.requests < wanted.concurrency:
                continue
            if not wanted.context:
                context = max(aim, longest(model, device, count, wanted, share))
                found = fit(model, device, count, context, wanted=wanted, utilization=share)
                assert found is not None, "the same number of GPUs as before"
            return found
    raise InputError(_refusal(model, device, wanted, name, aim=aim, count=counts[-1], share=shares[-1]))


def _refusal(model: Model, device: Gpu, wanted: SizingRequest, name: str, *, aim: int, count: int, share: float) -> str:
    """Return why a request does not fit, and what would."""
    most = fit(model, device, count, aim, wanted=wanted, utilization=share)
    if most is None:
        sizes = ", ".join(map(str, [size for size in range(1, 17) if split(model, size, wanted.node)[0]]))
        parts = f"{model.heads} heads and {model.layers} layers"
        return f"--gpus {count}: cannot share {name}. Its {parts} split over {sizes}."
    where = f"{count} × {device.name}"  # noqa: RUF001
    instead = []
    if most.free > 0:
        if context := longest(model, device, count, wanted, share):
            instead.append(f"--context-length {context}")
        if most.requests >= 1:
            instead.append(f"--concurrency {int(most.requests)}")
        if wanted.cache_bytes > 1:
            half = dataclasses.replace(wanted, cache_bytes=1)
            smaller = fit(model, device, count, aim, wanted=half, utilization=share)
            instead += ["--kv-cache-dtype fp8"] if smaller and smaller.requests >= wanted.concurrency else []
    for more in sorted({*COUNTS, *(wanted.node * nodes for nodes in (1, 2, 3, 4))}):
        larger = fit(model, device, more, aim, wanted=wanted, utilization=share) if more > count else None
        if larger and larger.requests >= wanted.concurrency:
            instead.append(f"--gpus {more}" + (f" on {larger.nodes} nodes" if larger.nodes > 1 else ""))
            break
    for other in accelerators.gpus():
        candidate = gpu(other)
        there = (
            fit(model, candidate, count, aim, wanted=wanted, utilization=share)
            if candidate.memory > device.memory
            else None
        )
        if there and there.requests >= wanted.concurrency:
            instead.append(f"--gpu {other}")
            break
    need = (
        f"the weights take {most.weights / GIB:.1f} GiB and the runtime {most.runtime / GIB:.1f} GiB "
        f"of {most.usable / GIB:.1f} GiB on each"
        if most.free <= 0
        else f"the KV cache needs {most.request * wanted.concurrency / GIB:.1f} GiB on each, and "
        f"{most.free / GIB:.1f} GiB are left beside weights and runtime"
    )
    asked = f"{name} with {wanted.concurrency} requests of {aim} tokens"
    return (
        f"{where}: cannot hold {asked}, as {need}. {' or '.join(instead) or 'A smaller or quantized model'} would do."
    )
