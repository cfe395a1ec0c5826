"""Who may connect to a server, by the NetworkPolicy of every value set and of single values."""

from __future__ import annotations

from typing import Any

import pytest
from harness import helm
from harness.helm import Rendered
from harness.network_policy import Peer, reachable_ports

#: A pod and an address that no policy of ours knows.
STRANGER = Peer("elsewhere", {"app": "curious"})
INTERNET = Peer(address="198.51.100.7")


def ports(rendered: Rendered, peer: Peer) -> set[int]:
    """The ports of the server to which the peer may connect."""
    return reachable_ports(rendered.objects, rendered.objects.one("Deployment"), peer)


def own(rendered: Rendered) -> set[int]:
    """The ports that the server opens."""
    return reachable_ports(type(rendered.objects)([]), rendered.objects.one("Deployment"), STRANGER)


def test_the_pod_of_helm_test_reaches_every_server(rendered: Rendered) -> None:
    pod = rendered.objects.one("Pod")
    assert ports(rendered, Peer("models", pod.at("metadata", "labels"))) == own(rendered)


def test_a_policy_keeps_strangers_out_and_without_one_everyone_is_in(rendered: Rendered) -> None:
    expected = set() if rendered.objects.of("NetworkPolicy") else own(rendered)
    assert ports(rendered, STRANGER) == ports(rendered, INTERNET) == expected


@pytest.mark.parametrize(
    ("policy", "peer", "reached"),
    [
        ({}, Peer("models", {"app": "client"}), True),
        ({}, Peer("monitoring"), False),
        ({"namespaces": {"monitoring": True}}, Peer("monitoring", {"app": "prometheus"}), True),
        ({"namespaces": {"monitoring": False}}, Peer("monitoring", {"app": "prometheus"}), False),
        ({"from": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}, INTERNET, True),
        ({"from": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}, Peer("models"), False),
        ({"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}, Peer("models", {"app": "a"}), True),
        ({"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}, Peer("models", {"app": "b"}), False),
    ],
)
def test_peers_come_in_by_pod_namespace_or_address(policy: dict[str, Any], peer: Peer, reached: bool) -> None:
    rendered = helm.render({"networkPolicy": {"enabled": True, **policy}})
    assert ports(rendered, peer) == ({8000} if reached else set())
