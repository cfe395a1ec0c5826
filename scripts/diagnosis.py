"""What is wrong with a release of the chart: from what was read of a cluster to findings, without asking anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from scripts import reasons
from scripts.reasons import Meaning

Object = dict[str, Any]

CONTAINER = "vllm"  # the server's name in every pod of the chart
INSTANCE = "app.kubernetes.io/instance"
#: How long ago a container may have ended to count still; Kubernetes keeps events as long.
RECENT = timedelta(hours=1)
#: What controllers and a container that comes back get before they are complained of.
PATIENCE = timedelta(minutes=2)
_CONTROL_PLANE = {"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
_WAITS_FOR_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CANT_BE_MADE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        problem: what, in one sentence without a full stop.
        where: the object that shows it.
        remedy: what to do, with the value to change.
        look: the command that shows it.
    """

    problem: str
    where: str
    remedy: str
    look: str


@dataclass(frozen=True)
class Seen:
    """What was read of a cluster.

    Attributes:
        release: the release's name.
        namespace: where it is.
        now: when it was read.
        objects: of the release; claims and events of its namespace; nodes, classes and Prometheus objects of the cluster.
        neighbours: the pods of all namespaces, where one of the release waits for a node and they may be read.
        secrets: names of the keys of each Secret that the release refers to; None for one that isn't there.
        logs: the end of what a container has printed, by pod and container.
        helm: status of Helm's last operation on the release, as `deployed`; empty where Helm knows none.
        kubectl: the command with the flags that reach the same cluster.
    """

    release: str
    namespace: str
    now: datetime
    objects: tuple[Object, ...] = ()
    neighbours: tuple[Object, ...] = ()
    secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    helm: str = ""
    kubectl: str = "kubectl"

    def of(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [item for item in self.objects if item["kind"] in kinds]

    def named(self, kind: str, name: str) -> Object | None:
        """The object of a kind with a name."""
        return next((item for item in self.of(kind) if _name(item) == name), None)

    def workloads(self) -> list[Object]:
        """What makes the release's servers; an umbrella chart may have several."""
        return [item for item in self.of("Deployment", "LeaderWorkerSet") if _server(pod_spec(item))]

    def servers(self) -> list[Object]:
        """The release's pods with a server."""
        return [pod for pod in self.of("Pod") if _server(pod["spec"])]

    def events(self, item: Object, *event_reasons: str) -> list[Object]:
        """The events of an object for some reasons, the latest last."""
        found = [
            event
            for event in self.of("Event")
            if event["involvedObject"].get("uid") == item["metadata"].get("uid") and event["reason"] in event_reasons
        ]
        return sorted(found, key=_event_time)

    def command(self, text: str) -> str:
        """A kubectl command in the release's namespace."""
        return f"{self.kubectl} -n {self.namespace} {text}"

    def since(self, time: str | None) -> timedelta:
        """The time that has passed since then; none where there is no time."""
        return self.now - _time(time) if time else timedelta(0)


Rule = Callable[[Seen], Iterator[Finding]]


def diagnose(seen: Seen) -> list[Finding]:
    """Everything that is wrong, causes first; what only follows from a cause is left out."""
    found = [finding for rule in CAUSES for finding in rule(seen)]
    if not found:
        found = [finding for rule in CONSEQUENCES for finding in rule(seen)]
    found += [finding for rule in AROUND for finding in rule(seen)]
    return _together(found)


def summary(seen: Seen) -> list[str]:
    """A line for each workload: what it serves, how many servers are ready, and how often they have restarted."""
    lines = []
    for workload in seen.workloads():
        ready = _dig(workload, "status", "readyReplicas", default=0)
        wanted = _dig(workload, "spec", "replicas", default=1)
        server = _server(pod_spec(workload)) or {}
        restarts = sum(
            status["restartCount"]
            for pod in seen.servers()
            if _belongs(pod, workload)
            for status in _dig(pod, "status", "containerStatuses", default=[])
        )
        line = f"{_where(workload)} serves {served_name(server)}: {ready} of {wanted} ready, {restarts} restarts"
        lines.append(f"{line}, {server.get('image', '')}")
    return lines


def notes(seen: Seen) -> list[str]:
    """What is under way or chosen, and not wrong."""
    lines = []
    for workload in seen.workloads():
        if _dig(workload, "spec", "replicas", default=1) == 0:
            lines.append(f"{_where(workload)} is scaled to zero.")
    for pod in seen.servers():
        status = _status(pod, CONTAINER)
        if deleted := pod["metadata"].get("deletionTimestamp"):
            left = int((_time(deleted) - seen.now).total_seconds())
            lines.append(f"{_where(pod)} stops; its requests have {max(left, 0)} s left.")
        elif "running" in status.get("state", {}) and not status.get("started"):
            passed = int(seen.since(status["state"]["running"]["startedAt"]).total_seconds())
            lines.append(f"{_where(pod)} has been loading for {passed} s of {_budget(pod)} s (startup.timeoutSeconds).")
        elif any("running" in s.get("state", {}) for s in _dig(pod, "status", "initContainerStatuses", default=[])):
            lines.append(f"{_where(pod)} prepares its model: {seen.command(f'logs {_name(pod)} --all-containers')}")
    return lines


# -- Causes, on the way of a server from its pod's creation to its end --------------------------------------------------


def refused(seen: Seen) -> Iterator[Finding]:
    """Pods that the API server doesn't let in."""
    for owner in seen.of("ReplicaSet", "StatefulSet"):
        failure = _condition(owner, "ReplicaFailure")
        events = seen.events(owner, "FailedCreate")
        made = seen.events(owner, "SuccessfulCreate")
        if failure:
            message = failure["message"]
        elif owner["kind"] == "StatefulSet" and events and events[-1:] == sorted(events + made, key=_event_time)[-1:]:
            message = events[-1]["message"]
        else:
            continue
        why = reasons.meaning(reasons.REFUSED, message) or Meaning(
            f"The cluster doesn't let the pod in: {reasons.masked(message)}", "change the value that it names"
        )
        yield Finding(why.problem, _where(owner), why.remedy, seen.command(f"describe {_where(owner).lower()}"))


def unschedulable(seen: Seen) -> Iterator[Finding]:
    """Pods that wait for a node."""
    for pod in seen.servers():
        scheduled = _condition(pod, "PodScheduled")
        if not scheduled or scheduled["status"] == "True":
            continue
        look = seen.command(f"describe pod {_name(pod)}")
        obstacles = {_name(node): list(_obstacles(seen, pod, node)) for node in seen.of("Node")}
        if obstacles and all(obstacles.values()):
            workers = {name: found for name, found in obstacles.items() if "control plane" not in dict(found)}
            texts = _by_text({name: [text for _, text in found] for name, found in (workers or obstacles).items()})
            fewest = min(len(found) for found in (workers or obstacles).values())
            kinds = {k: None for found in (workers or obstacles).values() if len(found) == fewest for k, _ in found}
            remedy = "; or ".join(_remedy(kind, pod, seen) for kind in kinds)
            yield Finding(f"No node takes the pod: {'; '.join(texts)}", _where(pod), remedy, look)
        elif "ersistentvolumeclaim" in scheduled.get("message", "").lower():
            continue  # `claims` says why
        else:
            message = scheduled.get("message") or scheduled.get("reason", "")
            why = reasons.meaning(reasons.SCHEDULER, message) or Meaning(
                f"No node takes the pod: {message}", "see what each node lacks, and what the pod asks for"
            )
            yield Finding(why.problem, _where(pod), why.remedy, look)


def claims(seen: Seen) -> Iterator[Finding]:
    """Claims that aren't there or aren't bound."""
    for workload, name, value in _claim_references(seen):
        claim = seen.named("PersistentVolumeClaim", name)
        look = seen.command(f"describe pvc {name}")
        if not claim:
            yield Finding(
                f"Claim {name} isn't there",
                _where(workload),
                f"make it, or correct {value}",
                seen.command("get pvc"),
            )
        elif claim["status"].get("phase") == "Lost":
            yield Finding(
                f"The volume of claim {name} is gone",
                _where(claim),
                "restore the volume, or delete the claim and let a new one be made",
                look,
            )
        elif claim["status"].get("phase") == "Pending" and (why := _unbound(seen, claim, value)):
            yield Finding(why.problem, _where(claim), why.remedy, look)


def secrets(seen: Seen) -> Iterator[Finding]:
    """Secrets that aren't there, or lack the key that is asked for."""
    for owner, name, key, value in secret_references(seen):
        if name not in seen.secrets:
            continue  # they may not be read
        keys = seen.secrets[name]
        look = seen.command(f"describe secret {name}")
        if keys is None:
            made = f"create secret generic {name}" + (f" --from-literal={key}=…" if key else "")
            yield Finding(
                f"Secret {name} isn't there", _where(owner), f"make it, or correct {value}: {seen.command(made)}", look
            )
        elif key and key not in keys:
            has = f"it has {', '.join(sorted(keys))}" if keys else "it has none"
            remedy = f"correct the key in {value}, or add it to the Secret"
            yield Finding(f"Secret {name} has no key {key}; {has}", _where(owner), remedy, look)


def images(seen: Seen) -> Iterator[Finding]:
    """Images that a node doesn't get."""
    for pod in seen.servers():
        for status, waiting in _waiting(pod, _WAITS_FOR_IMAGE):
            events = [e["message"] for e in seen.events(pod, "Failed") if "Back-off" not in e["message"]]
            message = "\n".join([waiting.get("message", ""), *events[-1:], waiting["reason"]])
            image = next((m for m in re.findall(r'image "([^"]+)"', message)), status["image"])
            given = [item["name"] for item in pod["spec"].get("imagePullSecrets", [])]
            lacking = [name for name in given if name in seen.secrets and seen.secrets[name] is None]
            names = "pull secret " + ", ".join(f"{n} (which isn't there)" if n in lacking else n for n in given)
            words = {
                "image": image,
                "value": _image_value(pod, status["name"], image),
                "secrets": names if given else "no pull secret",
            }
            why = reasons.meaning(reasons.PULL, message, **words) or Meaning(
                f"The node doesn't get {image}: {waiting.get('message') or waiting['reason']}",
                f"correct {words['value']}, or imagePullSecrets",
            )
            yield Finding(why.problem, _where(pod), why.remedy, seen.command(f"describe pod {_name(pod)}"))


def containers_that_cannot_be_made(seen: Seen) -> Iterator[Finding]:
    """Containers that the kubelet can't make."""
    for pod in seen.servers():
        for status, waiting in _waiting(pod, _CANT_BE_MADE):
            message = waiting.get("message", waiting["reason"])
            why = reasons.meaning(reasons.CONTAINER, message)
            if why and why.problem.startswith("Secret ") and _secrets_are_found(seen):
                continue
            why = why or Meaning(
                f"The kubelet can't make container {status['name']}: {reasons.masked(message)}",
                "change what it names in podSpec, engine.env or initContainers",
            )
            yield Finding(why.problem, _where(pod), why.remedy, seen.command(f"describe pod {_name(pod)}"))


def volumes(seen: Seen) -> Iterator[Finding]:
    """Volumes that aren't mounted, and networks that aren't set up, for a pod that has a node."""
    for pod in seen.servers():
        if not list(_waiting(pod, {"ContainerCreating", "PodInitializing"})):
            continue
        events = seen.events(pod, "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
        if not events or seen.since(_event_time_text(events[-1])) > RECENT:
            continue
        message = events[-1]["message"]
        why = reasons.meaning(reasons.MOUNT, message)
        if why and "Secret" in why.problem and _secrets_are_found(seen):
            continue
        why = why or Meaning(
            f"The node can't set the pod up: {reasons.masked(message)}", "mend the volume or the node that it names"
        )
        yield Finding(why.problem, _where(pod), why.remedy, seen.command(f"describe pod {_name(pod)}"))


def ends(seen: Seen) -> Iterator[Finding]:
    """Containers that have ended when they should run."""
    for pod in seen.servers():
        for status in _statuses(pod):
            ended = _dig(status, "state", "terminated") or _dig(status, "lastState", "terminated")
            initial = status["name"] not in [c["name"] for c in pod["spec"]["containers"]]
            if not ended or (initial and ended["exitCode"] == 0):
                continue
            if status.get("ready") and seen.since(ended.get("finishedAt")) > RECENT:
                continue
            if "deletionTimestamp" in pod["metadata"]:
                continue
            why = _why_it_ended(seen, pod, status, ended)
            previous = " --previous" if "terminated" in status.get("lastState", {}) else ""
            times = f", {status['restartCount']} restarts" if status["restartCount"] else ""
            yield Finding(
                why.problem,
                f"{_where(pod)}, container {status['name']}{times}",
                why.remedy,
                seen.command(f"logs {_name(pod)} -c {status['name']}{previous} --tail=100"),
            )


def unready(seen: Seen) -> Iterator[Finding]:
    """Servers that run, have been ready, and aren't now."""
    for pod in seen.servers():
        status = _status(pod, CONTAINER)
        runs = "running" in status.get("state", {}) and status.get("started") and not status.get("ready")
        events = [e["message"] for e in seen.events(pod, "Unhealthy") if e["message"].startswith("Readiness")]
        if not runs or not events or "deletionTimestamp" in pod["metadata"]:
            continue
        message = events[-1].removeprefix("Readiness probe failed: ")
        if "503" in message:
            problem = "The server says that its engine is dead or makes no progress (/health is 503)"
            remedy = (
                "look for the cause in the log; the container is restarted in about two minutes "
                "(server.stallTimeoutSeconds says when an engine counts as stalled)"
            )
        elif "deadline exceeded" in message or "timeout" in message.lower():
            problem = "The server doesn't answer /health in time"
            remedy = (
                "give it more CPU (resources.requests.cpu), bound its queue (server.maxConcurrentRequests), or add "
                "servers (replicas)"
            )
        else:
            problem = f"The server isn't ready: {message}"
            remedy = "look at the log; if probes are changed in podSpec, take that back"
        yield Finding(problem, _where(pod), remedy, seen.command(f"logs {_name(pod)} -c {CONTAINER} --tail=100"))


def stuck_drains(seen: Seen) -> Iterator[Finding]:
    """Pods that are still there after all the time that they had to stop."""
    for pod in seen.servers():
        deadline = pod["metadata"].get("deletionTimestamp")  # the deletion and the grace period together
        if not deadline or seen.since(deadline) < timedelta(seconds=30):
            continue
        node = seen.named("Node", pod["spec"].get("nodeName", ""))
        over = int(seen.since(deadline).total_seconds())
        if node and not _is_ready(node):
            remedy = (
                f"node {_name(node)} doesn't answer: bring it back, or, when it is surely off, "
                f"{seen.command(f'delete pod {_name(pod)} --force')}"
            )
        elif finalizers := pod["metadata"].get("finalizers"):
            remedy = f"find out why nobody takes away its finalizers: {', '.join(finalizers)}"
        else:
            remedy = "look at the kubelet of its node; its container runtime doesn't end the container"
        problem = f"The pod should have been gone {over} s ago, its grace period is over"
        yield Finding(problem, _where(pod), remedy, seen.command(f"get pod {_name(pod)} -o yaml"))


def lost_pods(seen: Seen) -> Iterator[Finding]:
    """Pods that a node has given up."""
    for pod in seen.servers():
        status = pod["status"]
        if status.get("phase") != "Failed" or seen.since(pod["metadata"].get("creationTimestamp")) > RECENT:
            continue
        message = status.get("message") or status.get("reason") or "no reason is given"
        if "ephemeral" in message or "DiskPressure" in message:
            remedy = "keep weights and compiled code on claims (cache.model.type, cache.compile.type), or limit their size"
        elif "memory" in message.lower():
            remedy = "set resources.requests.memory to what the server uses, so that the node isn't overcommitted"
        else:
            remedy = "look at its node, and at its device plugin where devices are meant"
        problem = f"The node has given the pod up ({status.get('reason', 'Failed')}): {message}"
        yield Finding(problem, _where(pod), remedy, seen.command(f"describe pod {_name(pod)}"))


# -- Consequences, told where no cause is found -------------------------------------------------------------------------


def stuck_rollouts(seen: Seen) -> Iterator[Finding]:
    """Rollouts that are paused, or take longer than they may."""
    for workload in seen.of("Deployment"):
        if workload not in seen.workloads():
            continue
        progressing = _condition(workload, "Progressing") or {}
        look = seen.command(f"rollout status deployment/{_name(workload)}")
        if _dig(workload, "spec", "paused"):
            resume = seen.command(f"rollout resume deployment/{_name(workload)}")
            yield Finding("The rollout is paused, and changes don't take effect", _where(workload), resume, look)
        elif progressing.get("reason") == "ProgressDeadlineExceeded":
            seconds = _dig(workload, "spec", "progressDeadlineSeconds", default=600)
            yield Finding(
                f"The rollout isn't done after {seconds} s, its deadline",
                _where(workload),
                "if the model is still loading or fetched, raise startup.timeoutSeconds, from which the deadline is "
                f"derived; to go back: helm -n {seen.namespace} rollback {seen.release}",
                look,
            )


def services_without_servers(seen: Seen) -> Iterator[Finding]:
    """Services that lead to no ready server."""
    for service in seen.of("Service"):
        slices = [
            s for s in seen.of("EndpointSlice") if s["metadata"]["labels"].get("kubernetes.io/service-name") == _name(service)
        ]
        addresses = [e for s in slices for e in s.get("endpoints") or [] if _dig(e, "conditions", "ready", default=True)]
        ready = [pod for pod in seen.servers() if (_condition(pod, "Ready") or {}).get("status") == "True"]
        selector = service["spec"].get("selector")
        if not selector or addresses or not seen.servers():
            continue
        matching = [pod for pod in ready if selector.items() <= pod["metadata"]["labels"].items()]
        look = seen.command(f"get endpointslices -l kubernetes.io/service-name={_name(service)}")
        if ready and not matching:
            yield Finding(
                "The Service selects none of the ready pods",
                _where(service),
                "run helm upgrade again, as its selector or the pods' labels were changed by hand",
                look,
            )
        elif matching:
            yield Finding(
                "The Service has ready pods and no endpoints",
                _where(service),
                "look at the cluster's controller manager, which makes them",
                look,
            )


# -- Around the servers -------------------------------------------------------------------------------------------------


def helm_operations(seen: Seen) -> Iterator[Finding]:
    """Operations of Helm that failed or were interrupted, and objects that it didn't make."""
    history = f"helm -n {seen.namespace} history {seen.release}"
    if seen.helm.startswith("pending"):
        yield Finding(
            f"Helm's last operation isn't finished ({seen.helm}): it runs still, or was interrupted",
            f"release {seen.release}",
            f"if none runs, helm -n {seen.namespace} rollback {seen.release}, or uninstall a first installation",
            history,
        )
    elif seen.helm == "failed":
        yield Finding(
            "Helm's last operation failed",
            f"release {seen.release}",
            "mend what is found here, and run helm upgrade again with a --timeout as long as the chart's notes say",
            history,
        )
    if seen.helm and not seen.workloads():
        yield Finding(
            "Helm knows the release, but its Deployment isn't there",
            f"release {seen.release}",
            "run helm upgrade again, and read what it says",
            f"helm -n {seen.namespace} status {seen.release}",
        )


def autoscalers(seen: Seen) -> Iterator[Finding]:
    """Autoscalers that get no metrics, or can't scale."""
    ready = any((_condition(pod, "Ready") or {}).get("status") == "True" for pod in seen.servers())
    for scaler in seen.of("HorizontalPodAutoscaler"):
        look = seen.command(f"describe hpa {_name(scaler)}")
        able = _condition(scaler, "AbleToScale") or {}
        active = _condition(scaler, "ScalingActive") or {}
        young = seen.since(scaler["metadata"].get("creationTimestamp")) < PATIENCE
        if able.get("status") == "False":
            yield Finding(f"The autoscaler can't scale: {able.get('message')}", _where(scaler), "mend what it says", look)
        elif active.get("status") == "False" and active.get("reason") != "ScalingDisabled" and ready and not young:
            kind = active.get("reason", "")
            if "Resource" in kind:
                remedy = "install metrics-server, and set resources.requests.cpu"
            elif _dig(scaler, "metadata", "labels", "scaledobject.keda.sh/name"):
                remedy = "look at the ScaledObject and at the log of KEDA's operator: autoscaling.keda.serverAddress"
            else:
                remedy = (
                    f"install prometheus-adapter with the rules of ConfigMap {_name(scaler)}-adapter-config, and see "
                    "that Prometheus scrapes the servers (metrics): docs/autoscaling.md"
                )
            yield Finding(f"The autoscaler gets no metrics: {active.get('message')}", _where(scaler), remedy, look)
    for scaler in seen.of("ScaledObject"):
        state = _condition(scaler, "Ready") or {}
        look = seen.command(f"describe scaledobject {_name(scaler)}")
        if state.get("status") == "False":
            yield Finding(
                f"KEDA can't use the ScaledObject: {state.get('message')}",
                _where(scaler),
                "correct autoscaling.keda, most often serverAddress",
                look,
            )
        elif not state and seen.since(scaler["metadata"].get("creationTimestamp")) > PATIENCE:
            yield Finding("KEDA doesn't take up the ScaledObject", _where(scaler), "see whether its operator runs", look)


def monitors(seen: Seen) -> Iterator[Finding]:
    """Monitors and rules that no Prometheus reads."""
    selectors = {
        "ServiceMonitor": ("serviceMonitorSelector", "metrics.serviceMonitor"),
        "PodMonitor": ("podMonitorSelector", "metrics.podMonitor"),
        "PrometheusRule": ("ruleSelector", "metrics.rules"),
    }
    servers = seen.of("Prometheus", "PrometheusAgent")
    for monitor in seen.of(*selectors):
        selector, value = selectors[monitor["kind"]]
        labels = monitor["metadata"].get("labels", {})
        wanted = [p["spec"].get(selector) for p in servers]
        look = f"{seen.kubectl} get prometheuses -A -o yaml"
        if not servers:
            yield Finding(
                "No Prometheus of the Prometheus Operator is there to read it",
                _where(monitor),
                f"install the operator with a Prometheus, or switch {value}.enabled off and choose another way: "
                "docs/observability.md",
                f"{seen.kubectl} get prometheuses -A",
            )
        elif not any(w is not None and _selects(w, labels) for w in wanted):
            texts = [_selector_text(w) for w in wanted if w is not None] or [f"{selector} is not set"]
            yield Finding(
                f"No Prometheus picks it: they want {' or '.join(sorted(set(texts)))}",
                _where(monitor),
                f"add these to {value}.labels",
                look,
            )


def ingresses(seen: Seen) -> Iterator[Finding]:
    """Ingresses that no controller serves."""
    classes = {_name(item): item for item in seen.of("IngressClass")}
    default = "ingressclass.kubernetes.io/is-default-class"
    for ingress in seen.of("Ingress"):
        wanted = ingress["spec"].get("ingressClassName")
        look = seen.command(f"describe ingress {_name(ingress)}")
        there = f"there are {', '.join(sorted(classes))}" if classes else "there is none: install an Ingress controller"
        chosen = any(_dig(c, "metadata", "annotations", default) == "true" for c in classes.values())
        if wanted and wanted not in classes:
            problem, remedy = f"There is no IngressClass {wanted}", f"correct ingress.className; {there}"
        elif not wanted and not chosen:
            problem, remedy = "The Ingress has no class, and the cluster no default", f"set ingress.className; {there}"
        elif (
            not _dig(ingress, "status", "loadBalancer", "ingress")
            and seen.since(ingress["metadata"].get("creationTimestamp")) > PATIENCE
        ):
            controller = _dig(classes.get(wanted or "", {}), "spec", "controller", default="of the default class")
            problem = "The Ingress has no address yet"
            remedy = (
                f"see whether the controller ({controller}) runs and what it logs; its Service may wait for a load "
                "balancer, or it may be set to tell no address"
            )
        else:
            continue
        yield Finding(problem, _where(ingress), remedy, look)


def routes(seen: Seen) -> Iterator[Finding]:
    """HTTPRoutes that no Gateway takes."""
    for route in seen.of("HTTPRoute"):
        look = seen.command(f"describe httproute {_name(route)}")
        parents = _dig(route, "status", "parents", default=[])
        wanted = ", ".join(parent["name"] for parent in route["spec"].get("parentRefs", []))
        if not parents and seen.since(route["metadata"].get("creationTimestamp")) > PATIENCE:
            yield Finding(
                f"No Gateway has taken up the route (wanted: {wanted})",
                _where(route),
                "correct name and namespace in httpRoute.parentRefs, and see whether the Gateway's controller runs",
                look,
            )
        for parent in parents:
            for condition in parent.get("conditions", []):
                if condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] == "False":
                    yield Finding(
                        f"Gateway {parent['parentRef']['name']} refuses the route ({condition['reason']}): "
                        f"{condition.get('message', '')}".rstrip(": "),
                        _where(route),
                        "correct httpRoute.parentRefs or hostnames, or let the Gateway's listener take routes of this "
                        "namespace (allowedRoutes)",
                        look,
                    )


CAUSES: tuple[Rule, ...] = (
    refused,
    unschedulable,
    claims,
    secrets,
    images,
    containers_that_cannot_be_made,
    volumes,
    ends,
    unready,
    stuck_drains,
    lost_pods,
)
CONSEQUENCES: tuple[Rule, ...] = (stuck_rollouts, services_without_servers)
AROUND: tuple[Rule, ...] = (helm_operations, autoscalers, monitors, ingresses, routes)


# -- What objects refer to ----------------------------------------------------------------------------------------------


def pod_spec(workload: Object) -> Object:
    """The spec of a workload's pods; of the leader, where a group of pods is one server."""
    if workload["kind"] == "LeaderWorkerSet":
        template = workload["spec"]["leaderWorkerTemplate"]
        return dict((template.get("leaderTemplate") or template["workerTemplate"])["spec"])
    return dict(workload["spec"]["template"]["spec"])


def secret_references(seen: Seen) -> Iterator[tuple[Object, str, str, str]]:
    """Who refers to which Secret, to which of its keys (empty for all), and by which value of the chart."""
    values = {"HF_TOKEN": "model.credentials", "VLLM_API_KEY": "server.apiKey.keys"}
    values |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "model.credentials")
    volumes = {"api-keys": "server.apiKey.keys", "tls": "server.tls", "model-key": "model.credentials"}
    for workload in seen.workloads():
        spec = pod_spec(workload)
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            for variable in container.get("env", []):
                if (source := _dig(variable, "valueFrom", "secretKeyRef")) and not source.get("optional"):
                    yield workload, source["name"], source["key"], values.get(variable["name"], "engine.env")
            for source in container.get("envFrom", []):
                if (wanted := source.get("secretRef")) and not wanted.get("optional"):
                    yield workload, wanted["name"], "", "engine.envFrom"
        for volume in spec.get("volumes", []):
            value = volumes.get(volume["name"], "extraVolumes")
            parts = [{"secret": volume.get("secret")}, *_dig(volume, "projected", "sources", default=[])]
            for source in filter(None, (part.get("secret") for part in parts)):
                if source.get("optional"):
                    continue
                keys = [item["key"] for item in source.get("items") or []]
                keys = keys or (["tls.crt", "tls.key"] if volume["name"] == "tls" else [""])
                for key in keys:
                    yield workload, source.get("secretName") or source["name"], key, value
    for ingress in seen.of("Ingress"):
        for entry in ingress["spec"].get("tls", []):
            if name := entry.get("secretName"):
                yield ingress, name, "tls.crt", "ingress.hosts"


def pull_secrets(seen: Seen) -> set[str]:
    """Names of the release's pull secrets, which may be missing as long as images come without them."""
    return {s["name"] for workload in seen.workloads() for s in pod_spec(workload).get("imagePullSecrets", [])}


def logs_wanted(seen: Seen) -> Iterator[tuple[str, str, bool]]:
    """Pod, container and whether the log of its last run is meant, for those that have ended when they should run."""
    for pod in seen.servers():
        for status in _statuses(pod):
            ended = _dig(status, "state", "terminated")
            last = _dig(status, "lastState", "terminated")
            if (ended or last or {}).get("exitCode") is not None and not (ended and ended["exitCode"] == 0):
                yield _name(pod), status["name"], not ended


def waits_for_a_node(seen: Seen) -> bool:
    """Whether a pod of the release has no node yet."""
    return any((_condition(pod, "PodScheduled") or {}).get("status") == "False" for pod in seen.servers())


def served_name(server: Object) -> str:
    """The first name under which a server's model is asked for, by its arguments."""
    arguments = server.get("args") or ["?"]
    for flag, value in zip(arguments, arguments[1:], strict=False):
        if flag == "--served-model-name":
            return str(value)
        if flag.startswith("--served-model-name="):
            return str(flag.partition("=")[2])
    return str(arguments[0])


def _claim_references(seen: Seen) -> Iterator[tuple[Object, str, str]]:
    values = {"model-cache": "cache.model", "compile-cache": "cache.compile", "model": "model.uri"}
    for workload in seen.workloads():
        for volume in pod_spec(workload).get("volumes", []):
            if name := _dig(volume, "persistentVolumeClaim", "claimName"):
                given = "model.lora.adapters" if volume["name"].startswith("adapter-") else "extraVolumes"
                yield workload, name, values.get(volume["name"], given)


def _secrets_are_found(seen: Seen) -> bool:
    return any(True for _ in secrets(seen))


# -- Why -----------------------------------------------------------------------------------------------------------------


def _why_it_ended(seen: Seen, pod: Object, status: Object, ended: Object) -> Meaning:
    """Why a container has ended: by the kubelet, for want of memory, or by its own last words."""
    name = status["name"]
    container = next(c for c in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]] if c["name"] == name)
    began, finished = _time(ended.get("startedAt")), _time(ended.get("finishedAt"))
    killings = [
        event["message"]
        for event in seen.events(pod, "Killing")
        if began <= _event_time(event) <= finished + timedelta(seconds=5) and name in event["message"]
    ]
    words = f"{ended.get('message', '')}\n{seen.logs.get((_name(pod), name), '')}"
    if ended.get("reason") == "OOMKilled":
        limit = _dig(container, "resources", "limits", "memory")
        at = f"at its limit of {limit}" if limit else "though it has no limit, as the node's memory was full"
        device = "VLLM_CPU_KVCACHE_SPACE in engine.env" if _on_cpu(container) else "engine.args.cpu-offload-gb"
        return Meaning(
            f"The kernel ended the container for want of memory, {at} (OOMKilled)",
            f"raise resources.limits.memory, or lower {device} or engine.args.max-num-seqs",
        )
    if any("startup probe" in message for message in killings):
        return Meaning(
            f"The server wasn't ready within {_budget(pod)} s, and the kubelet restarted it",
            "raise startup.timeoutSeconds; keep weights and compiled code on claims (cache.model.type, "
            "cache.compile.type), so that the next start is shorter",
        )
    if any("liveness probe" in message for message in killings):
        return Meaning(
            "The server didn't answer /health for two minutes, and the kubelet restarted it",
            "read what it said last; a stalled engine counts from server.stallTimeoutSeconds on; for a node without "
            "free CPU raise resources.requests.cpu",
        )
    if why := reasons.meaning(reasons.LOG, words) or reasons.meaning(reasons.CONTAINER, words):
        return why
    code = ended["exitCode"]
    if error := reasons.last_error(words):
        return Meaning(f"The container ended with code {code}: {error}", "read the lines above it in the log")
    known = {
        0: "The server ended by itself, as vLLM does when a process of its engine dies",
        137: "The container was killed (137), and not by its memory limit",
        139: "The container crashed in native code (139, segmentation fault)",
        143: "The container was told to stop (143)",
    }
    return Meaning(known.get(code, f"The container ended with code {code}"), "read its last words in the log")


def _unbound(seen: Seen, claim: Object, value: str) -> Meaning | None:
    """Why a claim isn't bound; None where it only waits for its first pod."""
    name, wanted = _name(claim), claim["spec"].get("storageClassName")
    classes = {_name(item): item for item in seen.of("StorageClass")}
    there = f"there are {', '.join(sorted(classes))}" if classes else "there is none"
    default = "storageclass.kubernetes.io/is-default-class"
    if wanted is None and not any(_dig(c, "metadata", "annotations", default) == "true" for c in classes.values()):
        return Meaning(
            f"Claim {name} has no storage class, and the cluster no default",
            f"set {value}.storageClassName, and delete the claim; {there}",
        )
    if wanted and wanted not in classes:
        return Meaning(
            f"Claim {name} wants storage class {wanted}, which isn't there",
            f"correct {value}.storageClassName, and delete the claim, as its class can't be changed; {there}",
        )
    if events := seen.events(claim, "ProvisioningFailed"):
        message = reasons.masked(events[-1]["message"])
        if re.search(r"access ?mode|ReadWriteOnce|ReadWriteMany|RWX", message):
            modes = ", ".join(claim["spec"].get("accessModes", []))
            return Meaning(
                f"Storage class {wanted} can't give claim {name} the access mode {modes}: {message}",
                f"change {value}.accessModes, or {value}.storageClassName to a class of a shared file system",
            )
        return Meaning(f"No volume is made for claim {name}: {message}", f"mend it, or change {value}.storageClassName")
    if seen.events(claim, "FailedBinding"):
        return Meaning(
            f"No volume fits claim {name}, and its class makes none",
            f"make a PersistentVolume, or set {value}.storageClassName; {there}",
        )
    late = _dig(classes.get(wanted or "", {}), "volumeBindingMode") == "WaitForFirstConsumer"
    provisioning = seen.events(claim, "ExternalProvisioning", "Provisioning")
    if (late and not provisioning) or seen.since(claim["metadata"].get("creationTimestamp")) < PATIENCE:
        return None  # the pod isn't on a node yet, and `unschedulable` says why, or it is being made
    return Meaning(f"No volume is made for claim {name}", f"see whether the provisioner of class {wanted} runs")


def _obstacles(seen: Seen, pod: Object, node: Object) -> Iterator[tuple[str, str]]:
    """Why a node doesn't take a pod, as kind and text; kinds are those that `_remedy` knows."""
    spec = pod["spec"]
    if not _is_ready(node):
        yield "node", "isn't ready"
    elif node["spec"].get("unschedulable"):
        yield "cordon", "is cordoned"
    for taint in node["spec"].get("taints", []):
        if taint["effect"] == "PreferNoSchedule" or taint["key"].startswith("node.kubernetes.io/"):
            continue
        if not any(_tolerates(toleration, taint) for toleration in spec.get("tolerations", [])):
            plane = taint["key"] in _CONTROL_PLANE
            text = f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
            yield ("control plane" if plane else f"taint {text}"), f"has the taint {text}"
    labels = node["metadata"].get("labels", {})
    for key, value in spec.get("nodeSelector", {}).items():
        if labels.get(key) != value:
            has = f"has {key}={labels[key]}" if key in labels else f"has no label {key}"
            yield f"label {key}={value}", f"{has} and not {value}" if key in labels else has
    terms = _dig(
        spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", default=[]
    )
    if terms and not any(_matches(term, node) for term in terms):
        yield "affinity", "doesn't match affinity.nodeAffinity"
    offered = _dig(node, "status", "allocatable", default={})
    taken = _taken(seen, _name(node))
    for resource, wanted in requests(spec).items():
        total = quantity(offered.get(resource, "0"))
        free = total - taken.get(resource, Decimal(0))
        if wanted > free:
            amount = _amount(resource, free), _amount(resource, total)
            has = f"{amount[0]} of {amount[1]} free" if seen.neighbours and total else f"has {amount[1]}"
            kind = "none" if not total else "small" if wanted > total else "full"
            yield f"{kind} {resource}", f"{resource}: wants {_amount(resource, wanted)}, {has}"


def _remedy(kind: str, pod: Object, seen: Seen) -> str:
    """What helps against an obstacle of a node."""
    word, _, rest = kind.partition(" ")
    device = rest not in ("cpu", "memory", "ephemeral-storage")
    value = "parallelism (tensor × pipeline × data are the devices)" if device else f"resources.requests.{rest}"
    offers = [n for n in seen.of("Node") if quantity(_dig(n, "status", "allocatable", rest, default="0"))]
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
        "label": f"correct nodeSelector, or label a node: {seen.kubectl} label node NODE {rest}",
        "affinity": "correct affinity.nodeAffinity, or label a node",
        "taint": f"add to tolerations {{key: {key}, operator: Exists, effect: {rest.rpartition(':')[2]}}}",
        "control": "add a worker node",
        "cordon": f"when its maintenance is over, {seen.kubectl} uncordon NODE",
        "node": "bring the node back, or add one",
    }
    return texts[word]


def _image_value(pod: Object, container: str, image: str) -> str:
    """The value of the chart that names an image."""
    for volume in pod["spec"].get("volumes", []):
        if _dig(volume, "image", "reference") == image:
            return "model.uri" if volume["name"] == "model" else "model.lora.adapters"
    if container.startswith("copy-"):
        return "model.uri" if container == "copy-model" else "model.lora.adapters"
    server = _server(pod["spec"]) or {}
    return "image.registry, image.repository or image.tag" if image == server.get("image") else f"initContainers.{container}"


# -- Arithmetic of the scheduler -----------------------------------------------------------------------------------------

_UNITS = {"m": Decimal("0.001"), "k": Decimal(10**3), "": Decimal(1)}
_UNITS |= {unit: Decimal(10 ** (3 * (i + 2))) for i, unit in enumerate("MGTPE")}
_UNITS |= {f"{unit}i": Decimal(2 ** (10 * (i + 1))) for i, unit in enumerate("KMGTPE")}


def quantity(text: str | float) -> Decimal:
    """A quantity of Kubernetes, as 500m or 5Gi, as a number."""
    number, unit = re.fullmatch(r"([0-9.+-]+(?:[eE][-+]?\d+)?)([A-Za-z]*)", str(text)).groups()  # type: ignore[union-attr]
    return Decimal(number) * _UNITS[unit]


def requests(spec: Object) -> dict[str, Decimal]:
    """What a pod asks for: the sum of its containers, or the largest init container where that is more."""

    def of(container: Object) -> dict[str, Decimal]:
        wanted = _dig(container, "resources", "limits", default={}) | _dig(container, "resources", "requests", default={})
        return {name: quantity(amount) for name, amount in wanted.items()}

    total: dict[str, Decimal] = {}
    for container in spec["containers"]:
        for name, amount in of(container).items():
            total[name] = total.get(name, Decimal(0)) + amount
    for container in spec.get("initContainers", []):
        for name, amount in of(container).items():
            total[name] = max(total.get(name, Decimal(0)), amount)
    return total


def _taken(seen: Seen, node: str) -> dict[str, Decimal]:
    taken: dict[str, Decimal] = {}
    for pod in seen.neighbours:
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
    fields = {"metadata.name": _name(node)}
    return all(_holds(e, labels) for e in term.get("matchExpressions", [])) and all(
        _holds(e, fields) for e in term.get("matchFields", [])
    )


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
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


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    exact = selector.get("matchLabels") or {}
    return exact.items() <= labels.items() and all(_holds(e, labels) for e in selector.get("matchExpressions") or [])


def _selector_text(selector: Object) -> str:
    exact = [f"{key}: {value}" for key, value in (selector.get("matchLabels") or {}).items()]
    more = [f"{e['key']} {e['operator']} {e.get('values', '')}".strip() for e in selector.get("matchExpressions") or []]
    return ", ".join(exact + more)


# -- Reading objects -----------------------------------------------------------------------------------------------------


def _dig(item: Any, *keys: str, default: Any = None) -> Any:
    for key in keys:
        item = (item or {}).get(key)
    return default if item is None else item


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _where(item: Object) -> str:
    return f"{item['kind'].lower()}/{_name(item)}"


def _condition(item: Object, kind: str) -> Object | None:
    return next((c for c in _dig(item, "status", "conditions", default=[]) if c["type"] == kind), None)


def _is_ready(node: Object) -> bool:
    return (_condition(node, "Ready") or {}).get("status") == "True"


def _server(spec: Object) -> Object | None:
    return next((c for c in spec["containers"] if c["name"] == CONTAINER), None)


def _on_cpu(container: Object) -> bool:
    return any(variable["name"] == "VLLM_CPU_OMP_THREADS_BIND" for variable in container.get("env", []))


def _statuses(pod: Object) -> list[Object]:
    status = pod["status"]
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _status(pod: Object, container: str) -> Object:
    return next((s for s in _statuses(pod) if s["name"] == container), {})


def _waiting(pod: Object, wanted: set[str]) -> Iterator[tuple[Object, Object]]:
    """Status and state of the containers that wait for one of some reasons."""
    for status in _statuses(pod):
        waiting = _dig(status, "state", "waiting", default={})
        if waiting.get("reason") in wanted:
            yield status, waiting


def _budget(pod: Object) -> int:
    """Seconds in which a server must have started."""
    probe = (_server(pod["spec"]) or {}).get("startupProbe", {})
    return int(probe.get("failureThreshold", 3)) * int(probe.get("periodSeconds", 10))


def _belongs(pod: Object, workload: Object) -> bool:
    selector = _dig(workload, "spec", "selector", "matchLabels", default={})
    return bool(selector.items() <= pod["metadata"].get("labels", {}).items())


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def _event_time_text(event: Object) -> str | None:
    latest = _dig(event, "series", "lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return latest or _dig(event, "metadata", "creationTimestamp")


def _event_time(event: Object) -> datetime:
    return _time(_event_time_text(event))


def _by_text(texts: Mapping[str, Iterable[str]]) -> list[str]:
    """The same text once for all nodes that share it, `a, b and 3 more: text`."""
    nodes: dict[str, list[str]] = {}
    for name, found in texts.items():
        nodes.setdefault(", ".join(found), []).append(name)
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''} {text}"
        for text, names in nodes.items()
    ]


def _together(findings: Iterable[Finding]) -> list[Finding]:
    """The same problem with the same remedy once, with everything that shows it."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding.problem, finding.remedy), []).append(finding)
    return [
        Finding(problem, "; ".join(dict.fromkeys(f.where for f in group)), remedy, group[0].look)
        for (problem, remedy), group in found.items()
    ]
