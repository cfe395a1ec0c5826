"""Tells which peers may connect to which ports of a pod, as a network plugin would by the NetworkPolicies of a render.

The rules are those of https://kubernetes.io/docs/concepts/services-networking/network-policies/ for ingress: a pod that
no policy picks is open to everyone, one that some pick is open to whom any of them lets in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vllm_chart.render.objects import Manifest, Objects, Pod


@dataclass(frozen=True)
class Peer:
    """Who connects: a pod with the labels of it and of its namespace, or an address outside the cluster."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""

    def all_namespace_labels(self) -> dict[str, str]:
        """Return the labels of the namespace with the one that Kubernetes gives every namespace."""
        return {"kubernetes.io/metadata.name": self.namespace, **self.namespace_labels}


def reachable_ports(objects: Objects, pod: Pod, peer: Peer) -> set[int]:
    """Return the declared TCP ports of a kind of pod to which the peer may connect."""
    declared = [port for container in pod.containers() for port in container.body.get("ports", [])]
    policies = [policy for policy in objects.of("NetworkPolicy") if _rules_ingress_of(policy, pod.labels)]
    return {
        port["containerPort"]
        for port in declared
        if not policies
        or any(
            _lets_in(rule, policy.at("metadata", "namespace"), peer) and _opens(rule, port)
            for policy in policies
            for rule in policy.at("spec").get("ingress") or []
        )
    }


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """True if a label selector matches the labels; an empty one matches all.

    Raises:
        ValueError: for an operator that Kubernetes does not have.
    """
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions", []))


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, operator = labels.get(expression["key"]), str(expression["operator"])
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    if operator in ("In", "NotIn"):
        return (value in expression["values"]) == (operator == "In")
    raise ValueError(f"a selector has no operator {operator}")


def _rules_ingress_of(policy: Manifest, labels: Mapping[str, str]) -> bool:
    spec = policy.at("spec")
    return "Ingress" in spec.get("policyTypes", ["Ingress"]) and selects(spec["podSelector"], labels)


def _lets_in(rule: Mapping[str, Any], namespace: str, peer: Peer) -> bool:
    """True if a rule of a policy in that namespace admits the peer; a rule without peers admits all."""
    return not rule.get("from") or any(_is(item, namespace, peer) for item in rule["from"])


def _is(item: Mapping[str, Any], namespace: str, peer: Peer) -> bool:
    if "ipBlock" in item:
        block = item["ipBlock"]
        return _within(peer.address, block["cidr"]) and not any(
            _within(peer.address, hole) for hole in block.get("except", [])
        )
    if peer.address:
        return False
    there = peer.namespace == namespace
    if "namespaceSelector" in item:
        there = selects(item["namespaceSelector"], peer.all_namespace_labels())
    return there and selects(item.get("podSelector", {}), peer.labels)


def _within(address: str, block: str) -> bool:
    return bool(address) and ipaddress.ip_address(address) in ipaddress.ip_network(block)


def _opens(rule: Mapping[str, Any], port: Mapping[str, Any]) -> bool:
    """True if a rule opens a port of a container; a rule without ports opens all."""
    if not rule.get("ports"):
        return True
    number, protocol = port["containerPort"], port.get("protocol", "TCP")
    for item in rule["ports"]:
        if item.get("protocol", "TCP") != protocol:
            continue
        first = item.get("port")
        if first is None or first == port.get("name"):
            return True
        if isinstance(first, int) and first <= number <= item.get("endPort", first):
            return True
    return False
