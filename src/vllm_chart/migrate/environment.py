"""The environment variables of the server."""

from __future__ import annotations

import re

import yaml

from vllm_chart.migrate.manifests import Body, Server
from vllm_chart.migrate.part import Part, holds_secret
from vllm_chart.values_file import Values

_HF_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN")
#: Variables that the chart sets for its own folders and addresses.
_COMPUTED = {
    *("HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "VLLM_CACHE_ROOT", "VLLM_HOST_IP"),
    *("HF_HOME", "TRANSFORMERS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"),
}
#: Variables that vLLM no longer reads, with what to do instead.
_REMOVED = {
    "VLLM_USE_V1": "vLLM has one engine only, leave it out",
    "VLLM_RPC_TIMEOUT": "leave it out",
}
#: Beginnings of variables that programs read, not only the command.
_READ_BY_PROGRAMS = ("VLLM_", "HF_", "CUDA_", "NCCL_", "TORCH", "OMP_", "RAY_", "NVIDIA_", "PYTORCH_")


def environment(server: Server, carried: Values) -> Part:  # noqa: PLR0912 (one branch for each kind of variable)
    """Return what the container's and the shell's variables become.

    Args:
        server: the server.
        carried: the values that the model and the arguments became.
    """
    part = Part()
    given: dict[str, Body] = {name: {"value": text} for name, text in server.start.environment.items()}
    for name, item in {**given, **server.environment}.items():
        text = str(item.get("value") or "")
        subject = f"env {name}"
        if name in _HF_TOKENS:
            known = [values.get("model", {}) for values in (carried, part.values)]
            if carried["model"]["uri"].startswith("hf://") and not any("credentials" in values for values in known):
                part.put("model", "credentials", part.secret(f"{server.name}-hf-token", item))
                part.note("changed", subject, "model.credentials, which becomes HF_TOKEN")
            elif item.get("valueFrom"):
                part.put("engine", "env", name, {"valueFrom": item["valueFrom"]})
            else:
                part.note("lost", subject, "the model does not come from Hugging Face")
        elif name == "VLLM_API_KEY":
            if "apiKey" not in carried.get("server", {}):
                part.put("server", "apiKey", "keys", "main", part.secret(f"{server.name}-api-key", item))
            part.note("changed", subject, "server.apiKey.keys, which reaches vLLM in a file")
        elif name == "VLLM_LOGGING_LEVEL" and text.upper() in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
            if text.upper() != "INFO":
                part.put("logging", "level", text.upper())
            part.note("changed", subject, f"logging.level {text.upper()}")
        elif name in _COMPUTED:
            part.note("chart", subject, "folders, addresses and telemetry are the chart's")
        elif name == "VLLM_ATTENTION_BACKEND" and text:
            if "attention-backend" not in carried.get("engine", {}).get("args", {}):
                part.put("engine", "args", "attention-backend", text)
            part.note("changed", subject, "vLLM no longer reads it: engine.args.attention-backend")
        elif name in _REMOVED:
            part.note("lost", subject, f"vLLM no longer reads it: {_REMOVED[name]}")
        elif name in server.environment and _only_in_command(name, server, [carried, part.values]):
            part.note("chart", subject, "was only part of the command")
        elif item.get("valueFrom"):
            part.put("engine", "env", name, {"valueFrom": item["valueFrom"]})
        elif holds_secret(name, text):
            part.put("engine", "env", name, {"valueFrom": part.secret_variable(server.name, {**item, "name": name})})
            part.explained[subject] = "comes from a Secret"
        else:
            part.put("engine", "env", name, text)
    if origins := server.container.get("envFrom"):
        part.put("engine", "envFrom", origins)
    return part


def _only_in_command(name: str, server: Server, carried: list[Values]) -> bool:
    """Return whether a variable serves the command alone, e.g. MODEL in `vllm serve $MODEL`, and its value is known."""
    words = [*(server.container.get("command") or []), *(server.container.get("args") or [])]
    return (
        re.search(rf"\$[({{]?{name}\b", " ".join(map(str, words))) is not None
        and not name.startswith(_READ_BY_PROGRAMS)
        and f"$({name})" not in yaml.safe_dump(carried)  # a flag whose value is not known here names the variable
    )
