"""The report of a migration: the server's arguments, resources, exposure and scaling before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vllm_chart.migrate.manifests import (
    Body,
    Server,
    autoscalers,
    container_port,
    ingress_class,
    ingresses,
    metric_text,
    quantity,
    services,
)
from vllm_chart.migrate.part import SECRET_NAME


@dataclass(frozen=True)
class Row:
    """One line of a comparison; `why` says what became of a difference, and is empty where nothing accounts for it."""

    subject: str
    before: str
    after: str
    why: str

    @property
    def open(self) -> bool:
        """Return whether both differ and nothing says why."""
        return self.before != self.after and not self.why


def facts(objects: Sequence[Body], server: Server) -> dict[str, str]:
    """Return what the objects say of the server, as texts by subject."""
    return dict(
        [
            *_command(server),
            *_container(server),
            *_pods(objects, server),
            *_exposure(objects, server),
        ]
    )


def _command(server: Server) -> Iterator[tuple[str, str]]:
    start = server.start
    yield "model", start.model
    for name, value in {**start.flags, **start.absent}.items():
        yield f"--{name}", "(a key)" if name in ("api-key", "hf-token") and value else _text(value)


def _container(server: Server) -> Iterator[tuple[str, str]]:
    for part, amounts in sorted((server.container.get("resources") or {}).items()):
        for name, amount in sorted((amounts or {}).items() if isinstance(amounts, Mapping) else []):
            yield f"{part}.{name}", quantity(amount)
    given = {item["name"]: item for item in server.container.get("env", [])}
    for name, item in given.items():
        yield f"env {name}", _variable(name, item)
    for name, text in server.start.environment.items():
        yield f"env {name}", "(a literal)" if SECRET_NAME.search(name) else text
    ports = [str(port["containerPort"]) for port in server.container.get("ports", [])]
    yield "container port", ports[0] if ports else str(server.start.flags.get("port", 8000))


def _variable(name: str, item: Body) -> str:
    source = item.get("valueFrom")
    if not source:
        return "(a literal)" if SECRET_NAME.search(name) and item.get("value") else str(item.get("value", ""))
    for kind in ("secretKeyRef", "configMapKeyRef"):
        if kind in source:
            return f"{kind.removesuffix('KeyRef')} {source[kind]['name']}/{source[kind]['key']}"
    return _text(source)


def _pods(objects: Sequence[Body], server: Server) -> Iterator[tuple[str, str]]:
    spec = server.workload["spec"]
    scalers = autoscalers(objects, server)
    if not scalers:
        yield "replicas", str(spec.get("replicas", 1))
    for body in scalers:
        yield "autoscaling", body["kind"]
        low = body["spec"].get(
            "minReplicas", body["spec"].get("minReplicaCount", 0 if "triggers" in body["spec"] else 1)
        )
        yield "replicas", f"{low} to {body['spec'].get('maxReplicas', body['spec'].get('maxReplicaCount', 100))}"
        for metric in body["spec"].get("metrics") or []:
            yield "autoscaling metric", metric_text(metric)


def _exposure(objects: Sequence[Body], server: Server) -> Iterator[tuple[str, str]]:
    found = services(objects, server)
    for service in found[:1]:
        spec = service["spec"]
        port = (spec.get("ports") or [{}])[0]
        yield "Service type", spec.get("type", "ClusterIP")
        yield "Service port", str(port.get("port", ""))
        yield "Service target", container_port(port.get("targetPort", port.get("port")), server)
        if "nodePort" in port:
            yield "Service node port", str(port["nodePort"])
    for ingress, routes in ingresses(objects, server):
        yield "Ingress class", ingress_class(ingress)
        for host in dict.fromkeys(host for host, _ in routes):
            yield f"Ingress {host or 'any host'}", ", ".join(path for name, path in routes if name == host)
        for entry in ingress["spec"].get("tls") or []:
            for host in entry.get("hosts") or [""]:
                yield f"TLS {host or 'any host'}", str(entry.get("secretName", ""))


def rows(before: Mapping[str, str], after: Mapping[str, str], explained: Mapping[str, str]) -> list[Row]:
    """Return a line for everything that was there before; `explained` says by subject what became of it."""
    return [
        Row(subject, text, after.get(subject, "-"), "" if after.get(subject) == text else explained.get(subject, ""))
        for subject, text in before.items()
    ]


def added(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the subjects that are new."""
    return [subject for subject in after if subject not in before]


def table(lines: list[Row]) -> str:
    """Return the comparison as text in columns."""
    head = Row("", "before", "the chart", "")
    width = max(len(row.subject) for row in lines)
    columns = [
        min(44, max(len(text) for text in texts))
        for texts in zip(*((row.before, row.after) for row in [head, *lines]), strict=True)
    ]
    shown = []
    for row in [head, *lines]:
        verdict = "" if row is head else row.why or ("DIFFERS" if row.open else "same")
        cells = [_cut(text, size) for text, size in zip((row.before, row.after), columns, strict=True)]
        shown.append(f"  {row.subject:{width}}  {cells[0]}  {cells[1]}  {verdict}".rstrip())
    return "\n".join(shown)


def _cut(text: str, size: int) -> str:
    return f"{text if len(text) <= size else text[: size - 1] + '…':{size}}"


def _text(value: Any) -> str:
    if value is True or value is False:
        return "on" if value else "off"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
