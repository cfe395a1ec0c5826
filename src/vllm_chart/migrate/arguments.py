"""The arguments of vLLM: a key of the chart where there is one, else engine.args."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml

from vllm_chart.chart import DATA, app_version
from vllm_chart.errors import InputError
from vllm_chart.migrate import model, vllm_command
from vllm_chart.migrate.manifests import Body, Server, folder, mounted_text
from vllm_chart.migrate.part import SECRET, Part, merge
from vllm_chart.migrate.resources import accelerator_type
from vllm_chart.render import go_yaml

#: The chart's own drain.timeoutSeconds.
DEFAULT_DRAIN = 120

#: Flags whose numbers other values are computed from.
_NUMBERS = (
    *("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size"),
    *("api-server-count", "max-num-queued-reqs"),
)
#: What a task of older versions is called now.
_TASKS: dict[str, dict[str, str]] = {
    "generate": {"runner": "generate"},
    "embed": {"runner": "pooling", "convert": "embed"},
    "embedding": {"runner": "pooling", "convert": "embed"},
    "classify": {"runner": "pooling", "convert": "classify"},
    "score": {"runner": "pooling", "convert": "classify"},
    "reward": {"runner": "pooling"},
}


@functools.cache
def _flag_notes() -> dict[str, dict[str, str]]:
    notes: dict[str, dict[str, str]] = go_yaml.load((DATA / "flags.yaml").read_text(encoding="utf-8"))
    return notes


def with_config_file(objects: Sequence[Body], server: Server) -> tuple[Server, Part]:
    """Return the server with the flags of its --config file, if a ConfigMap among the manifests holds it."""
    part = Part()
    flags = {name: value for name, value in server.start.flags.items() if name != "config"}
    path = server.start.flags.get("config")
    found = mounted_text(str(path), objects, server) if path is not None else None
    start = dataclasses.replace(server.start, flags=flags)
    if found is not None:
        read = vllm_command.Start()
        vllm_command.read_flags(list(_words(found[0])), app_version(), read)
        start.flags, start.absent = read.flags | start.flags, read.absent | start.absent
        start.model = start.model or read.model
        part.mounts.add(folder(found[1]))
        part.note("changed", "--config", "the flags of the file stand in engine.args")
    elif path is not None:
        part.note(
            "lost", "--config", f"{path} isn't in a ConfigMap among the manifests: write its flags in engine.args"
        )
    for name in _NUMBERS:
        value = start.flags.get(name, 1)
        if not isinstance(value, int):
            raise InputError(f"--{name} is {value}, which is no number here: write the number in the manifest.")
    return dataclasses.replace(server, start=start), part


def _words(text: str) -> Iterator[str]:
    """The flags of a --config file as words of a command line."""
    for name, value in (go_yaml.load(text) or {}).items():
        flag = "--model" if name == "model" else f"--{name}"
        if value is True or value is False:
            yield flag if value else flag.replace("--", "--no-", 1)
            continue
        yield flag
        for item in value if isinstance(value, list) else [value]:
            yield item if isinstance(item, str) else yaml.safe_dump(item, default_flow_style=True).split("\n")[0]


def arguments(objects: Sequence[Body], server: Server) -> Part:
    """Return what the arguments become, but for those of the model and its names."""
    remarks = Part()
    for subject, text in server.start.remarks.items():
        remarks.note("changed", subject, text)
    flags = {name: value for name, value in server.start.flags.items() if name not in model.FLAGS}
    absent = server.start.absent
    known = [_flag(objects, server, name, value) for name, value in flags.items()]
    part = merge([remarks, *known, *(_absent_flag(server, name, value) for name, value in absent.items())])
    if absent:
        part.comment("engine", f"Flags that vLLM {app_version()} does not have were left out: {', '.join(absent)}.")
    return part


def _flag(objects: Sequence[Body], server: Server, name: str, value: Any) -> Part:
    """Return what a flag becomes that vLLM has."""
    part = Part()
    if name in OWNED:
        OWNED[name](part, server, name, value)
    elif name in _flag_notes()["owned"]:
        part.note("lost", f"--{name}", _flag_notes()["owned"][name])
    elif name == "disable-access-log-for-endpoints":
        part.note("chart", f"--{name}", "probes and scrapes are left out of the log")
    elif isinstance(value, str) and SECRET.search(value):
        part.note("lost", f"--{name}", "holds a secret in the open: give it in a Secret")
    elif name == "chat-template" and (found := mounted_text(str(value), objects, server)) is not None:
        file = str(value).rpartition("/")[2]
        part.put("engine", "files", file, found[0])
        part.put("engine", "args", name, f"/files/{file}")
        part.mounts.add(folder(found[1]))
        part.note("changed", f"--{name}", "the file stands in engine.files, and pods restart when it changes")
    else:
        part.put("engine", "args", name, value)
    return part


def _absent_flag(server: Server, name: str, value: Any) -> Part:
    """Return what a flag becomes that vLLM does not have: what replaced it, where that is plain."""
    part, remedy = Part(), _flag_notes()["removed"].get(name)
    if remedy is None:
        part.note("lost", f"--{name}", f"vLLM {app_version()} has no such flag")
    elif name == "max-concurrent-requests" and isinstance(value, int):
        part.put("server", "maxConcurrentRequests", value)
        part.note(
            "changed",
            f"--{name}",
            f"no flag of vLLM; server.maxConcurrentRequests is {value}, beyond which clients get 503",
        )
    elif name == "speculative-model":
        part.put("engine", "args", "speculative-config", "model", value)
        part.note("changed", f"--{name}", "stands in speculative-config")
    elif name == "num-speculative-tokens":
        part.put("engine", "args", "speculative-config", "num_speculative_tokens", value)
        part.note("changed", f"--{name}", "stands in speculative-config")
    elif name == "guided-decoding-backend":
        part.put("engine", "args", "structured-outputs-config", {"backend": value})
        part.note("changed", f"--{name}", "stands in structured-outputs-config")
    elif name == "task" and value in _TASKS:
        words = _TASKS[str(value)]
        for flag, word in words.items():
            part.put("engine", "args", flag, word)
        part.note("changed", f"--{name}", " and ".join(f"{flag} {word}" for flag, word in words.items()))
    elif name == "device":
        part.note("changed", f"--{name}", f"accelerator.type {accelerator_type(server)}")
    else:
        part.note("lost", f"--{name}", f"vLLM no longer has it: {remedy}")
    return part


# -- flags that the chart sets itself


def _size(part: Part, _: Server, name: str, value: Any) -> None:
    if value > 1:
        part.put("parallelism", name.removesuffix("-parallel-size"), value)
    else:
        part.note("chart", f"--{name}", "1 is vLLM's default")


def _key(*path: str, default: object) -> Callable[[Part, Server, str, Any], None]:
    def carry(part: Part, _: Server, __: str, value: Any) -> None:
        if value != default:
            part.put(*path, value)

    return carry


def _dropped(part: Part, _: Server, name: str, __: Any) -> None:
    part.note("chart", f"--{name}", _flag_notes()["owned"][name])


def _secret(part: Part, server: Server, name: str, text: str) -> dict[str, str]:
    """Return a reference to the Secret of a key that the command holds, or names as a variable."""
    item = server.environment.get(vllm_command.variable(text))
    return part.secret(f"{server.name}-{name}", item, "" if item else text)


def _api_key(part: Part, server: Server, name: str, value: Any) -> None:
    for index, text in enumerate(value if isinstance(value, list) else [value]):
        reference = _secret(part, server, "api-key", str(text))
        part.put("server", "apiKey", "keys", "main" if index == 0 else f"key-{index + 1}", reference)
    part.note("changed", f"--{name}", "server.apiKey.keys, so that the key isn't in the command")


def _hf_token(part: Part, server: Server, name: str, value: Any) -> None:
    part.put("model", "credentials", _secret(part, server, "hf-token", str(value)))
    part.note("changed", f"--{name}", "model.credentials")


def _adapters(part: Part, server: Server, name: str, value: Any) -> None:
    part.add(model.adapters(map(str, value if isinstance(value, list) else [value]), server))
    part.note("changed", f"--{name}", "model.lora.adapters")


def _queue(part: Part, server: Server, name: str, value: Any) -> None:
    flags = server.start.flags
    servers = flags.get("api-server-count") or flags.get("data-parallel-size", 1)
    part.put("server", "maxConcurrentRequests", value * servers)
    if servers > 1:
        part.note("changed", f"--{name}", f"counted over all {servers} API servers")


def _certificate(part: Part, server: Server, name: str, value: Any) -> None:
    found = server.mount_of(str(value))
    secret = server.volumes.get(found[0]["name"], {}).get("secret", {}).get("secretName") if found else None
    if found and secret:
        part.mounts.add(folder(found[0]))
    if secret and str(value).endswith(("/tls.crt", "/tls.key")):
        part.put("server", "tls", "existingSecret", secret)
        part.note("changed", f"--{name}", "server.tls")
    else:
        part.note("lost", f"--{name}", "set server.tls.existingSecret to a Secret with tls.crt and tls.key")


OWNED: dict[str, Callable[[Part, Server, str, Any], None]] = {
    "tensor-parallel-size": _size,
    "pipeline-parallel-size": _size,
    "data-parallel-size": _size,
    "port": _key("server", "port", default=8000),
    "host": _dropped,
    "api-key": _api_key,
    "hf-token": _hf_token,
    "enable-lora": _dropped,
    "lora-modules": _adapters,
    "max-num-queued-reqs": _queue,
    "shutdown-timeout": _key("drain", "timeoutSeconds", default=DEFAULT_DRAIN),
    "otlp-traces-endpoint": _key("tracing", "endpoint", default=""),
    "log-level": _key("logging", "level", default="INFO"),
    "root-path": _key("server", "rootPath", default=""),
    "ssl-keyfile": _certificate,
    "ssl-certfile": _certificate,
}
