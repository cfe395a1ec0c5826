"""Writes a values file for a model and GPUs: as data, and as the text and JSON that the command prints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vllm_chart import values_file
from vllm_chart.check import checker
from vllm_chart.check.checker import Problem
from vllm_chart.errors import InputError
from vllm_chart.invariants.registry import Subject
from vllm_chart.requirements import require_chart, require_helm
from vllm_chart.sizing import model_memory
from vllm_chart.sizing.model_memory import GIB, Model
from vllm_chart.sizing.placement import UTILIZATION, Fit, Gpu, SizingRequest, plan
from vllm_chart.values_file import Values

#: Bytes a second at which a first start may fetch weights, for its time budget.
_FETCH = 100e6


def count(option: str, text: str) -> int:
    """Return a number such as 32768, 32k or 8.03B, and 0 for an empty text; raises InputError if the text is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMbB]?)", text.strip()) if text else None
    if text and not found:
        raise InputError(f"{option} {text}: not a number. Write it as 32768, 32k or 8.03B.")
    if not found:
        return 0
    thousand = 1024 if option == "--context-length" else 1000
    scale = {"": 1, "k": thousand, "m": thousand**2, "b": thousand**3}[found.group(2).lower()]
    return int(float(found.group(1)) * scale)


def values(name: str, model: Model, device: Gpu, found: Fit, *, exposure: str, cache_bytes: int) -> Values:
    """Return the values by which the chart serves the model as it was planned."""
    made: Values = {}
    folder = Path(name).expanduser()
    uri = f"file://{folder.resolve()}" if folder.is_dir() else name if "://" in name else f"hf://{name}"
    values_file.put(made, ("model", "uri"), uri)
    for size in ("tensor", "pipeline", "nodes"):
        if getattr(found, size) > 1:
            values_file.put(made, ("parallelism", size), getattr(found, size))
    if device.type != "nvidia":
        values_file.put(made, ("accelerator", "type"), device.type)
    values_file.put(made, ("engine", "args", "max-model-len"), found.context)
    if found.utilization != UTILIZATION:
        values_file.put(made, ("engine", "args", "gpu-memory-utilization"), found.utilization)
    if cache_bytes == 1:
        values_file.put(made, ("engine", "args", "kv-cache-dtype"), "fp8")
    seconds = math.ceil(model.weights / _FETCH / 600) * 600
    if seconds > 1800:
        values_file.put(made, ("startup", "timeoutSeconds"), seconds)
    # a core and 16Gi for each worker beside those of the API: weights pass through host memory while they load
    each = found.gpus // found.nodes
    amounts = {"cpu": 2 + 2 * each, "memory": f"{16 * each}Gi"}
    values_file.put(made, ("resources",), {"requests": amounts, "limits": dict(amounts)})
    _expose(made, exposure)
    return made


def _expose(made: Values, exposure: str) -> None:
    kind, _, where = exposure.partition(":")
    if kind in ("", "cluster") and not where:
        return
    if kind == "ingress" and where:
        values_file.put(made, ("ingress",), {"enabled": True, "hosts": {where: {}}})
    elif kind == "gateway" and where:
        namespace, slash, gateway = where.rpartition("/")
        parent = {"name": gateway} | ({"namespace": namespace} if slash else {})
        values_file.put(made, ("httpRoute",), {"enabled": True, "parentRefs": [parent]})
    else:
        raise InputError(
            f"--exposure {exposure}: unknown. Write cluster, ingress:llm.example.com or gateway:NAMESPACE/NAME."
        )
    values_file.put(made, ("server", "apiKey", "keys", "main"), {"existingSecret": "vllm-api-key", "key": "key"})


def arithmetic(name: str, model: Model, device: Gpu, found: Fit, cache_bytes: int) -> Iterator[str]:
    """The lines that show how the numbers come about."""
    dtype = f"{model.weight_bits:g} bits" + (f" ({model.method})" if model.method else "")
    yield f"{name}: {model.parameters / 1e9:.2f} billion parameters, {model.layers} layers"
    weights = (
        "the checkpoint's tensors"
        if model.stored
        else f"{model.linear / 1e9:.2f}e9 at {dtype}, {model.other / 1e9:.2f}e9 at 16"
    )
    yield f"  {model.weights / GIB:8.2f} GiB  weights: {weights}"
    kinds = " + ".join(
        f"{item.layers} {item.kind}" + (f" of {item.window}" if item.window else "") for item in model.attention
    )
    if model.latent:
        each = f"{model.latent} values × {cache_bytes} bytes, on every GPU"  # noqa: RUF001
    else:
        each = f"2 × {math.ceil(model.kv_heads / found.tensor)} heads × {model.head_dim} × {cache_bytes} bytes"  # noqa: RUF001
    yield f"  {model.token(found.tensor, cache_bytes) / 1024:8.2f} KiB  KV cache of a token in a layer: {each}"
    pods = f", {found.gpus // found.nodes} in each of {found.nodes} pods" if found.nodes > 1 else ""
    yield f"on each of {found.gpus} × {device.name}: tensor {found.tensor} × pipeline {found.pipeline}{pods}"  # noqa: RUF001
    yield f"  {found.usable / GIB:8.2f} GiB  {device.memory / GIB:.2f} GiB × {found.utilization}, what vLLM takes"  # noqa: RUF001
    yield f"  {-found.weights / GIB:8.2f} GiB  weights / {found.gpus}"
    yield f"  {-found.runtime / GIB:8.2f} GiB  activations of {model_memory.BATCH_TOKENS} tokens, scores, graphs"
    yield f"  {found.free / GIB:8.2f} GiB  left for the KV cache"
    yield f"  {found.request / GIB:8.2f} GiB  of it for one request of {found.context} tokens ({kinds} layers)"
    yield f"  {found.requests:8.1f}      such requests at a time"


@dataclass(frozen=True)
class Sized:
    """A written values file, how the model fits, and why the chart rejects the values, if it does."""

    name: str
    model: Model
    gpu: Gpu
    fit: Fit
    cache_bytes: int
    file: Path
    chart: Path
    values: Values
    problems: Sequence[Problem]


def size(
    name: str,
    model: Model,
    device: Gpu,
    wanted: SizingRequest,
    *,
    exposure: str = "",
    target: Path,
    chart: Path | None = None,
) -> Sized:
    """Write a values file by which the chart serves a model on GPUs.

    Args:
        name: the model's, as a user writes it.
        model: what its memory depends on.
        device: the kind of GPU.
        wanted: the numbers that are asked for.
        exposure: from where it is reached: `cluster`, `ingress:HOST` or `gateway:NAMESPACE/NAME`.
        target: the values file.
        chart: the chart's folder, ours without one.

    Raises:
        InputError: if nothing fits, or the file cannot be written. Nothing is written then.
    """
    found = plan(model, device, wanted, name)
    made = values(name, model, device, found, exposure=exposure, cache_bytes=wanted.cache_bytes)
    chart = require_chart(chart)
    require_helm()
    comments: dict[str, list[str]] = {}
    if "server" in made:
        create = "kubectl create secret generic vllm-api-key --from-file=key=/dev/stdin"
        comments["server"] = [f"openssl rand -hex 32 | tr -d '\\n' | {create}"]
    if found.nodes > 1:
        comments["parallelism"] = [
            f"The cluster needs LeaderWorkerSet (docs/multi-node.md), and each of the {found.nodes} pods fetches the "
            "whole model for itself; a claim that is ReadWriteMany, as cache.model, holds it once."
        ]
    head = f"{name} on {found.gpus} × {device.name}; estimated, see docs/sizing.md."  # noqa: RUF001
    text = values_file.to_text(made, head, comments, target, chart)
    problems = checker.problems(Subject(made, (made,), chart))
    values_file.write(target, text)
    return Sized(name, model, device, found, wanted.cache_bytes, target, chart, made, problems)


def lines(done: Sized) -> Iterator[str]:
    """The result as a person reads it, with the arithmetic."""
    yield from arithmetic(done.name, done.model, done.gpu, done.fit, done.cache_bytes)
    if done.gpu.label:
        yield f"Nodes with this GPU carry the label {done.gpu.label} (nodeSelector)."
    yield from values_file.last_lines(done.file, done.problems, done.chart)


def document(done: Sized) -> dict[str, Any]:
    """The result as a program reads it; amounts of memory are bytes on each GPU."""
    fit = done.fit
    return {
        "file": str(done.file),
        "values": done.values,
        "model": {"name": done.name, "parameters": done.model.parameters, "weights": round(done.model.weights)},
        "gpu": {"name": done.gpu.name, "type": done.gpu.type, "memory": round(done.gpu.memory)},
        "fit": {
            "gpus": fit.gpus,
            "tensor": fit.tensor,
            "pipeline": fit.pipeline,
            "nodes": fit.nodes,
            "contextLength": fit.context,
            "concurrency": round(fit.requests, 1),
            "utilization": fit.utilization,
            "usable": round(fit.usable),
            "weights": round(fit.weights),
            "runtime": round(fit.runtime),
            "kvCache": round(fit.free),
            "kvCachePerRequest": round(fit.request),
        },
        "problems": list(map(str, done.problems)),
    }
