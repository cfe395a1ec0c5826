"""Why no node takes a pod: what the scheduler would say of each node, and what helps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from vllm_chart.doctor.snapshot import Object, Snapshot, dig, is_ready, name_of

_CONTROL_PLANE = {"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
_UNITS = {"m": Decimal("0.001"), "k": Decimal(10**3), "": Decimal(1)}
_UNITS |= {unit: Decimal(10 ** (3 * (i + 2))) for i, unit in enumerate("MGTPE")}
_UNITS |= {f"{unit}i": Decimal(2 ** (10 * (i + 1))) for i, unit in enumerate("KMGTPE")}


def obstacles_of(snapshot: Snapshot, pod: Object, node: Object) -> Iterator[tuple[str, str]]:
    """Why a node doesn't take a pod, as kind and text; kinds are those that `remedy_for` knows."""
    spec = pod["spec"]
    if not is_ready(node):
        yield "node", "not ready"
    elif node["spec"].get("unschedulable"):
        yield "cordon", "cordoned"
    for taint in node["spec"].get("taints", []):
        if taint["effect"] == "PreferNoSchedule" or taint["key"].startswith("node.kubernetes.io/"):
            continue
        if not any(_tolerates(toleration, taint) for toleration in spec.get("tolerations", [])):
            plane = taint["key"] in _CONTROL_PLANE
            text = f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
            yield ("control plane" if plane else f"taint {text}"), f"taint {text}"
    labels = node["metadata"].get("labels", {})
    for key, value in spec.get("nodeSelector", {}).items():
        if labels.get(key) != value:
            has = f"{key}={labels[key]} and not {value}" if key in labels else f"no label {key}"
            yield f"label {key}={value}", has
    terms = dig(
        spec,
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        default=[],
    )
    if terms and not any(_matches(term, node) for term in terms):
        yield "affinity", "no match for affinity.nodeAffinity"
    offered = dig(node, "status", "allocatable", default={})
    taken = _taken(snapshot, name_of(node))
    for resource, wanted in requests(spec).items():
        total = quantity(offered.get(resource, "0"))
        free = total - taken.get(resource, Decimal(0))
        if wanted > free:
            amount = _amount(resource, free), _amount(resource, total)
            has = f"{amount[0]} of {amount[1]} free" if snapshot.neighbours and total else f"there {amount[1]}"
            kind = "none" if not total else "small" if wanted > total else "full"
            yield f"{kind} {resource}", f"{resource} wanted {_amount(resource, wanted)}, {has}"


def remedy_for(kind: str, snapshot: Snapshot) -> str:
    """What helps against an obstacle of a node."""
    word, _, rest = kind.partition(" ")
    device = rest not in ("cpu", "memory", "ephemeral-storage")
    value = (
        "parallelism (tensor, pipeline and data multiply to the devices)" if device else f"resources.requests.{rest}"
    )
    offers = [n for n in snapshot.of("Node") if quantity(dig(n, "status", "allocatable", rest, default="0"))]
    if word == "none" and device and not offers:
        return (
            f"no node offers {rest}: install its device plugin (for NVIDIA the GPU Operator), add nodes with devices, "
            "or correct accelerator.type or accelerator.resourceName"
        )
    key = rest.partition("=")[0].partition(":")[0]
    texts = {
        "none": f"add a node that offers {rest}",
        "small": f"lower {value}, or add a larger node",
        "full": f"free some {rest}, add a node, or lower {value}",
        "label": f"correct nodeSelector, or label a node: {snapshot.kubectl} label node NODE {rest}",
        "affinity": "correct affinity.nodeAffinity, or label a node",
        "taint": f"add to tolerations {{key: {key}, operator: Exists, effect: {rest.rpartition(':')[2]}}}",
        "control": "add a worker node",
        "cordon": f"when its maintenance is over, {snapshot.kubectl} uncordon NODE",
        "node": "bring the node back, or add one",
    }
    return texts[word]


def by_text(texts: Mapping[str, Iterable[str]]) -> list[str]:
    """The same text once for all nodes that share it, `a, b and 3 more: text`."""
    nodes: dict[str, list[str]] = {}
    for name, found in texts.items():
        nodes.setdefault(", ".join(found), []).append(name)
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {text}"
        for text, names in nodes.items()
    ]


def quantity(text: str | float) -> Decimal:
    """A quantity of Kubernetes, as 500m or 5Gi, as a number."""
    number, unit = re.fullmatch(r"([0-9.+-]+(?:[eE][-+]?\d+)?)([A-Za-z]*)", str(text)).groups()  # type: ignore[union-attr]
    return Decimal(number) * _UNITS[unit]


def requests(spec: Object) -> dict[str, Decimal]:
    """What a pod asks for: the sum of its containers, or the largest init container where that is more."""

    def of(container: Object) -> dict[str, Decimal]:
        wanted = dig(container, "resources", "limits", default={}) | dig(container, "resources", "requests", default={})
        return {name: quantity(amount) for name, amount in wanted.items()}

    total: dict[str, Decimal] = {}
    for container in spec["containers"]:
        for name, amount in of(container).items():
            total[name] = total.get(name, Decimal(0)) + amount
    for container in spec.get("initContainers", []):
        for name, amount in of(container).items():
            total[name] = max(total.get(name, Decimal(0)), amount)
    return total


def _taken(snapshot: Snapshot, node: str) -> dict[str, Decimal]:
    taken: dict[str, Decimal] = {}
    for pod in snapshot.neighbours:
        if pod["spec"].get("nodeName") == node and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            for name, amount in requests(pod["spec"]).items():
                taken[name] = taken.get(name, Decimal(0)) + amount
    return taken


def _amount(resource: str, number: Decimal) -> str:
    if "memory" in resource or "storage" in resource:
        return f"{number / 2**30:.1f}Gi"
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect", taint["effect"]) != taint["effect"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return bool(toleration.get("key", taint["key"]) == taint["key"])
    return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))


def _matches(term: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    fields = {"metadata.name": name_of(node)}
    return all(holds(e, labels) for e in term.get("matchExpressions", [])) and all(
        holds(e, fields) for e in term.get("matchFields", [])
    )


def holds(expression: Object, labels: Mapping[str, str]) -> bool:
    """Return whether labels meet an expression of a selector."""
    key, values = expression["key"], expression.get("values", [])
    have = labels.get(key)
    return {
        "In": have in values,
        "NotIn": have not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
        "Gt": have is not None and have.isdigit() and int(have) > int((values or [0])[0]),
        "Lt": have is not None and have.isdigit() and int(have) < int((values or [0])[0]),
    }[expression["operator"]]


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Return whether a selector picks labels; an empty one picks all."""
    exact = selector.get("matchLabels") or {}
    return exact.items() <= labels.items() and all(holds(e, labels) for e in selector.get("matchExpressions") or [])


def selector_text(selector: Object) -> str:
    """A selector for people, `release: kps`."""
    exact = [f"{key}: {value}" for key, value in (selector.get("matchLabels") or {}).items()]
    more = [f"{e['key']} {e['operator']} {e.get('values', '')}".strip() for e in selector.get("matchExpressions") or []]
    return ", ".join(exact + more)
