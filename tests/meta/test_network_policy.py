"""The evaluator of NetworkPolicies follows the rules of Kubernetes; a mistake would let everyone in, or nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib.network_policy import Peer, reachable_ports, selects
from vllm_chart.render.objects import Manifest, Objects
from vllm_chart.render.objects import pods as pods_of

LABELS = {"app": "server"}
NAMED = [{"name": "http", "containerPort": 8000, "protocol": "TCP"}, {"name": "debug", "containerPort": 9000}]
CLIENT = Peer("here", {"app": "client"}, {"team": "a"})


def reached(*specs: dict[str, Any], peer: Peer = CLIENT) -> set[int]:
    """The ports of a server in namespace "here" that the peer reaches under policies of these specs."""
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "vllm", "ports": NAMED}]}}
    server = Manifest("-", {"kind": "Deployment", "metadata": {"name": "s"}, "spec": {"template": template}})
    policies = [
        Manifest("-", {"kind": "NetworkPolicy", "metadata": {"name": str(index), "namespace": "here"}, "spec": spec})
        for index, spec in enumerate(specs)
    ]
    return reachable_ports(Objects([server, *policies]), pods_of(server)[0], peer)


def policy(*rules: dict[str, Any], pods: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The spec of a policy for the server."""
    return {"podSelector": pods or {"matchLabels": LABELS}, "policyTypes": ["Ingress"], "ingress": [*rules], **fields}


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([], {8000, 9000}),
        ([policy()], set()),
        ([policy({})], {8000, 9000}),
        ([policy(pods={"matchLabels": {"app": "other"}})], {8000, 9000}),
        ([policy(policyTypes=["Egress"])], {8000, 9000}),
        ([policy(), policy({"ports": [{"port": "http"}]})], {8000}),
        ([policy({"ports": [{"port": 9000}]})], {9000}),
        ([policy({"ports": [{"port": 8000, "endPort": 9000}]})], {8000, 9000}),
        ([policy({"ports": [{"port": 8001, "endPort": 8999}]})], set()),
        ([policy({"ports": [{"protocol": "UDP", "port": 8000}]})], set()),
        ([policy({"ports": [{"protocol": "TCP"}]})], {8000, 9000}),
        ([policy({"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}, {"ports": [{"port": 9000}]})], {9000}),
    ],
)
def test_ports_are_open_to_whom_any_policy_that_picks_the_pod_lets_in(
    specs: list[dict[str, Any]], expected: set[int]
) -> None:
    assert reached(*specs) == expected


@pytest.mark.parametrize(
    ("item", "peer", "inside"),
    [
        ({"podSelector": {}}, CLIENT, True),
        ({"podSelector": {}}, Peer("there"), False),
        ({"namespaceSelector": {}}, Peer("there"), True),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, CLIENT, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "there"}}}, Peer("there"), True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "there"}}}, CLIENT, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "other"}}}, CLIENT, False),
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, Peer(address="198.51.100.7"), True),
        ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["198.51.100.0/24"]}}, Peer(address="198.51.100.7"), False),
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, CLIENT, False),
        ({"namespaceSelector": {}}, Peer(address="198.51.100.7"), False),
    ],
)
def test_a_peer_is_a_pod_of_a_namespace_or_an_address(item: dict[str, Any], peer: Peer, inside: bool) -> None:
    assert reached(policy({"from": [item]}), peer=peer) == ({8000, 9000} if inside else set())


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"key": "app", "operator": "In", "values": ["server", "x"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["server"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["server"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
    ],
)
def test_a_selector_matches_by_its_expressions(expression: dict[str, Any], matches: bool) -> None:
    assert selects({"matchExpressions": [expression]}, LABELS) is matches


def test_an_operator_that_kubernetes_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="no operator Like"):
        selects({"matchExpressions": [{"key": "app", "operator": "Like"}]}, LABELS)
