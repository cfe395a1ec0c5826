"""One server on two nodes answers, and is there again after any of its pods was lost."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ci import load_images
from ci.addons import install as addons
from ci.demo import MODEL
from ci.helm_release import HelmRelease
from tests.e2e.conftest import FILES
from tests.e2e.multinode.groups import (
    GroupPods,
    await_groups,
    group_values,
    identities,
    last_message,
    leaders,
    start_seconds,
    starts,
    workers,
)

#: As long as Helm takes it: LeaderWorkerSet's name, which becomes a label of its pods, must be shorter.
LONG_NAME = "a-release-whose-name-is-as-long-as-helm-takes-a-names"
assert len(LONG_NAME) == 53
#: Ends every process of a container but process 1, as a fault of the machine would.
KILL = "import os, signal; os.kill(-1, signal.SIGKILL)"
#: Says of each address and port of a list whether it can be connected to.
CONNECT = """
import json, socket, sys
def opens(end):
    try:
        socket.create_connection(tuple(end), timeout=3).close()
    except OSError:
        return False
    return True
print(json.dumps([opens(end) for end in json.loads(sys.argv[1])]))
"""
_CHART = "app.kubernetes.io/managed-by=Helm"
_MEMBERS = 29501  # the port of a leader to which its workers stay connected
Record = Callable[..., None]


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    addons.leader_worker_set()
    return group_values(load_images.even_model())


@pytest.fixture(scope="module")
def release(new_release: Callable[..., HelmRelease], values: dict[str, Any]) -> HelmRelease:
    """One group."""
    release = new_release(LONG_NAME)
    release.install(FILES, values)
    await_groups(release)
    return release


def _answer(release: HelmRelease) -> str:
    question = {"role": "user", "content": "What is the capital of France?"}
    body = {"model": MODEL, "messages": [question], "max_tokens": 20, "temperature": 0}
    with release.forward(f"service/{release.name}", 80) as address:
        answer = httpx.post(f"http://{address}/v1/chat/completions", json=body, timeout=120)
    return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


def _name(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def test_two_pods_on_two_nodes_answer_as_one(release: HelmRelease, record: Record) -> None:
    (leader,), (worker,) = leaders(release), workers(release)
    assert leader["spec"]["nodeName"] != worker["spec"]["nodeName"]
    assert "Paris" in _answer(release)
    for pod in (leader, worker):
        said = release.kubectl("logs", _name(pod))
        assert "Group: all pods are there" in said
    assert "headless multiproc executor" in release.kubectl("logs", _name(worker))
    group, members = starts(release)
    shown = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in members.items())
    record("group of 2 pods started", ready_after=f"{group:.0f} s", members=shown)
    assert group <= max(members.values()) + 10


def test_ports_of_the_group_are_the_members_own(release: HelmRelease) -> None:
    (leader,), (worker,) = leaders(release), workers(release)
    address = leader["status"]["podIP"]
    (service,) = json.loads(release.kubectl("get", "services", f"--selector={_CHART}", "--output=json"))["items"]
    assert [port["port"] for port in service["spec"]["ports"]] == [80]
    # what a member sees: vLLM's port and that of the members at the leader, the Service, and neither port here
    ends = [(address, 8000), (address, _MEMBERS), (service["spec"]["clusterIP"], 80)]
    shut = [(worker["status"]["podIP"], 8000), (worker["status"]["podIP"], _MEMBERS)]
    said = release.kubectl("exec", _name(worker), "--", "python3", "-c", CONNECT, json.dumps([*ends, *shut]))
    assert json.loads(said) == [True] * len(ends) + [False] * len(shut)


def test_helm_test_passes_for_a_group(release: HelmRelease) -> None:
    assert "Succeeded" in release.helm("test", release.name, "--timeout", "300s")


def _renewed(
    release: HelmRelease, group_pods: GroupPods, event: str, lose: Callable[[], object], record: Record
) -> None:
    """Lose a pod of the only group, and wait until it serves again."""
    before = identities(release)
    lost = time.monotonic()
    lose()
    await_groups(release, without=before)
    seconds = time.monotonic() - lost
    (leader,) = leaders(release)
    start = f"{start_seconds(leader):.0f} s"
    record(event, ready_again_after=f"{seconds:.0f} s", of_which_the_start=start, pods=group_pods.timeline())
    assert "Paris" in _answer(release)


@pytest.mark.parametrize("member", ["worker", "leader"])
def test_a_group_is_renewed_when_a_member_breaks(
    release: HelmRelease, group_pods: GroupPods, member: str, record: Record
) -> None:
    (pod,) = {"leader": leaders, "worker": workers}[member](release)
    _renewed(
        release,
        group_pods,
        f"processes of the {member} killed",
        lambda: release.kubectl("exec", _name(pod), "--", "python3", "-c", KILL, check=False),
        record,
    )


@pytest.mark.parametrize("member", ["leader", "worker"])
def test_a_group_is_renewed_when_a_member_is_deleted(
    release: HelmRelease, group_pods: GroupPods, member: str, record: Record
) -> None:
    (pod,) = {"leader": leaders, "worker": workers}[member](release)
    name = _name(pod)
    _renewed(
        release, group_pods, f"{member} deleted", lambda: release.kubectl("delete", "pod", name, "--wait=false"), record
    )
    group_pods.assert_leaders_went_first()


def test_a_leader_says_which_pod_never_came(
    new_release: Callable[..., HelmRelease], values: dict[str, Any], record: Record
) -> None:
    release = new_release("never")
    nowhere = {"nodeSelector": {"example.com/no-such-label": "true"}}
    release.install(FILES, values | {"distributed": {"joinTimeoutSeconds": 15, "workerPodSpec": nowhere}})
    message = last_message(release, 0)
    record("worker never scheduled", reason=message.strip())
    assert "After 15 s 1 of 2 pods are there, without never-0-1: see kubectl describe pod." in message
    # and that one says why
    assert "didn't match Pod's node affinity/selector" in release.kubectl("describe", "pod", "never-0-1")


def test_an_image_without_ray_says_so(
    new_release: Callable[..., HelmRelease], values: dict[str, Any], record: Record
) -> None:
    release = new_release("rayless")
    release.install([*FILES], values | {"distributed": {"backend": "ray"}})
    message = last_message(release, 1)
    record("distributed.backend ray, image without Ray", reason=message.strip())
    assert "The image has no Ray" in message
