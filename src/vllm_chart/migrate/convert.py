"""Turns the manifests of one vLLM server into values of the chart."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from vllm_chart import accelerators, values_file
from vllm_chart.chart import DATA, app_version
from vllm_chart.errors import InputError
from vllm_chart.invariants import kubernetes_api, references
from vllm_chart.migrate import comparison, vllm_command
from vllm_chart.migrate.comparison import SECRET_NAME, Body, Server
from vllm_chart.render import go_yaml
from vllm_chart.render.objects import Manifest, Objects
from vllm_chart.values_file import Values

#: Heads under which the report tells what became of a part, in this order.
HEADS = {
    "chart": "The chart does this itself",
    "changed": "Carried over in another form",
    "lost": "Not carried over",
    "todo": "Before you install",
}

_VERDICTS = {
    "chart": "by the chart",
    "changed": "other form, see below",
    "lost": "dropped, see below",
    "todo": "see below",
}

_HF_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN")
_HF_CACHES = ("/root/.cache/huggingface", "/home/vllm/.cache/huggingface", "/.cache/huggingface")
#: Variables that the chart sets for its own folders and addresses.
_COMPUTED_ENV = {
    *("HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "VLLM_CACHE_ROOT", "VLLM_HOST_IP"),
    *("HF_HOME", "TRANSFORMERS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"),
}
#: Variables that vLLM no longer reads, with what to do instead.
_GONE_ENV = {
    "VLLM_USE_V1": "vLLM has one engine only, leave it out",
    "VLLM_RPC_TIMEOUT": "leave it out",
}
#: What a task of older versions is called now.
_TASKS: dict[str, dict[str, str]] = {
    "generate": {"runner": "generate"},
    "embed": {"runner": "pooling", "convert": "embed"},
    "embedding": {"runner": "pooling", "convert": "embed"},
    "classify": {"runner": "pooling", "convert": "classify"},
    "score": {"runner": "pooling", "convert": "classify"},
    "reward": {"runner": "pooling"},
}
#: A secret by its look, wherever it stands.
_SECRET = re.compile(r"\b(hf_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{8,})")
_SHARED_MEMORY, _SCRATCH = "/dev/shm", "/tmp"  # noqa: S108 (folders of a container)
#: Flags with which this reckons.
_RECKONED = (
    *("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size"),
    *("api-server-count", "max-num-queued-reqs"),
)
_SHORT_GRACE, _DEFAULT_DRAIN, _DEFAULT_STARTUP = 150, 120, 1800


def read_objects(paths: list[Path]) -> list[Body]:
    """Return every object of the manifests; raises InputError where a file can't be read as such."""
    found: list[Body] = []
    for path in paths:
        try:
            documents = go_yaml.load_all(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise InputError(
                f"{path} can't be read ({reason}): give FROM=deployment.yaml, more files after commas."
            ) from None
        except yaml.YAMLError as error:
            raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
        for document in documents:
            items = (
                document.get("items", [])
                if isinstance(document, dict) and "List" in str(document.get("kind"))
                else [document]
            )
            for item in items:
                if not (isinstance(item, dict) and item.get("kind") and (item.get("metadata") or {}).get("name")):
                    raise InputError(f"{path} holds no manifest: each document needs kind and metadata.name.")
                if item["kind"] in comparison.WORKLOADS and not _has_containers(item):
                    raise InputError(
                        f"{path}: {item['kind']}/{item['metadata']['name']} has no spec.template.spec.containers."
                    )
                if item["kind"] not in ("Secret", "ConfigMap") and not isinstance(item.get("spec", {}), dict):
                    raise InputError(f"{path}: the spec of {item['kind']}/{item['metadata']['name']} is no map.")
                body = _without_nulls(item)
                _as_kubernetes_takes_it(path, body)
                found.append({"spec": {}, **body})
    return found


def _without_nulls(value: Any) -> Any:
    """Return a part of an object without what is null, which Kubernetes takes as if it weren't there."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def _as_kubernetes_takes_it(path: Path, body: Body) -> None:
    """Raise InputError where Kubernetes would refuse an object; of older versions nothing is known."""
    manifest, minors = Manifest(str(path), {"apiVersion": "", **body}), kubernetes_api.SUPPORTED[-1:]
    if not kubernetes_api.knows(manifest, minors):
        return
    for finding in kubernetes_api.findings(Objects([manifest]), minors[0]):
        where = ".".join(map(str, finding.path)) or "the top"
        raise InputError(f"{path}: Kubernetes refuses {manifest} at {where}: {finding.text.rpartition(' (')[0]}.")


def _has_containers(workload: Body) -> bool:
    try:
        return any(workload["spec"]["template"]["spec"]["containers"])
    except (KeyError, TypeError):
        return False


def only_server(objects: list[Body], paths: list[Path]) -> Server:
    """Return the one server of the manifests; raises InputError where there is none, or more than one."""
    found, files = comparison.servers(objects), ", ".join(map(str, paths))
    if len(found) > 1:
        names = ", ".join(server.name for server in found)
        raise InputError(
            f"{files} runs {len(found)} servers ({names}), and one release serves one model: give one at a time."
        )
    if found:
        return found[0]
    kinds = ", ".join(f"{body['kind']}/{body['metadata']['name']}" for body in objects) or "nothing"
    raise InputError(
        f"{files} runs no vLLM: there is {kinds}, but no Deployment whose container starts `vllm serve` or "
        "`python -m vllm.entrypoints.openai.api_server`, or takes flags for an image of vLLM."
    )


class Migration:
    """The values that one server's manifests become, and what is to be said of it.

    Attributes:
        values: what differs from the chart's defaults.
        comments: sentences above top-level keys of the file.
        before: what the manifests say, by subject.
        explained: what became of a subject of the comparison.
        notes: what the report tells, by head.
    """

    def __init__(self, objects: list[Body], server: Server) -> None:
        self.objects, self.server = objects, server
        self.values: Values = {}
        self.comments: dict[str, list[str]] = defaultdict(list)
        self.explained: dict[str, str] = {}
        self.notes: dict[str, list[str]] = {head: [] for head in HEADS}
        self.start = copy.deepcopy(server.start)
        self._environment = {item["name"]: item for item in server.container.get("env", [])}
        self._volumes = {volume["name"]: volume for volume in server.pod.get("volumes") or []}
        self._mounts = {
            mount["mountPath"].rstrip("/") or "/": mount for mount in server.container.get("volumeMounts") or []
        }
        self._kept = dict(self._mounts)  # mounts that no other key of the chart stands for
        self._secrets: set[str] = set()
        self._read_config_file()
        for name in _RECKONED:
            value = self.start.flags.get(name, 1)
            if not isinstance(value, int):
                raise InputError(f"--{name} is {value}, which is no number here: write the number in the manifest.")
        self.before = comparison.facts(objects, dataclasses.replace(server, start=copy.deepcopy(self.start)))
        for part in (
            self._image,
            self._accelerator,
            self._model,
            self._flags,
            self._absent,
            self._variables,
            self._memory,
        ):
            part()
        for part in (
            self._lifecycle,
            self._mounted,
            self._pod,
            self._service,
            self._ingress,
            self._scaling,
            self._others,
        ):
            part()

    # -- telling

    def put(self, *path_and_value: Any) -> None:
        """Set a value; the last argument is the value, those before it the path."""
        *path, value = path_and_value
        values_file.put(self.values, path, value)

    def note(self, head: str, subject: str, text: str) -> None:
        """Tell what became of a subject."""
        self.explained[subject] = _VERDICTS[head]
        self.notes[head].append(f"{subject}: {text}")

    def hidden(self, text: str) -> str:
        """Return a text without the secrets that the manifests hold in the open."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return _SECRET.sub("***", text)

    # -- the server

    def _read_config_file(self) -> None:
        """Take the flags of a --config file that a ConfigMap among the manifests holds."""
        path = self.start.flags.pop("config", None)
        if path is None:
            return
        text = self._mounted_file(str(path))
        if text is None:
            self.note(
                "lost", "--config", f"{path} isn't in a ConfigMap among the manifests: write its flags in engine.args"
            )
            return
        words = []
        for name, value in (go_yaml.load(text) or {}).items():
            values = value if isinstance(value, list) else [value]
            flag = "--model" if name == "model" else f"--{name}"
            if value is True or value is False:
                words.append(flag if value else flag.replace("--", "--no-", 1))
            else:
                words += [
                    flag,
                    *(
                        item if isinstance(item, str) else yaml.safe_dump(item, default_flow_style=True).split("\n")[0]
                        for item in values
                    ),
                ]
        read = vllm_command.Start()
        vllm_command.read_flags(words, app_version(), read)
        self.start.flags = read.flags | self.start.flags
        self.start.absent = read.absent | self.start.absent
        self.start.model = self.start.model or read.model
        self.note("changed", "--config", "the flags of the file stand in engine.args")

    def _image(self) -> None:
        image = str(self.server.container.get("image", ""))
        name, digest = image.partition("@")[::2]
        repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
        registry, slash, rest = repository.partition("/")
        if not slash or not re.search(r"[.:]|^localhost$", registry):
            registry, rest = "docker.io", repository
        version = app_version()
        if accelerators.is_published(rest) and registry == "docker.io":
            if tag != f"v{version}":
                self.note(
                    "changed",
                    "image",
                    f"{image} becomes the chart's own, vLLM {version}, for which the flags are checked",
                )
        elif rest:
            self.put("image", "registry", registry)
            self.put("image", "repository", rest)
            if tag not in ("", "latest"):
                self.put("image", "tag", tag)
            else:
                self.note(
                    "todo",
                    "image",
                    f"{image} has no tag that stays what it is: set image.tag, else the chart asks for v{version}",
                )
            if digest:
                self.put("image", "digest", digest)
            self.comments["image"].append(
                f"Its entrypoint must be `vllm serve`, and its vLLM {version}, for which the flags are checked."
            )
        policy = self.server.container.get("imagePullPolicy", "IfNotPresent")
        if policy != "IfNotPresent":
            self.put("image", "pullPolicy", policy)
        if self.start.beside:
            self.note(
                "lost",
                "command",
                f"the shell runs `{'`, `'.join(self.start.beside)}`, too: build it into an image, or an init container",
            )

    def _accelerator(self) -> None:
        resources = self.server.container.get("resources") or {}
        asked = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
        devices = {name: amount for name, amount in asked.items() if "/" in name and not name.startswith("hugepages")}
        known = {name: kind for name in devices if (kind := accelerators.of_resource(name))}
        name = next(iter(known or devices), "")
        by_image = accelerators.of_image(str(self.server.container.get("image", "")))
        by_image = "cpu" if self.start.absent.get("device") == "cpu" else by_image
        if devices and by_image == "cpu":
            by_image = None  # the chart requests no device for a CPU
        kind = known.get(name) or by_image or "nvidia"
        if not devices and not by_image:
            self.note(
                "changed",
                "accelerator",
                "the manifest asks for no GPU and the chart for one: set accelerator.type to cpu if there is none",
            )
        if devices and not known:
            self.note(
                "todo",
                f"limits.{name}",
                f"unknown device, kept as accelerator.resourceName with the settings of type {kind}. Set "
                f"accelerator.type ({', '.join(accelerators.known())}) or, for another device, image and podSpec",
            )
        if kind != "nvidia":
            self.put("accelerator", "type", kind)
        if name and name != accelerators.known()[kind].resource:
            self.put("accelerator", "resourceName", name)
        for other in [device for device in devices if device != name]:
            self.note("lost", f"limits.{other}", "one kind of device is derived: write the other in podSpec.containers")
        sizes = [self.start.flags.get(f"{size}-parallel-size", 1) for size in ("tensor", "pipeline", "data")]
        asked_for = str(devices.get(name, 1))
        if not re.fullmatch(r"\d+(\.0+)?", asked_for):
            raise InputError(
                f"{name} of container {self.server.container['name']} is {asked_for}: write a whole number."
            )
        needed, count = math.prod(sizes), int(float(asked_for))
        if devices and count != needed:
            self.put("accelerator", "perPod", count)
            self.note(
                "changed",
                f"limits.{name}",
                f"{count} are asked for and vLLM uses {needed}: set parallelism.tensor instead of perPod",
            )
        elif devices:
            self.notes["chart"].append(f"{name}: the number follows from parallelism")
        self.explained.setdefault(f"requests.{name}", "a device's request is its limit")

    def _model(self) -> None:
        model = self.start.model
        if not model:
            model = "Qwen/Qwen3-0.6B"
            self.note(
                "todo",
                "model",
                f"the command names none, so vLLM takes its own default: set model.uri ({model} stands there)",
            )
        uri = self._uri(model)
        self.put("model", "uri", uri)
        names = self.start.flags.pop("served-model-name", None)
        names = names if isinstance(names, list) else [names] if names else [model]
        scheme, _, rest = uri.partition("://")
        if names[0] != (rest if scheme == "hf" else rest.rstrip("/").rpartition("/")[2]):
            self.put("model", "name", names[0])
        if names[1:]:
            self.put("model", "aliases", names[1:])
        if revision := self.start.flags.pop("revision", None):
            if scheme == "hf":
                self.put("model", "revision", str(revision))
            else:
                self.note("lost", "--revision", "only models of Hugging Face have revisions")

    def _uri(self, path: str) -> str:
        """Return where a model or adapter comes from as the chart writes it."""
        if "://" in path:
            return path
        if not path.startswith("/"):
            return f"hf://{path}"
        found = self._mount_of(path)
        if found is None:
            return f"file://{path}"
        mount, inside = found
        volume = self._volumes.get(mount["name"], {})
        if claim := volume.get("persistentVolumeClaim", {}).get("claimName"):
            folder = "/".join(part.strip("/") for part in (mount.get("subPath", ""), inside) if part.strip("/"))
            self._kept.pop(mount["mountPath"].rstrip("/") or "/", None)
            uri = f"pvc://{claim}" + (f"/{folder}" if folder else "")
            self.note("changed", "model", f"{path} is {uri}, which the chart mounts read-only below /model")
            return uri
        if not inside and (reference := volume.get("image", {}).get("reference")):
            self._kept.pop(mount["mountPath"].rstrip("/") or "/", None)
            self.note("changed", "model", "the chart mounts the image at /model")
            return f"oci://{reference}"
        return f"file://{path}"

    def _mount_of(self, path: str) -> tuple[Body, str] | None:
        """Return the mount in which a path lies, and the rest of the path."""
        for parent in [path.rstrip("/"), *(str(folder) for folder in Path(path).parents)]:
            if parent in self._mounts and parent != "/":
                return self._mounts[parent], path.rstrip("/")[len(parent) :].strip("/")
        return None

    def _mounted_file(self, path: str) -> str | None:
        """Return the text of a file that a ConfigMap among the manifests gives, and take that mount as seen to."""
        found = self._mount_of(path)
        if found is None:
            return None
        mount, inside = found
        source = self._volumes.get(mount["name"], {}).get("configMap", {})
        keys = {item["path"]: item["key"] for item in source.get("items") or []}
        wanted = mount.get("subPath") or inside
        for body in self.objects:
            if body["kind"] == "ConfigMap" and body["metadata"]["name"] == source.get("name"):
                text = (body.get("data") or {}).get(keys.get(wanted, wanted))
                if text is not None:
                    self._kept.pop(mount["mountPath"].rstrip("/") or "/", None)
                    return str(text)
        return None

    def _flags(self) -> None:
        version = app_version()
        for subject, text in self.start.remarks.items():
            self.note("changed", subject, text)
        for name, value in self.start.flags.items():
            if name in OWNED:
                OWNED[name](self, name, value)
            elif name in _flag_notes()["owned"]:
                self.note("lost", f"--{name}", _flag_notes()["owned"][name])
            elif name == "disable-access-log-for-endpoints":
                self.note("chart", f"--{name}", "probes and scrapes are left out of the log")
            elif isinstance(value, str) and _SECRET.search(value):
                self.note("lost", f"--{name}", "holds a secret in the open: give it in a Secret")
            elif name == "chat-template" and (content := self._mounted_file(str(value))) is not None:
                file = str(value).rpartition("/")[2]
                self.put("engine", "files", file, content)
                self.put("engine", "args", name, f"/files/{file}")
                self.note("changed", f"--{name}", "the file stands in engine.files, and pods restart when it changes")
            else:
                self.put("engine", "args", name, value)
        if self.start.absent:
            self.comments["engine"].append(
                f"Flags that vLLM {version} does not have were left out: {', '.join(self.start.absent)}."
            )

    def _absent(self) -> None:
        """Say what replaced the flags that vLLM does not have, and use it where that is plain."""
        for name, value in self.start.absent.items():
            remedy = _flag_notes()["removed"].get(name)
            if remedy is None:
                self.note("lost", f"--{name}", f"vLLM {app_version()} has no such flag")
            elif name == "max-concurrent-requests" and isinstance(value, int):
                self.put("server", "maxConcurrentRequests", value)
                self.note(
                    "changed",
                    f"--{name}",
                    f"no flag of vLLM; server.maxConcurrentRequests is {value}, beyond which clients get 503",
                )
            elif name == "speculative-model":
                self.put("engine", "args", "speculative-config", "model", value)
                self.note("changed", f"--{name}", "stands in speculative-config")
            elif name == "num-speculative-tokens":
                self.put("engine", "args", "speculative-config", "num_speculative_tokens", value)
                self.note("changed", f"--{name}", "stands in speculative-config")
            elif name == "guided-decoding-backend":
                self.put("engine", "args", "structured-outputs-config", {"backend": value})
                self.note("changed", f"--{name}", "stands in structured-outputs-config")
            elif name == "task" and value in _TASKS:
                for flag, word in _TASKS[str(value)].items():
                    self.put("engine", "args", flag, word)
                self.note(
                    "changed", f"--{name}", " and ".join(f"{flag} {word}" for flag, word in _TASKS[str(value)].items())
                )
            elif name == "device":
                self.note(
                    "changed",
                    f"--{name}",
                    f"accelerator.type {self.values.get('accelerator', {}).get('type', 'nvidia')}",
                )
            else:
                self.note("lost", f"--{name}", f"vLLM no longer has it: {remedy}")

    def server_variable(self, name: str) -> Body | None:
        """Return the variable of the container by its name; None where it has none."""
        return self._environment.get(name)

    def adapter_uri(self, place: str) -> str:
        """Return where an adapter comes from."""
        kept = self.explained.pop("model", None)
        uri = self._uri(place)
        self.explained.pop("model", None)
        if kept:
            self.explained["model"] = kept
        return uri

    def secret_volume(self, path: str) -> str | None:
        """Return the Secret whose volume holds a file, and take its mount as seen to."""
        found = self._mount_of(path)
        name = self._volumes.get(found[0]["name"], {}).get("secret", {}).get("secretName") if found else None
        if found and name:
            self._kept.pop(found[0]["mountPath"].rstrip("/"), None)
        return name

    def secret(self, name: str, item: Body | None, literal: str = "") -> dict[str, str]:
        """Return a reference to the Secret that holds a key; one in the open is to be put into a Secret first."""
        source = ((item or {}).get("valueFrom") or {}).get("secretKeyRef")
        if source:
            return {"existingSecret": source["name"], "key": source["key"]}
        self._secrets |= {text for text in (literal, str((item or {}).get("value") or "")) if len(text) > 7}
        secret = f"{self.server.name}-{name}"
        self.note(
            "todo",
            f"Secret {secret}",
            f"`kubectl create secret generic {secret} --from-file=key=/dev/stdin`, for what stands there openly",
        )
        return {"existingSecret": secret, "key": "key"}

    def _variables(self) -> None:  # noqa: PLR0912 (one branch for each kind of variable)
        given: dict[str, Body] = {name: {"value": text} for name, text in self.start.environment.items()}
        for name, item in {**given, **self._environment}.items():
            text = str(item.get("value") or "")
            subject = f"env {name}"
            if name in _HF_TOKENS:
                if self.values["model"]["uri"].startswith("hf://") and "credentials" not in self.values["model"]:
                    self.put("model", "credentials", self.secret("hf-token", item))
                    self.note("changed", subject, "model.credentials, which becomes HF_TOKEN")
                elif item.get("valueFrom"):
                    self.put("engine", "env", name, {"valueFrom": item["valueFrom"]})
                else:
                    self.note("lost", subject, "the model does not come from Hugging Face")
            elif name == "VLLM_API_KEY":
                if "apiKey" not in self.values.get("server", {}):
                    self.put("server", "apiKey", "keys", "main", self.secret("api-key", item))
                self.note("changed", subject, "server.apiKey.keys, which reaches vLLM in a file")
            elif name == "VLLM_LOGGING_LEVEL" and text.upper() in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
                if text.upper() != "INFO":
                    self.put("logging", "level", text.upper())
                self.note("changed", subject, f"logging.level {text.upper()}")
            elif name in _COMPUTED_ENV:
                self.note("chart", subject, "folders, addresses and telemetry are the chart's")
            elif name == "VLLM_ATTENTION_BACKEND" and text:
                self.values.setdefault("engine", {}).setdefault("args", {}).setdefault("attention-backend", text)
                self.note("changed", subject, "vLLM no longer reads it: engine.args.attention-backend")
            elif name in _GONE_ENV:
                self.note("lost", subject, f"vLLM no longer reads it: {_GONE_ENV[name]}")
            elif name in self._used_only_in_command():
                self.note("chart", subject, "was only part of the command")
            elif item.get("valueFrom"):
                self.put("engine", "env", name, {"valueFrom": item["valueFrom"]})
            elif (SECRET_NAME.search(name) or _SECRET.search(text)) and text:
                reference = self.secret(name.lower().replace("_", "-"), item)
                source = {"name": reference["existingSecret"], "key": reference["key"]}
                self.put("engine", "env", name, {"valueFrom": {"secretKeyRef": source}})
                self.explained[subject] = "comes from a Secret"
            else:
                self.put("engine", "env", name, text)
        if origins := self.server.container.get("envFrom"):
            self.put("engine", "envFrom", origins)

    def _used_only_in_command(self) -> set[str]:
        """Variables of one's own that the command refers to, as MODEL in `vllm serve $MODEL`."""
        text = " ".join(
            map(str, [*(self.server.container.get("command") or []), *(self.server.container.get("args") or [])])
        )
        known = ("VLLM_", "HF_", "CUDA_", "NCCL_", "TORCH", "OMP_", "RAY_", "NVIDIA_", "PYTORCH_")
        carried = yaml.safe_dump(self.values)  # of a value that isn't known here, the flag still names the variable
        return {
            name
            for name in self._environment
            if re.search(rf"\$[({{]?{name}\b", text) and not name.startswith(known) and f"$({name})" not in carried
        }

    def _memory(self) -> None:
        resources = self.server.container.get("resources") or {}
        for part in ("requests", "limits"):
            amounts = {name: amount for name, amount in (resources.get(part) or {}).items() if "/" not in name}
            if amounts:
                self.put("resources", part, amounts)
        if not (resources.get("limits") or resources.get("requests")):
            self.note("todo", "resources", "the manifest asks for no CPU and memory: set resources")

    def _lifecycle(self) -> None:
        container = self.server.container
        probes = [name for name in ("startupProbe", "readinessProbe", "livenessProbe") if name in container]
        budgets = [
            probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
            for probe in (container[name] for name in probes if name != "readinessProbe")
        ]
        if probes:
            budget = max(budgets, default=0)
            if budget > _DEFAULT_STARTUP:
                self.put("startup", "timeoutSeconds", budget)
            self.note(
                "chart",
                ", ".join(probes),
                f"on /health, with {max(budget, _DEFAULT_STARTUP)} s to load the model (startup.timeoutSeconds); "
                f"yours gave up after {budget} s",
            )
        hooks = container.get("lifecycle") or {}
        if hook := hooks.get("postStart"):
            self._warmup(" ".join(map(str, hook.get("exec", {}).get("command") or [])))
        if hook := hooks.get("preStop"):
            pause = re.search(r"sleep\s+(\d+)", " ".join(map(str, hook.get("exec", {}).get("command") or [])))
            seconds = int(pause.group(1)) if pause else int(hook.get("sleep", {}).get("seconds", 0))
            if seconds > 15:
                self.put("drain", "delaySeconds", seconds)
            self.note(
                "chart",
                "preStop",
                f"a stopping server goes on for {max(seconds, 15)} s, then finishes what is open (drain)",
            )
        grace = self.server.pod.get("terminationGracePeriodSeconds")
        if grace and grace > _SHORT_GRACE and "shutdown-timeout" not in self.start.flags:
            delay = self.values.get("drain", {}).get("delaySeconds", 15)
            self.put("drain", "timeoutSeconds", max(_DEFAULT_DRAIN, grace - delay - 15))
        if grace:
            self.note("chart", "terminationGracePeriodSeconds", "follows from drain")

    def _warmup(self, command: str) -> None:
        asked = re.search(r"https?://[^/\s'\"]+(/[^\s'\"]*)", command)
        if asked and not asked.group(1).startswith("/health"):
            self.put("warmup", "enabled", True)
            self.note(
                "changed",
                "postStart",
                f"warmup: the chart's own request before the server is ready, not {asked.group(1)} at a guessed time",
            )
        else:
            self.note(
                "lost", "postStart", f"`{command}`: set warmup.enabled where it warms up, else write initContainers"
            )

    # -- the pod

    def _mounted(self) -> None:
        """Carry volumes over that no other key of the chart stands for."""
        home = vllm_command.expand(str(self._environment.get("HF_HOME", {}).get("value") or ""), {}).rstrip("/")
        for path, mount in self._mounts.items():
            volume = self._volumes.get(mount["name"], {})
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if path not in self._kept:
                continue
            if path == _SHARED_MEMORY and "emptyDir" in volume:
                del self._kept[path]
                self.note("chart", path, "its size follows from parallelism")
            elif (
                "emptyDir" in volume
                and (".cache" in path or path in (_SCRATCH, home))
                and not self._shared(mount["name"])
            ):
                del self._kept[path]
                self.note("chart", path, "the chart has a folder of its own for it")
            elif claim and not mount.get("subPath") and path in (home or _HF_CACHES[0], *_HF_CACHES, "/root/.cache"):
                del self._kept[path]
                self.put("cache", "model", {"type": "existing", "claimName": claim})
                inside = ", where what lies in its folder huggingface is not found" if path == "/root/.cache" else ""
                self.note("changed", path, f"claim {claim} is cache.model{inside}")
        sources: dict[str, Any] = {}
        for path, mount in self._kept.items():
            volume = {key: value for key, value in self._volumes.get(mount["name"], {}).items() if key != "name"}
            if not volume:
                self.note(
                    "lost", path, f"volume {mount['name']} is made by a template of the workload: write extraVolumes"
                )
                continue
            sources[mount["name"]] = volume
            self.put("extraVolumeMounts", path, {key: value for key, value in mount.items() if key != "mountPath"})
        for container in self.server.pod.get("initContainers") or []:
            self.put(
                "initContainers",
                container["name"],
                {key: value for key, value in self._safe(container).items() if key != "name"},
            )
            for mount in container.get("volumeMounts") or []:
                if mount["name"] in self._volumes:
                    sources[mount["name"]] = {
                        key: value for key, value in self._volumes[mount["name"]].items() if key != "name"
                    }
        for name, volume in sources.items():
            self.put("extraVolumes", name, volume)
            if "hostPath" in volume:
                self.note(
                    "todo",
                    f"volume {name}",
                    "hostPath is against Pod Security restricted: use a claim, and pvc:// for a model",
                )

    def _safe(self, container: Body) -> dict[str, Any]:
        """Return a container whose secrets come from Secrets."""
        variables = []
        for item in container.get("env") or []:
            text = str(item.get("value") or "")
            if text and (SECRET_NAME.search(item["name"]) or _SECRET.search(text)):
                reference = self.secret(item["name"].lower().replace("_", "-"), item)
                source = {"name": reference["existingSecret"], "key": reference["key"]}
                variables.append({"name": item["name"], "valueFrom": {"secretKeyRef": source}})
            else:
                variables.append(item)
        return {**container, **({"env": variables} if variables else {})}

    def _shared(self, name: str) -> bool:
        """Whether a container beside the server mounts the volume, too."""
        pod = self.server.pod
        others = [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]
        return any(
            mount["name"] == name
            for item in others
            if item is not self.server.container
            for mount in item.get("volumeMounts") or []
        )

    def _pod(self) -> None:  # noqa: PLR0912 (one branch for each part)
        pod, spec = self.server.pod, self.server.workload["spec"]
        if spec.get("replicas", 1) != 1:
            self.put("replicas", spec["replicas"])
        if spec.get("strategy"):
            self.put("strategy", spec["strategy"])
        for key in (
            "nodeSelector",
            "tolerations",
            "affinity",
            "priorityClassName",
            "runtimeClassName",
            "imagePullSecrets",
        ):
            if pod.get(key):
                self.put(key, pod[key])
        for item in pod.get("topologySpreadConstraints") or []:
            self.values.setdefault("topologySpreadConstraints", []).append(item)
        if "labelSelector" in str([self.values.get("affinity"), self.values.get("topologySpreadConstraints")]):
            self.note(
                "todo", "affinity", "its labelSelector names old labels: write app.kubernetes.io/instance: RELEASE"
            )
        account = pod.get("serviceAccountName")
        if account and account != "default":
            self.put("serviceAccount", {"create": False, "name": account})
        selected = spec.get("selector", {}).get("matchLabels") or {}
        if labels := {name: text for name, text in self.server.labels.items() if name not in selected}:
            self.put("podLabels", labels)
        annotations = dict(spec["template"].get("metadata", {}).get("annotations") or {})
        if annotations.pop("prometheus.io/scrape", "") == "true":
            self.put("metrics", "scrapeAnnotations", "enabled", True)
        for name in ("prometheus.io/port", "prometheus.io/path", "prometheus.io/scheme"):
            annotations.pop(name, None)
        if annotations:
            self.put("podAnnotations", annotations)
        others = [item for item in pod.get("containers", []) if item is not self.server.container]
        if others:
            self.put("podSpec", "containers", list(map(self._safe, others)))
            self.note(
                "todo",
                "containers",
                f"{', '.join(item['name'] for item in others)}: in podSpec.containers, and needs a securityContext "
                "as Pod Security restricted wants it",
            )
        security = {**(pod.get("securityContext") or {}), **(self.server.container.get("securityContext") or {})}
        if security:
            self.note(
                "chart",
                "securityContext",
                f"Pod Security restricted, user 2000, group 0 (yours set {', '.join(security)}); podSecurityContext or "
                "securityContext replace it",
            )
        for key in ("hostNetwork", "hostIPC", "hostPID", "shareProcessNamespace"):
            if pod.get(key):
                self.note("lost", key, f"is against Pod Security restricted: write podSpec.{key} if vLLM needs it")
        for key in ("dnsPolicy", "hostAliases", "schedulerName", "nodeName"):
            if pod.get(key) and pod[key] not in ("ClusterFirst", "default-scheduler"):
                self.put("podSpec", key, pod[key])

    # -- how it is reached

    def _service(self) -> None:
        found = comparison.services(self.objects, self.server)
        for service in found[:1]:
            spec = service["spec"]
            ports = spec.get("ports") or [{}]
            if ports[0].get("port", 80) != 80:
                self.put("service", "port", ports[0]["port"])
            kind = spec.get("type", "ClusterIP")
            if kind in ("NodePort", "LoadBalancer"):
                self.put("service", "type", kind)
                if "nodePort" in ports[0]:
                    self.put("service", "nodePort", ports[0]["nodePort"])
                self.put("checks", "disabled", "serviceType", True)
                self.comments["checks"].append(
                    f"The Service is {kind}, which exposes every path of vLLM, also those that no API key guards."
                )
                self.note(
                    "todo",
                    "Service type",
                    f"{kind} exposes every path of vLLM: better an ingress or httpRoute, which carry /v1 only",
                )
            target = comparison.container_port(ports[0].get("targetPort", ports[0].get("port")), self.server)
            if target != str(self.values.get("server", {}).get("port", 8000)):
                self.note("changed", "Service target", f"leads to the server's port; port {target} reached nothing")
            if spec.get("clusterIP") == "None":
                self.note(
                    "lost",
                    "clusterIP",
                    "the chart's Service has an address: clients that ask for its name get that one",
                )
            if annotations := service["metadata"].get("annotations"):
                self.put("service", "annotations", annotations)
            for port in ports[1:]:
                self.note(
                    "lost",
                    f"Service port {port.get('port')}",
                    "the chart's Service has one port: write another Service in extraObjects",
                )
            name = service["metadata"]["name"]
            self.note(
                "todo",
                f"Service {name}",
                f"clients reach the new one as RELEASE.NAMESPACE.svc: name the release {name}, or set fullnameOverride "
                "once the old one is gone",
            )
        for service in found[1:]:
            self.note(
                "lost",
                f"Service {service['metadata']['name']}",
                "the chart makes one Service: write another in extraObjects",
            )
        if not found:
            self.notes["chart"].append("Service: there was none, and the chart makes one on port 80")

    def _ingress(self) -> None:
        names = {service["metadata"]["name"] for service in comparison.services(self.objects, self.server)}
        for ingress in self.objects:
            if ingress["kind"] != "Ingress" or not (routes := list(comparison.backends(ingress, names))):
                continue
            annotations = dict(ingress["metadata"].get("annotations") or {})
            annotations.pop("kubernetes.io/ingress.class", None)
            annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
            rewrite = annotations.pop("nginx.ingress.kubernetes.io/rewrite-target", None)
            annotations.pop("nginx.ingress.kubernetes.io/use-regex", None)
            self.put("ingress", "enabled", True)
            if name := comparison.ingress_class(ingress):
                self.put("ingress", "className", name)
            secrets = {
                host: entry.get("secretName")
                for entry in ingress["spec"].get("tls") or []
                for host in entry.get("hosts") or []
            }
            for host in dict.fromkeys(host for host, _ in routes if host):
                self.put("ingress", "hosts", host, {"tlsSecret": secrets[host]} if secrets.get(host) else {})
            if annotations:
                self.put("ingress", "annotations", annotations)
            self._paths(routes, rewrite)

    def _paths(self, routes: list[tuple[str, str]], rewrite: str | None) -> None:
        """Say by which paths clients reach the server, with those below one that is rewritten away as its root path."""
        prefixes = {re.sub(r"[(|].*$", "", path).rstrip("/") for _, path in routes}
        roots = {prefix for prefix in prefixes if prefix and not prefix.startswith(("/v1", "/v2", "/health"))}
        root = next(iter(roots), "") if len(roots) == 1 and rewrite else ""
        if root:
            self.put("server", "rootPath", root)
        listed = sorted(prefix for prefix in prefixes if prefix.startswith(("/v1/", "/v2", "/health")))
        if listed:
            self.put("server", "exposedPaths", sorted({"/v1", *(p for p in listed if not p.startswith("/v1/"))}))
        shown = f"{root}/v1" if root else "/v1"
        for host in dict.fromkeys(host for host, _ in routes):
            paths = [path for name, path in routes if name == host]
            text = f"only {shown} is routed; other paths of vLLM are not for clients (server.exposedPaths)"
            if rewrite:
                text += f"; the server knows {root or '/'} itself (server.rootPath) and nothing is rewritten"
            if paths != ["/v1"]:
                self.note("changed", f"Ingress {host or 'any host'}", text)

    def _scaling(self) -> None:
        for body in self.objects:
            if body["spec"].get("scaleTargetRef", {}).get("name") != self.server.name:
                continue
            if body["kind"] == "HorizontalPodAutoscaler":
                self._hpa(body["spec"])
            elif body["kind"] == "ScaledObject":
                self._keda(body["spec"])
            self.values.pop("replicas", None)

    def _hpa(self, spec: Body) -> None:
        hpa: Values = {"enabled": True, "minReplicas": spec.get("minReplicas", 1), "maxReplicas": spec["maxReplicas"]}
        metrics = list(spec.get("metrics") or [])
        if "targetCPUUtilizationPercentage" in spec:
            target = {"averageUtilization": spec["targetCPUUtilizationPercentage"]}
            metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
        followed = next((metric for metric in metrics if _followed(metric)), None)
        kind = _followed(followed) if followed else "waiting"
        hpa["metric"] = kind
        text = comparison.metric_text(followed) if followed else ""
        if followed and followed["type"] in ("External", "Pods"):
            hpa["metricType"] = followed["type"]
        amount = re.search(r"([\d.]+)(m?)%?$", text)
        if amount:
            number = float(amount.group(1)) / (1000 if amount.group(2) else 1)
            if kind == "kvCache" and number > 1:
                number /= 100
            hpa["targetPerReplica"] = int(number) if number == int(number) else number
        if spec.get("behavior"):
            hpa["behavior"] = spec["behavior"]
        self.put("autoscaling", "hpa", hpa)
        if kind != "cpu":
            self.note(
                "todo",
                "autoscaling metric",
                "prometheus-adapter takes its rules, from the chart's ConfigMap NAME-adapter-config",
            )
        for metric in metrics:
            if metric is not followed:
                self.note(
                    "lost",
                    f"metric {comparison.metric_text(metric)}",
                    "the chart's HPA follows one metric: write another HPA in extraObjects",
                )

    def _keda(self, spec: Body) -> None:
        trigger = next((item for item in spec.get("triggers") or [] if item.get("type") == "prometheus"), None)
        if trigger is None:
            self.note(
                "lost",
                "autoscaling",
                "the chart's KEDA trigger asks a Prometheus: write the ScaledObject in extraObjects",
            )
            return
        asked = trigger.get("metadata", {})
        keda: Values = {
            "enabled": True,
            "minReplicas": spec.get("minReplicaCount", 0),
            "maxReplicas": spec.get("maxReplicaCount", 100),
        }
        keda["serverAddress"] = asked.get("serverAddress", "")
        if asked.get("threshold"):
            keda["targetPerReplica"] = (
                float(asked["threshold"]) if "." in str(asked["threshold"]) else int(asked["threshold"])
            )
        if "num_requests_waiting" not in str(asked.get("query", "num_requests_waiting")):
            keda["query"] = asked["query"]
        for key in ("pollingInterval", "cooldownPeriod"):
            if key in spec:
                keda[key] = spec[key]
        if keda["minReplicas"] == 0 and "query" not in keda:
            keda["minReplicas"] = 1
            self.note(
                "changed", "replicas", "at least 1: without a server nothing counts the requests that would start one"
            )
        self.put("autoscaling", "keda", keda)

    def _others(self) -> None:
        """Say what became of every other object."""
        handled = {"Service", "Ingress", "HorizontalPodAutoscaler", "ScaledObject"}
        for body in self.objects:
            kind, name = body["kind"], body["metadata"]["name"]
            subject, spec = f"{kind} {name}", body["spec"]
            if body is self.server.workload or kind in handled:
                continue
            if kind == "PodDisruptionBudget":
                self.put("podDisruptionBudget", "enabled", True)
                if spec.get("maxUnavailable", 1) != 1:
                    self.put("podDisruptionBudget", "maxUnavailable", spec["maxUnavailable"])
                if "minAvailable" in spec:
                    self.note(
                        "changed", subject, "one server at a time may be gone (podDisruptionBudget.maxUnavailable)"
                    )
            elif kind in ("ServiceMonitor", "PodMonitor"):
                monitor: Values = {"enabled": True}
                ends = spec.get("endpoints") or spec.get("podMetricsEndpoints") or [{}]
                if ends[0].get("interval"):
                    monitor["interval"] = ends[0]["interval"]
                if labels := body["metadata"].get("labels"):
                    monitor["labels"] = labels
                self.put("metrics", kind[0].lower() + kind[1:], monitor)
            elif kind in ("PersistentVolumeClaim", "ConfigMap", "Secret", "ServiceAccount", "Namespace"):
                if self._in_use(kind, name):
                    self.note("todo", subject, "stays: the values name it, so keep it when you delete the rest")
                else:
                    self.note("lost", subject, "nothing of the server names it any more")
            else:
                self.note("lost", subject, "is not the server's: keep it, or write it in extraObjects")

    def _in_use(self, kind: str, name: str) -> bool:
        keys = {"PersistentVolumeClaim": "claimName", "ServiceAccount": "name"}.get(kind, "name")
        found = references.declared_external(self.values)
        text = yaml.safe_dump(self.values)
        return (
            (kind, name) in found
            or re.search(rf"\b({keys}|secretName): {re.escape(name)}$", text, re.M) is not None
            or f"pvc://{name}" in text
        )


@functools.cache
def _flag_notes() -> dict[str, dict[str, str]]:
    notes: dict[str, dict[str, str]] = go_yaml.load((DATA / "flags.yaml").read_text(encoding="utf-8"))
    return notes


def _followed(metric: Body) -> str:
    """Return the chart's word for what a metric of an HPA counts; empty where it has none."""
    text = comparison.metric_text(metric).lower()
    if text.startswith(("resource", "containerresource")):
        return "cpu" if " cpu" in text else ""
    for pattern, word in (
        ("wait|queue|pending", "waiting"),
        ("running|concurren|active", "running"),
        ("cache", "kvCache"),
    ):
        if re.search(pattern, text):
            return word
    return ""


# -- flags that the chart sets itself


def _size(migration: Migration, name: str, value: Any) -> None:
    if value > 1:
        migration.put("parallelism", name.removesuffix("-parallel-size"), value)
    else:
        migration.note("chart", f"--{name}", "1 is vLLM's default")


def _number(*path: str, default: object) -> Callable[[Migration, str, Any], None]:
    def carry(migration: Migration, _: str, value: Any) -> None:
        if value != default:
            migration.put(*path, value)

    return carry


def _dropped(migration: Migration, name: str, _: Any) -> None:
    migration.note("chart", f"--{name}", _flag_notes()["owned"][name])


def _api_key(migration: Migration, name: str, value: Any) -> None:
    for index, text in enumerate(value if isinstance(value, list) else [value]):
        item = migration.server_variable(vllm_command.variable(str(text)))
        reference = migration.secret("api-key", item, "" if item else str(text))
        migration.put("server", "apiKey", "keys", "main" if index == 0 else f"key-{index + 1}", reference)
    migration.note("changed", f"--{name}", "server.apiKey.keys, so that the key isn't in the command")


def _hf_token(migration: Migration, name: str, value: Any) -> None:
    item = migration.server_variable(vllm_command.variable(str(value)))
    migration.put("model", "credentials", migration.secret("hf-token", item, "" if item else str(value)))
    migration.note("changed", f"--{name}", "model.credentials")


def _adapters(migration: Migration, name: str, value: Any) -> None:
    for entry in map(str, value if isinstance(value, list) else [value]):
        adapter, _, place = entry.partition("=")
        if entry.startswith("{"):
            said = json.loads(entry)
            adapter, place = str(said.get("name")), str(said.get("path"))
        if place and re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", adapter):
            migration.put("model", "lora", "adapters", adapter, {"uri": migration.adapter_uri(place)})
        else:
            migration.note(
                "lost",
                f"adapter {adapter}",
                "its name needs lower-case letters, digits and dashes: add it to model.lora.adapters under such a name",
            )
    migration.note("changed", f"--{name}", "model.lora.adapters")


def _queue(migration: Migration, name: str, value: Any) -> None:
    servers = migration.start.flags.get("api-server-count") or migration.start.flags.get("data-parallel-size", 1)
    migration.put("server", "maxConcurrentRequests", value * servers)
    if servers > 1:
        migration.note("changed", f"--{name}", f"counted over all {servers} API servers")


def _certificate(migration: Migration, name: str, value: Any) -> None:
    found = migration.secret_volume(str(value))
    if found and str(value).endswith(("/tls.crt", "/tls.key")):
        migration.put("server", "tls", "existingSecret", found)
        migration.note("changed", f"--{name}", "server.tls")
    else:
        migration.note("lost", f"--{name}", "set server.tls.existingSecret to a Secret with tls.crt and tls.key")


OWNED: dict[str, Callable[[Migration, str, Any], None]] = {
    "tensor-parallel-size": _size,
    "pipeline-parallel-size": _size,
    "data-parallel-size": _size,
    "port": _number("server", "port", default=8000),
    "host": _dropped,
    "api-key": _api_key,
    "hf-token": _hf_token,
    "enable-lora": _dropped,
    "lora-modules": _adapters,
    "max-num-queued-reqs": _queue,
    "shutdown-timeout": _number("drain", "timeoutSeconds", default=_DEFAULT_DRAIN),
    "otlp-traces-endpoint": _number("tracing", "endpoint", default=""),
    "log-level": _number("logging", "level", default="INFO"),
    "root-path": _number("server", "rootPath", default=""),
    "ssl-keyfile": _certificate,
    "ssl-certfile": _certificate,
}


def migrate(objects: list[Body], server: Server) -> tuple[Migration, list[comparison.Row], list[str]]:
    """Return the migration, the comparison with what the chart makes of it, and what of the chart's rules it breaks."""
    migration = Migration(objects, server)
    rendered, problems = values_file.problems(migration.values)
    for problem in problems:
        # the chart counts what vLLM keeps in host memory; what the manifest gives may be too little
        if found := re.search(r"the server needs ([\d.]+)Gi of host memory (\(.*?\)).*check hostMemory", problem):
            enough = f"{math.ceil(float(found.group(1)))}Gi"
            limits = migration.values["resources"]["limits"]
            requests = migration.values["resources"].get("requests", {})
            if requests.get("memory") == limits["memory"]:
                requests["memory"] = enough
                migration.explained["requests.memory"] = "raised with the limit"
            migration.note(
                "changed",
                "limits.memory",
                f"raised from {limits['memory']} to {enough}, below which vLLM is killed {found.group(2)}",
            )
            limits["memory"] = enough
            rendered, problems = values_file.problems(migration.values)
    rows: list[comparison.Row] = []
    if rendered is not None:
        bodies = [manifest.body for manifest in rendered]
        made = comparison.servers(bodies)[0]
        before, after = migration.before, comparison.facts(bodies, made)
        rows = comparison.rows(before, after, migration.explained)
        if extra := comparison.added(before, after):
            migration.notes["chart"].append(f"added: {', '.join(extra)}")
    return migration, rows, problems
