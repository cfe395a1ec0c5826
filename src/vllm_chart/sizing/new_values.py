"""How a model fits GPUs, with the arithmetic, and a values file that says so."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vllm_chart import accelerators, values_file
from vllm_chart.errors import InputError
from vllm_chart.requirements import require_chart, require_helm
from vllm_chart.sizing import model_memory
from vllm_chart.sizing.model_memory import GIB, Model
from vllm_chart.values_file import Values

#: vLLM's own share of a GPU's memory, and the most that is proposed.
UTILIZATION, MOST_UTILIZATION = 0.92, 0.95
#: Devices of the usual node, and how many of them are tried for a server where no number is asked for.
NODE_GPUS = 8
COUNTS = (1, 2, 4, 8)
_HUB = "https://huggingface.co"
_SECONDS = 5
#: Bytes a second at which a first start may fetch weights, for its time budget.
_FETCH = 100e6


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
    """Return the smallest way in which the wanted fits; raises InputError that says what would where none does."""
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
    """Return why a wanted does not fit, and what would."""
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


# -- the model


def _get(url: str) -> bytes:
    """Return what the Hub answers; raises OSError."""
    headers = {"User-Agent": "vllm-chart"}
    if token := os.environ.get("HF_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_SECONDS) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def load(name: str, config: str = "", parameters: int = 0) -> Model:
    """Return a model by its name, folder or URI; raises InputError where nothing tells its shape."""
    folder = Path(config).expanduser() if config else Path(name).expanduser()
    if config and not folder.exists():
        raise InputError(f"{config}: no such file. Name the model's config.json with --config.")
    file = folder / "config.json" if folder.is_dir() else folder
    stored = 0
    if config or folder.is_dir():
        if not file.is_file():
            raise InputError(f"{folder}: no config.json. Name the model's config.json with --config.")
        raw, stored = _content(file), _stored(file.parent)
    else:
        raw, stored = _from_hub(name)
    try:
        content = json.loads(raw)
        if not isinstance(content, dict):
            raise ValueError
    except ValueError:
        raise InputError(f"{config or name}: the config is not a JSON map. Name another with --config.") from None
    model = model_memory.read(content, name, parameters or None)
    return dataclasses.replace(model, stored=stored) if stored and not parameters else model


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: {(error.strerror or str(error)).lower()}. Name a readable file with --config."
        ) from None


def _stored(folder: Path) -> int:
    """Bytes of the tensors in a folder, by the index or the files; 0 where there are none."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return _total(_content(index))
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _total(index: bytes) -> int:
    """Bytes that an index of tensors says they have; 0 where it says nothing of the kind."""
    try:
        return int(json.loads(index)["metadata"]["total_size"])
    except (ValueError, TypeError, KeyError):
        return 0


def _from_hub(name: str) -> tuple[bytes, int]:
    """Return the config and the bytes of the tensors of a model of Hugging Face, from its cache or over the network."""
    name = name.removeprefix("hf://")
    if "://" in name or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise InputError(f"{name}: not a model of Hugging Face. Name its config.json with --config.")
    cache = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    for file in sorted(cache.glob(f"models--{name.replace('/', '--')}/snapshots/*/config.json")):
        return _content(file), _stored(file.parent)
    try:
        config = _get(f"{_HUB}/{name}/resolve/main/config.json")
    except urllib.error.HTTPError as error:
        reasons = {
            401: "requires a token in HF_TOKEN, or does not exist",
            403: "requires its licence to be accepted",
            404: "has no config.json",
        }
        reason = reasons.get(error.code, f"answers {error.code}")
        raise InputError(f"{_HUB}/{name}: {reason}. Name its config.json with --config.") from None
    except (OSError, ValueError) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        raise InputError(f"{_HUB}: not reachable ({why}). Name the model's config.json with --config.") from None
    try:
        return config, _total(_get(f"{_HUB}/{name}/resolve/main/model.safetensors.index.json"))
    except OSError:
        return config, 0  # one file has no index


# -- what is asked for


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
    problems: list[str]


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
    problems = values_file.problems(made, chart)[1]
    values_file.write(target, text)
    return Sized(name, model, device, found, wanted.cache_bytes, target, chart, made, problems)


def lines(done: Sized) -> Iterator[str]:
    """The result as a person reads it, with the arithmetic."""
    yield from arithmetic(done.name, done.model, done.gpu, done.fit, done.cache_bytes)
    if done.gpu.label:
        yield f"Nodes with this GPU carry the label {done.gpu.label} (nodeSelector)."
    yield ""
    if done.problems:
        yield "The chart rejects the values. Correct these problems"
        yield from (f"  {problem}" for problem in done.problems)
        yield f"wrote {done.file}, which the chart rejects"
    else:
        yield values_file.next_step(done.file, done.chart)


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
        "problems": done.problems,
    }
