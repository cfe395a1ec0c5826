"""Services and Ingresses of the server."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vllm_chart.migrate.manifests import Body, Server, container_port, ingress_class, ingresses, services
from vllm_chart.migrate.part import Part


def service(objects: Sequence[Body], server: Server) -> Part:
    """Return what the server's Services become: the first one is the chart's."""
    part, found = Part(), services(objects, server)
    for body in found[:1]:
        _first_service(part, body, server)
    for body in found[1:]:
        part.note(
            "lost",
            f"Service {body['metadata']['name']}",
            "the chart makes one Service: write another in extraObjects",
        )
    if not found:
        part.notes["chart"].append("Service: there was none, and the chart makes one on port 80")
    return part


def _first_service(part: Part, body: Body, server: Server) -> None:
    spec = body["spec"]
    ports = spec.get("ports") or [{}]
    if ports[0].get("port", 80) != 80:
        part.put("service", "port", ports[0]["port"])
    kind = spec.get("type", "ClusterIP")
    if kind in ("NodePort", "LoadBalancer"):
        part.put("service", "type", kind)
        if "nodePort" in ports[0]:
            part.put("service", "nodePort", ports[0]["nodePort"])
        part.put("checks", "disabled", "serviceType", True)
        part.comment(
            "checks", f"The Service is {kind}, which exposes every path of vLLM, also those that no API key guards."
        )
        part.note(
            "todo",
            "Service type",
            f"{kind} exposes every path of vLLM: better an ingress or httpRoute, which carry /v1 only",
        )
    target = container_port(ports[0].get("targetPort", ports[0].get("port")), server)
    if target != str(server.start.flags.get("port", 8000)):
        part.note("changed", "Service target", f"leads to the server's port; port {target} reached nothing")
    if spec.get("clusterIP") == "None":
        part.note("lost", "clusterIP", "the chart's Service has an address: clients that ask for its name get that one")
    if annotations := body["metadata"].get("annotations"):
        part.put("service", "annotations", annotations)
    for port in ports[1:]:
        part.note(
            "lost",
            f"Service port {port.get('port')}",
            "the chart's Service has one port: write another Service in extraObjects",
        )
    name = body["metadata"]["name"]
    part.note(
        "todo",
        f"Service {name}",
        f"clients reach the new one as RELEASE.NAMESPACE.svc: name the release {name}, or set fullnameOverride "
        "once the old one is gone",
    )


def ingress(objects: Sequence[Body], server: Server) -> Part:
    """Return what the Ingresses that route to the server become."""
    part = Part()
    for body, routes in ingresses(objects, server):
        annotations = dict(body["metadata"].get("annotations") or {})
        annotations.pop("kubernetes.io/ingress.class", None)
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
        rewrite = annotations.pop("nginx.ingress.kubernetes.io/rewrite-target", None)
        annotations.pop("nginx.ingress.kubernetes.io/use-regex", None)
        part.put("ingress", "enabled", True)
        if name := ingress_class(body):
            part.put("ingress", "className", name)
        secrets = {
            host: entry.get("secretName")
            for entry in body["spec"].get("tls") or []
            for host in entry.get("hosts") or []
        }
        for host in dict.fromkeys(host for host, _ in routes if host):
            part.put("ingress", "hosts", host, {"tlsSecret": secrets[host]} if secrets.get(host) else {})
        if annotations:
            part.put("ingress", "annotations", annotations)
        _paths(part, routes, rewrite)
    return part


def _paths(part: Part, routes: list[tuple[str, str]], rewrite: str | None) -> None:
    """Report which paths clients reach; a path that the Ingress removes becomes the server's root path."""
    prefixes = {re.sub(r"[(|].*$", "", path).rstrip("/") for _, path in routes}
    roots = {prefix for prefix in prefixes if prefix and not prefix.startswith(("/v1", "/v2", "/health"))}
    root = next(iter(roots), "") if len(roots) == 1 and rewrite else ""
    if root:
        part.put("server", "rootPath", root)
    listed = sorted(prefix for prefix in prefixes if prefix.startswith(("/v1/", "/v2", "/health")))
    if listed:
        part.put("server", "exposedPaths", sorted({"/v1", *(p for p in listed if not p.startswith("/v1/"))}))
    shown = f"{root}/v1" if root else "/v1"
    for host in dict.fromkeys(host for host, _ in routes):
        paths = [path for name, path in routes if name == host]
        text = f"only {shown} is routed; other paths of vLLM are not for clients (server.exposedPaths)"
        if rewrite:
            text += f"; the server knows {root or '/'} itself (server.rootPath) and nothing is rewritten"
        if paths != ["/v1"]:
            part.note("changed", f"Ingress {host or 'any host'}", text)
