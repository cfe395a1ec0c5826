"""Who may connect to a server, by the NetworkPolicy of every value set and of single values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib.network_policy import Peer, reachable_ports
from vllm_chart.render import helm
from vllm_chart.render.helm import Render
from vllm_chart.render.objects import Objects, Pod, pods

#: How the renders' objects are called.
RELEASE = "test"

#: A pod and an address that no policy of ours knows.
STRANGER = Peer("elsewhere", {"app": "curious"})
INTERNET = Peer(address="198.51.100.7")


def serving(rendered: Render) -> Pod:
    """The kind of pod that has an API server: the only one, or the leader of a group."""
    (server,) = rendered.objects.servers()
    return pods(server)[0]


def ports(rendered: Render, peer: Peer) -> set[int]:
    """The ports of the server to which the peer may connect."""
    return reachable_ports(rendered.objects, serving(rendered), peer)


def own(rendered: Render) -> set[int]:
    """The port that the server opens to its clients."""
    given = [port for container in serving(rendered).containers() for port in container.body.get("ports", [])]
    return {port["containerPort"] for port in given if port["name"] in ("http", "https")}


def test_the_pod_of_helm_test_reaches_every_server(rendered: Render) -> None:
    pod = rendered.objects.one("Pod")
    assert ports(rendered, Peer("models", pod.at("metadata", "labels"))) >= own(rendered)


def test_a_policy_keeps_strangers_out_and_without_one_everyone_is_in(rendered: Render) -> None:
    policies = {policy.name.removeprefix(RELEASE) for policy in rendered.objects.of("NetworkPolicy")}
    expected = reachable_ports(Objects([]), serving(rendered), STRANGER)
    if policies:
        expected = own(rendered) if policies == {"-group"} else set()
    assert ports(rendered, STRANGER) == ports(rendered, INTERNET) == expected


def test_the_ports_between_the_pods_of_a_group_are_open_to_the_release_alone() -> None:
    values = {"parallelism": {"nodes": 2, "tensor": 2}}
    closed, opened = (helm.render({**values, "networkPolicy": {"group": group}}) for group in (True, False))
    assert ports(closed, STRANGER) == ports(closed, Peer("models", {"app": "client"})) == {8000}
    assert ports(opened, STRANGER) == {8000, 29501}
    (server,) = closed.objects.servers()
    for pod in pods(server):
        assert ports(closed, Peer("models", pod.labels)) == {8000, 29501}
        assert not ports(closed, Peer("elsewhere", pod.labels)) & {29501}


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
