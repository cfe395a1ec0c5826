"""The cluster of `make cluster` is a whole one: storage binds."""

import time
from collections.abc import Iterator

import pytest
from kubernetes import client

from ci.helm_release import HelmRelease
from ci.images import VLLM

CLAIM = "storage-probe"


@pytest.fixture
def claim(release: HelmRelease, core: client.CoreV1Api) -> Iterator[str]:
    """A claim of the default storage class, and a pod that writes to it."""
    core.create_namespaced_persistent_volume_claim(
        release.namespace,
        client.V1PersistentVolumeClaim(
            metadata=client.V1ObjectMeta(name=CLAIM),
            spec=client.V1PersistentVolumeClaimSpec(
                access_modes=["ReadWriteOnce"],
                resources=client.V1VolumeResourceRequirements(requests={"storage": "16Mi"}),
            ),
        ),
    )
    core.create_namespaced_pod(
        release.namespace,
        {
            "metadata": {"name": CLAIM},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 2000,
                    "fsGroup": 2000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "write",
                        "image": VLLM,  # the one image that the nodes have in any case
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["sh", "-c", "echo kept > /data/file && cat /data/file"],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    }
                ],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}],
            },
        },
    )
    yield CLAIM
    core.delete_namespaced_pod(CLAIM, release.namespace, grace_period_seconds=0)
    core.delete_namespaced_persistent_volume_claim(CLAIM, release.namespace)


def test_a_claim_binds_and_a_pod_writes_to_it(release: HelmRelease, core: client.CoreV1Api, claim: str) -> None:
    deadline = time.monotonic() + 120
    while (phase := core.read_namespaced_pod(claim, release.namespace).status.phase) not in ("Succeeded", "Failed"):
        assert time.monotonic() < deadline, f"the pod is {phase} after 2 minutes"
        time.sleep(0.5)
    assert phase == "Succeeded"
    assert core.read_namespaced_pod_log(claim, release.namespace) == "kept\n"
    assert core.read_namespaced_persistent_volume_claim(claim, release.namespace).status.phase == "Bound"
