"""`make cluster`, `make cluster-addons`, `make cluster-down`: one kind cluster that belongs to this project."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from ci import docker_engine, images, tools
from vllm_chart.cache import CACHE
from vllm_chart.entry_point import main
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import run
from vllm_chart.progress import say, step

NAME = os.environ.get("CLUSTER") or "vllm-chart"
KUBECONFIG = CACHE / f"kubeconfig-{NAME}"
NODE_PORT = 30080  # the one NodePort that is published on 127.0.0.1
DEFAULT_PORT = 8000
ARCHIVES = "/kind/archives"  # where a node sees the images that were built here
_STATE = CACHE / f"cluster-{NAME}.json"
_KUBEADM_PATCHES: list[dict[str, Any]] = [
    {"kind": "KubeletConfiguration", "failCgroupV1": False},
    {"kind": "ClusterConfiguration", "encryptionAlgorithm": "ECDSA-P256"},  # made in no time, unlike ten RSA keys
]
_POD_SUBNET = "10.244.0.0/16"  # kind's default


@dataclass(frozen=True)
class State:
    """What this project knows of the cluster it made; written before the first container and after the last step.

    Attributes:
        images: `registry` or `build`.
        workers: number of worker nodes.
        port: on 127.0.0.1, published from NODE_PORT.
        nodes: container ids by node name; empty while the cluster is being made.
    """

    images: str
    workers: int
    port: int
    nodes: dict[str, str]


def read_state() -> State | None:
    """The state of the cluster, or None where this project has made none."""
    try:
        return State(**json.loads(_STATE.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write_state(state: State) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    _STATE.write_text(json.dumps(asdict(state)))


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl against the cluster."""
    return run(["kubectl", f"--kubeconfig={KUBECONFIG}", *arguments], stdin=stdin, check=check)


def images_mode() -> str:
    """Where the cluster's images come from, or will when it is made: `registry` or `build`."""
    tools.put_on_path()
    docker_engine.ensure()
    state = read_state()
    return state.images if state and state.nodes else images.choose()


def use(workers: int = 1) -> State:
    """The cluster, ready: makes tools, Docker and the cluster where they are missing.

    Args:
        workers: how many a new cluster gets where $WORKERS doesn't say; one that is there stays as it is.
    """
    tools.put_on_path()
    docker_engine.ensure()
    state = _existing()
    return state if state and _answers() else _create(workers)


def up() -> None:
    """`make cluster`."""
    state = use()
    say(f"Cluster {NAME}: 1 control plane, {state.workers} worker(s), NodePort {NODE_PORT} on 127.0.0.1:{state.port}")
    say(f"  export KUBECONFIG={KUBECONFIG}")


def _containers() -> dict[str, str]:
    """Ids by name of all containers that kind labelled with our cluster's name, running or not."""
    template = "{{.Names}} {{.ID}}"
    lines = run(
        ["docker", "ps", "--all", "--no-trunc", f"--filter=label=io.x-k8s.kind.cluster={NAME}", f"--format={template}"]
    )
    return dict(line.split() for line in lines.splitlines())


def _existing() -> State | None:
    """The state of a whole cluster of ours; None where there is none or a broken one, which is deleted.

    Raises:
        UserError: where the name is taken by a cluster that isn't ours, or ours has another shape than asked for.
    """
    state, containers = read_state(), _containers()
    if not containers:
        return None
    if state is None or (state.nodes and state.nodes != containers):
        raise UserError(
            f"A kind cluster named {NAME} exists that this project didn't make: delete it "
            f"(`kind delete cluster --name {NAME}`), or take another name with `make … CLUSTER=name`."
        )
    running = run(["docker", "ps", "--no-trunc", "--format={{.ID}}"]).split()
    if not state.nodes or not set(containers.values()) <= set(running):
        _delete()
        return None
    for what, variable, have in (("worker(s)", "WORKERS", state.workers), ("as its port", "PORT", state.port)):
        wanted = os.environ.get(variable)
        if wanted and int(wanted) != have:
            raise UserError(f"The cluster {NAME} has {have} {what}: run `make cluster-down` first to get {wanted}.")
    return state


def _answers() -> bool:
    """Return whether the API server answers and every node is Ready."""
    try:
        nodes = json.loads(kubectl("get", "nodes", "--output=json", "--request-timeout=10s"))["items"]
    except CommandError:
        return False
    return bool(nodes) and all(_condition(node, "Ready") == "True" for node in nodes)


def is_ready(node: str) -> bool:
    """Return whether a node is Ready, as the API server has it."""
    return _condition(json.loads(kubectl("get", "node", node, "--output=json")), "Ready") == "True"


def _condition(resource: dict[str, Any], kind: str) -> str:
    return next((c["status"] for c in resource["status"].get("conditions", []) if c["type"] == kind), "Unknown")


def _number(variable: str, default: int, low: int, high: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not low <= int(text) <= high:
        raise UserError(f"{variable}={text} isn't a whole number from {low} to {high}.")
    return int(text)


def _require_free_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(
                f"Port {port} on 127.0.0.1 is taken: end what uses it, or choose another with PORT=8001."
            ) from None


def _create(workers: int) -> State:
    workers = _number("WORKERS", workers, 1, 5)
    port = _number("PORT", DEFAULT_PORT, 1024, 65535)
    if _containers():
        _delete()  # ours, and it doesn't answer
    _require_free_port(port)
    mode = images.choose()
    node_image = images.node(mode)
    _write_state(State(mode, workers, port, {}))
    built = mode == "build"
    node: dict[str, Any] = {"image": node_image}
    if built:
        archives = CACHE / "images"
        node["extraMounts"] = [{"hostPath": str(archives), "containerPath": ARCHIVES, "readOnly": True}]
    configuration = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": built, "ipFamily": "ipv4", "podSubnet": _POD_SUBNET},
        "kubeadmConfigPatches": [yaml.safe_dump(patch) for patch in _KUBEADM_PATCHES] if built else [],
        "nodes": [
            node
            | {
                "role": "control-plane",
                "extraPortMappings": [{"containerPort": NODE_PORT, "hostPort": port, "listenAddress": "127.0.0.1"}],
            },
            *[node | {"role": "worker"}] * workers,
        ],
    }
    with step(f"Create the kind cluster {NAME}", hint="about 30 s"):
        run(
            ["kind", "create", "cluster", f"--name={NAME}", f"--kubeconfig={KUBECONFIG}", "--config=-"],
            stdin=yaml.safe_dump(configuration),
            timeout=600,
        )
        if built:
            _pod_network()
        for resource in ("nodes --all", "--namespace=kube-system deployments/coredns"):
            condition = "Ready" if "nodes" in resource else "Available"
            kubectl("wait", f"--for=condition={condition}", "--timeout=180s", *resource.split())
    state = State(mode, workers, port, _containers())
    _write_state(state)
    return state


def _pod_network() -> None:
    """Connect the pods of all nodes with routes, where kind's own network plugin can't be pulled.

    Done from outside, because a node's credentials may not list the other nodes.
    """
    deadline = time.monotonic() + 60
    while True:  # the controller manager gives each node its range soon after it has joined
        nodes = {
            node["metadata"]["name"]: (
                next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"),
                node["spec"].get("podCIDR", ""),
            )
            for node in json.loads(kubectl("get", "nodes", "--output=json"))["items"]
        }
        if all(ranges for _, ranges in nodes.values()):
            break
        if time.monotonic() > deadline:
            raise UserError(f"The nodes got no pod addresses in 60 s: {nodes}. See `kubectl get nodes -o yaml`.")
        time.sleep(0.5)
    for name, (_, own) in nodes.items():
        plugins = [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-ipam-state",
                    "ranges": [[{"subnet": str(ipaddress.ip_network(own))}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ]
        script = [
            "sysctl --quiet net.ipv4.ip_forward=1",
            *(f"ip route replace {other} via {address}" for peer, (address, other) in nodes.items() if peer != name),
            f"rule='POSTROUTING -s {own} ! -d {_POD_SUBNET} -j MASQUERADE'",
            "iptables -t nat -C $rule 2>/dev/null || iptables -t nat -A $rule",
        ]
        conflist = {"cniVersion": "1.0.0", "name": "pod-network", "plugins": plugins}
        in_node(name, "mkdir", "-p", "/etc/cni/net.d")
        in_node(name, "tee", "/kind/pod-network", stdin="\n".join(script) + "\n")
        in_node(name, "systemctl", "start", "pod-network")
        in_node(name, "tee", "/etc/cni/net.d/10-pod-network.conflist", stdin=json.dumps(conflist))


def in_node(node: str, *command: str, stdin: str | None = None) -> str:
    """Run a program in a node."""
    return run(["docker", "exec", "--interactive", node, *command], stdin=stdin)


def _delete() -> None:
    with step(f"Delete the kind cluster {NAME}"):
        run(["kind", "delete", "cluster", f"--name={NAME}", f"--kubeconfig={KUBECONFIG}"])
        _STATE.unlink(missing_ok=True)
        KUBECONFIG.unlink(missing_ok=True)


def down() -> None:
    """`make cluster-down`: the cluster, kind's network if nobody else uses it, and our own Docker engine go."""
    tools.put_on_path()
    state = read_state()
    if state is None and not docker_engine.ours():
        docker_engine.stop()  # an engine that died may have left settings
        say("There is no cluster of this project.")
        return
    docker_engine.ensure()
    containers = _containers()
    if state and containers and (not state.nodes or state.nodes == containers):
        _delete()
    _STATE.unlink(missing_ok=True)
    others = run(["docker", "ps", "--all", "--quiet", "--filter=label=io.x-k8s.kind.cluster"]).split()
    if not others:
        run(["docker", "network", "rm", "kind"], check=False)
    if not docker_engine.ours():
        images.remove_from_docker()
    docker_engine.stop()
    say(f"The cluster is gone. What was downloaded and built stays in {CACHE} (`make clean-cache`).")


if __name__ == "__main__":
    commands = {"up": up, "down": down}
    main(commands[sys.argv[1]])
