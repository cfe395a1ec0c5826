"""Checks pods against the Pod Security Standard "restricted", which includes "baseline".

The controls are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/ for a Linux pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm_chart.render.findings import Finding
from vllm_chart.render.objects import Container, Manifest, Objects, Pod, pods

_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    ]
)
_SECCOMP = ("RuntimeDefault", "Localhost")
_APPARMOR = (None, "RuntimeDefault", "Localhost")
_SELINUX_TYPES = (None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


def findings(objects: Objects) -> list[Finding]:
    """Every control of "restricted" that a pod of these objects breaks."""
    return [finding for manifest in objects.workloads() for pod in pods(manifest) for finding in _pod(pod)]


def _pod(pod: Pod) -> Iterator[Finding]:
    manifest, spec, path = pod.manifest, pod.spec, pod.path
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield Finding(manifest, (*path, key), "must not be true")
    for volume in spec.get("volumes", []):
        for kind in sorted(volume.keys() - {"name"} - _VOLUMES):
            yield Finding(manifest, (*path, "volumes", volume["name"]), f"a volume of type {kind} is not allowed")
    context = spec.get("securityContext", {})
    for sysctl in context.get("sysctls", []):
        if sysctl["name"] not in _SYSCTLS:
            yield Finding(manifest, (*path, "securityContext", "sysctls"), f"{sysctl['name']} is not a safe sysctl")
    yield from _context(manifest, (*path, "securityContext"), context)
    for container in pod.containers():
        yield from _container(container, context)


def _context(manifest: Manifest, path: tuple[str | int, ...], context: dict[str, Any]) -> Iterator[Finding]:
    """Return controls that hold for the security context of a pod and of a container alike."""
    if context.get("runAsUser") == 0:
        yield Finding(manifest, (*path, "runAsUser"), "must not be 0")
    if context.get("runAsNonRoot") is False:
        yield Finding(manifest, (*path, "runAsNonRoot"), "must not be false")
    profile = context.get("seccompProfile", {}).get("type")
    if profile is not None and profile not in _SECCOMP:
        yield Finding(manifest, (*path, "seccompProfile"), f"{profile} is neither RuntimeDefault nor Localhost")
    if context.get("appArmorProfile", {}).get("type") not in _APPARMOR:
        yield Finding(manifest, (*path, "appArmorProfile"), "must be RuntimeDefault or Localhost")
    options = context.get("seLinuxOptions", {})
    if options.get("type") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
        yield Finding(manifest, (*path, "seLinuxOptions"), "may name only a container type, no user and no role")
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield Finding(manifest, (*path, "windowsOptions", "hostProcess"), "must not be true")


def _container(container: Container, pod_context: dict[str, Any]) -> Iterator[Finding]:
    manifest, path, body = container.manifest, container.path, container.body
    context = body.get("securityContext", {})
    inside = (*path, "securityContext")
    yield from _context(manifest, inside, context)
    if context.get("privileged"):
        yield Finding(manifest, (*inside, "privileged"), "must not be true")
    if context.get("allowPrivilegeEscalation") is not False:
        yield Finding(manifest, (*inside, "allowPrivilegeEscalation"), "must be false")
    if context.get("procMount", "Default") != "Default":
        yield Finding(manifest, (*inside, "procMount"), "must be Default")
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield Finding(manifest, (*inside, "capabilities", "drop"), "must hold ALL")
    for capability in capabilities.get("add", []):
        if capability != "NET_BIND_SERVICE":
            yield Finding(manifest, (*inside, "capabilities", "add"), f"must not hold {capability}")
    if "runAsNonRoot" not in context and not pod_context.get("runAsNonRoot"):
        yield Finding(manifest, (*inside, "runAsNonRoot"), "must be true here or for the pod")
    if not (context.get("seccompProfile") or pod_context.get("seccompProfile")):
        yield Finding(manifest, (*inside, "seccompProfile"), "must be set here or for the pod")
    for port in body.get("ports", []):
        if port.get("hostPort"):
            yield Finding(manifest, (*path, "ports"), f"hostPort {port['hostPort']} is not allowed")
    handlers = {name: body.get(name, {}) for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    for name, handler in {**handlers, **body.get("lifecycle", {})}.items():
        if any(handler.get(action, {}).get("host") for action in ("httpGet", "tcpSocket")):
            yield Finding(manifest, (*path, name), "must not name a host")
