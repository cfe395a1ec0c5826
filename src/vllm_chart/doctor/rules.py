"""What is wrong with a release: from what was read of a cluster to problems, without asking anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from vllm_chart.doctor import reasons, scheduling
from vllm_chart.doctor.reasons import Meaning
from vllm_chart.doctor.snapshot import (
    CONTAINER,
    Object,
    Snapshot,
    belongs,
    budget_of,
    claim_references,
    condition_of,
    dig,
    event_time,
    event_time_text,
    is_ready,
    name_of,
    on_cpu,
    place_of,
    pod_spec,
    secret_references,
    served_name,
    server_of,
    status_of,
    statuses_of,
    time_of,
    waiting_for,
)

#: How long ago a container may have ended to count still; Kubernetes keeps events as long.
RECENT = timedelta(hours=1)
#: What controllers and a container that comes back get before they are complained of.
PATIENCE = timedelta(minutes=2)
_WAITS_FOR_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CANT_BE_MADE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}


@dataclass(frozen=True)
class Problem:
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


Rule = Callable[[Snapshot], Iterator[Problem]]


def diagnose(snapshot: Snapshot) -> list[Problem]:
    """Everything that is wrong, causes first; what only follows from a cause is left out."""
    found = [problem for rule in CAUSES for problem in rule(snapshot)]
    if not found:
        found = [problem for rule in CONSEQUENCES for problem in rule(snapshot)]
    found += [problem for rule in AROUND for problem in rule(snapshot)]
    return _together(found)


def summary(snapshot: Snapshot) -> list[str]:
    """A line for each workload: what it serves, how many servers are ready, and how often they have restarted."""
    lines = []
    for workload in snapshot.workloads():
        ready = dig(workload, "status", "readyReplicas", default=0)
        wanted = dig(workload, "spec", "replicas", default=1)
        server = server_of(pod_spec(workload)) or {}
        restarts = sum(
            status["restartCount"]
            for pod in snapshot.servers()
            if belongs(pod, workload)
            for status in dig(pod, "status", "containerStatuses", default=[])
        )
        line = f"{place_of(workload)} serves {served_name(server)}: {ready} of {wanted} ready, {restarts} restarts"
        lines.append(f"{line}, {server.get('image', '')}")
    return lines


def notes(snapshot: Snapshot) -> list[str]:
    """What is under way or chosen, and not wrong."""
    lines = []
    for workload in snapshot.workloads():
        if dig(workload, "spec", "replicas", default=1) == 0:
            lines.append(f"{place_of(workload)} is scaled to zero.")
    for pod in snapshot.servers():
        status = status_of(pod, CONTAINER)
        if deleted := pod["metadata"].get("deletionTimestamp"):
            left = int((time_of(deleted) - snapshot.now).total_seconds())
            lines += [f"{place_of(pod)} stops; its requests have {left} s left."] if left > 0 else []
        elif "running" in status.get("state", {}) and not status.get("started"):
            passed = int(snapshot.since(status["state"]["running"]["startedAt"]).total_seconds())
            lines.append(
                f"{place_of(pod)} has been loading for {passed} s of {budget_of(pod)} s (startup.timeoutSeconds)."
            )
        elif any("running" in s.get("state", {}) for s in dig(pod, "status", "initContainerStatuses", default=[])):
            lines.append(
                f"{place_of(pod)} prepares its model: {snapshot.command(f'logs {name_of(pod)} --all-containers')}"
            )
    return lines


# -- Causes, on the way of a server from its pod's creation to its end -------------------------------------------------


def refused(snapshot: Snapshot) -> Iterator[Problem]:
    """Pods that the API server doesn't let in."""
    for owner in snapshot.of("ReplicaSet", "StatefulSet"):
        failure = condition_of(owner, "ReplicaFailure")
        events = snapshot.events(owner, "FailedCreate")
        made = snapshot.events(owner, "SuccessfulCreate")
        if failure:
            message = str(failure["message"])
        elif owner["kind"] == "StatefulSet" and events and events[-1:] == sorted(events + made, key=event_time)[-1:]:
            message = str(events[-1]["message"])
        else:
            continue
        why = reasons.meaning(reasons.REFUSED, message) or Meaning(
            f"The cluster doesn't let the pod in: {reasons.masked(message)}", "change the value that it names"
        )
        yield Problem(why.problem, place_of(owner), why.remedy, snapshot.command(f"describe {place_of(owner).lower()}"))


def unschedulable(snapshot: Snapshot) -> Iterator[Problem]:
    """Pods that wait for a node."""
    for pod in snapshot.servers():
        scheduled = condition_of(pod, "PodScheduled")
        if not scheduled or scheduled["status"] == "True":
            continue
        look = snapshot.command(f"describe pod {name_of(pod)}")
        obstacles = {name_of(node): list(scheduling.obstacles_of(snapshot, pod, node)) for node in snapshot.of("Node")}
        if obstacles and all(obstacles.values()):
            workers = {name: found for name, found in obstacles.items() if "control plane" not in dict(found)}
            texts = scheduling.by_text(
                {name: [text for _, text in found] for name, found in (workers or obstacles).items()}
            )
            fewest = min(len(found) for found in (workers or obstacles).values())
            kinds = {k: None for found in (workers or obstacles).values() if len(found) == fewest for k, _ in found}
            remedy = "; or ".join(scheduling.remedy_for(kind, snapshot) for kind in kinds)
            yield Problem(f"No node takes the pod: {'; '.join(texts)}", place_of(pod), remedy, look)
        elif "ersistentvolumeclaim" in scheduled.get("message", "").lower():
            continue  # `claims` says why
        else:
            message = scheduled.get("message") or scheduled.get("reason", "")
            why = reasons.meaning(reasons.SCHEDULER, message) or Meaning(
                f"No node takes the pod: {message}", "see what each node lacks, and what the pod asks for"
            )
            yield Problem(why.problem, place_of(pod), why.remedy, look)


def claims(snapshot: Snapshot) -> Iterator[Problem]:
    """Claims that aren't there or aren't bound."""
    for workload, name, value in claim_references(snapshot):
        claim = snapshot.named("PersistentVolumeClaim", name)
        look = snapshot.command(f"describe pvc {name}")
        if not claim:
            yield Problem(
                f"Claim {name} isn't there",
                place_of(workload),
                f"make it, or correct {value}",
                snapshot.command("get pvc"),
            )
        elif claim["status"].get("phase") == "Lost":
            yield Problem(
                f"The volume of claim {name} is gone",
                place_of(claim),
                "restore the volume, or delete the claim and let a new one be made",
                look,
            )
        elif claim["status"].get("phase") == "Pending" and (why := _unbound(snapshot, claim, value)):
            yield Problem(why.problem, place_of(claim), why.remedy, look)


def secrets(snapshot: Snapshot) -> Iterator[Problem]:
    """Secrets that aren't there, or lack the key that is asked for."""
    for owner, name, key, value in secret_references(snapshot):
        keys = snapshot.secrets.get(name, frozenset({key}))  # where they may not be read, nothing is known against them
        if keys is None:
            create = snapshot.command(f"create secret generic {name}" + (f" --from-literal={key}=…" if key else ""))
            remedy, look = f"make it, or correct {value}: {create}", snapshot.command("get secrets")
            yield Problem(f"Secret {name} isn't there", place_of(owner), remedy, look)
        elif key and key not in keys:
            has = f"it has {', '.join(sorted(keys))}" if keys else "it has none"
            remedy, look = (
                f"correct the key in {value}, or add it to the Secret",
                snapshot.command(f"describe secret {name}"),
            )
            yield Problem(f"Secret {name} has no key {key}; {has}", place_of(owner), remedy, look)


def images(snapshot: Snapshot) -> Iterator[Problem]:
    """Images that a node doesn't get."""
    for pod in snapshot.servers():
        for status, waiting in waiting_for(pod, _WAITS_FOR_IMAGE):
            events = [e["message"] for e in snapshot.events(pod, "Failed") if "Back-off" not in e["message"]]
            message = "\n".join([waiting.get("message", ""), *events[-1:], waiting["reason"]])
            image = next((m for m in re.findall(r'image "([^"]+)"', message)), status["image"])
            given = [item["name"] for item in pod["spec"].get("imagePullSecrets", [])]
            lacking = [name for name in given if name in snapshot.secrets and snapshot.secrets[name] is None]
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
            yield Problem(why.problem, place_of(pod), why.remedy, snapshot.command(f"describe pod {name_of(pod)}"))


def containers_that_cannot_be_made(snapshot: Snapshot) -> Iterator[Problem]:
    """Containers that the kubelet can't make."""
    for pod in snapshot.servers():
        for status, waiting in waiting_for(pod, _CANT_BE_MADE):
            message = str(waiting.get("message", waiting["reason"]))
            why = reasons.meaning(reasons.CONTAINER, message)
            if why and why.problem.startswith("Secret ") and _secrets_are_found(snapshot):
                continue
            why = why or Meaning(
                f"The kubelet can't make container {status['name']}: {reasons.masked(message)}",
                "change what it names in podSpec, engine.env or initContainers",
            )
            yield Problem(why.problem, place_of(pod), why.remedy, snapshot.command(f"describe pod {name_of(pod)}"))


def volumes(snapshot: Snapshot) -> Iterator[Problem]:
    """Volumes that aren't mounted, and networks that aren't set up, for a pod that has a node."""
    for pod in snapshot.servers():
        if not list(waiting_for(pod, {"ContainerCreating", "PodInitializing"})):
            continue
        events = snapshot.events(pod, "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
        if not events or snapshot.since(event_time_text(events[-1])) > RECENT:
            continue
        message = events[-1]["message"]
        why = reasons.meaning(reasons.MOUNT, message)
        if why and "Secret" in why.problem and _secrets_are_found(snapshot):
            continue
        why = why or Meaning(
            f"The node can't set the pod up: {reasons.masked(message)}", "mend the volume or the node that it names"
        )
        yield Problem(why.problem, place_of(pod), why.remedy, snapshot.command(f"describe pod {name_of(pod)}"))


def ends(snapshot: Snapshot) -> Iterator[Problem]:
    """Containers that have ended when they should run."""
    for pod in snapshot.servers():
        for status, ended in _ended(snapshot, pod):
            describe = snapshot.command(f"describe pod {name_of(pod)}")
            previous = "" if dig(status, "state", "terminated") else " --previous"
            logs = snapshot.command(f"logs {name_of(pod)} -c {status['name']}{previous} --tail=100")
            by_kubelet = _why_the_kubelet_ended_it(snapshot, pod, status, ended)
            why = by_kubelet or _why_it_ended(snapshot, pod, status, ended)
            times = f", {status['restartCount']} restarts" if status["restartCount"] else ""
            place = f"{place_of(pod)}, container {status['name']}{times}"
            yield Problem(why.problem, place, why.remedy, describe if by_kubelet else logs)


def _ended(snapshot: Snapshot, pod: Object) -> Iterator[tuple[Object, Object]]:
    """Status and end of the containers that have ended not long ago, or aren't back, though they should run."""
    for status in statuses_of(pod):
        ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
        initial = status["name"] not in [c["name"] for c in pod["spec"]["containers"]]
        if not ended or (initial and ended["exitCode"] == 0) or "deletionTimestamp" in pod["metadata"]:
            continue
        if not status.get("ready") or snapshot.since(ended.get("finishedAt")) < RECENT:
            yield status, ended


def unready(snapshot: Snapshot) -> Iterator[Problem]:
    """Servers that run, have been ready, and aren't now; for those that ended before, `ends` says why."""
    for pod in snapshot.servers():
        status = status_of(pod, CONTAINER)
        runs = "running" in status.get("state", {}) and status.get("started") and not status.get("ready")
        events = [e["message"] for e in snapshot.events(pod, "Unhealthy") if e["message"].startswith("Readiness")]
        if not runs or not events or "deletionTimestamp" in pod["metadata"] or any(_ended(snapshot, pod)):
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
        yield Problem(problem, place_of(pod), remedy, snapshot.command(f"describe pod {name_of(pod)}"))


def stuck_drains(snapshot: Snapshot) -> Iterator[Problem]:
    """Pods that are still there after all the time that they had to stop."""
    for pod in snapshot.servers():
        deadline = pod["metadata"].get("deletionTimestamp")  # the deletion and the grace period together
        if not deadline or snapshot.since(deadline) < timedelta(seconds=30):
            continue
        node = snapshot.named("Node", pod["spec"].get("nodeName", ""))
        over = int(snapshot.since(deadline).total_seconds())
        if node and not is_ready(node):
            remedy = (
                f"node {name_of(node)} doesn't answer: bring it back, or, when it is surely off, "
                f"{snapshot.command(f'delete pod {name_of(pod)} --force')}"
            )
        elif finalizers := pod["metadata"].get("finalizers"):
            remedy = f"find out why nobody takes away its finalizers: {', '.join(finalizers)}"
        else:
            remedy = "look at the kubelet of its node; its container runtime doesn't end the container"
        problem = f"The pod should have been gone {over} s ago, its grace period is over"
        yield Problem(problem, place_of(pod), remedy, snapshot.command(f"get pod {name_of(pod)} -o yaml"))


def lost_pods(snapshot: Snapshot) -> Iterator[Problem]:
    """Pods that a node has given up."""
    for pod in snapshot.servers():
        status = pod["status"]
        if status.get("phase") != "Failed" or "deletionTimestamp" in pod["metadata"]:
            continue
        if snapshot.since(pod["metadata"].get("creationTimestamp")) > RECENT:
            continue
        message = status.get("message") or status.get("reason") or "no reason is given"
        if "ephemeral" in message or "DiskPressure" in message:
            remedy = (
                "keep weights and compiled code on claims (cache.model.type, cache.compile.type), or limit their size"
            )
        elif "memory" in message.lower():
            remedy = "set resources.requests.memory to what the server uses, so that the node isn't overcommitted"
        else:
            remedy = "look at its node, and at its device plugin where devices are meant"
        problem = f"The node has given the pod up ({status.get('reason', 'Failed')}): {message}"
        yield Problem(problem, place_of(pod), remedy, snapshot.command(f"describe pod {name_of(pod)}"))


# -- Consequences, told where no cause is found ------------------------------------------------------------------------


def stuck_rollouts(snapshot: Snapshot) -> Iterator[Problem]:
    """Rollouts that are paused, or take longer than they may."""
    for workload in snapshot.of("Deployment"):
        if workload not in snapshot.workloads():
            continue
        progressing = condition_of(workload, "Progressing") or {}
        look = snapshot.command(f"describe deployment {name_of(workload)}")
        if dig(workload, "spec", "paused"):
            resume = snapshot.command(f"rollout resume deployment/{name_of(workload)}")
            yield Problem("The rollout is paused, and changes don't take effect", place_of(workload), resume, look)
        elif progressing.get("reason") == "ProgressDeadlineExceeded":
            seconds = dig(workload, "spec", "progressDeadlineSeconds", default=600)
            yield Problem(
                f"The rollout isn't done after {seconds} s, its deadline",
                place_of(workload),
                "if the model is still loading or fetched, raise startup.timeoutSeconds, from which the deadline is "
                f"derived; to go back: helm -n {snapshot.namespace} rollback {snapshot.release}",
                look,
            )


def services_without_servers(snapshot: Snapshot) -> Iterator[Problem]:
    """Services that lead to no ready server."""
    for service in snapshot.of("Service"):
        slices = [
            s
            for s in snapshot.of("EndpointSlice")
            if s["metadata"]["labels"].get("kubernetes.io/service-name") == name_of(service)
        ]
        addresses = [e for s in slices for e in s.get("endpoints") or [] if dig(e, "conditions", "ready", default=True)]
        ready = [pod for pod in snapshot.servers() if (condition_of(pod, "Ready") or {}).get("status") == "True"]
        selector = service["spec"].get("selector")
        if not selector or addresses or not snapshot.servers():
            continue
        matching = [pod for pod in ready if selector.items() <= pod["metadata"]["labels"].items()]
        look = snapshot.command(f"get endpointslices -l kubernetes.io/service-name={name_of(service)}")
        if ready and not matching:
            yield Problem(
                "The Service selects none of the ready pods",
                place_of(service),
                "run helm upgrade again, as its selector or the pods' labels were changed by hand",
                look,
            )
        elif matching:
            yield Problem(
                "The Service has ready pods and no endpoints",
                place_of(service),
                "look at the cluster's controller manager, which makes them",
                look,
            )


# -- Around the servers ------------------------------------------------------------------------------------------------


def helm_operations(snapshot: Snapshot) -> Iterator[Problem]:
    """Operations of Helm that failed or were interrupted, and objects that it didn't make."""
    history = f"helm -n {snapshot.namespace} history {snapshot.release}"
    if snapshot.helm.startswith("pending"):
        yield Problem(
            f"Helm's last operation isn't finished ({snapshot.helm}): it runs still, or was interrupted",
            f"release {snapshot.release}",
            f"if none runs, helm -n {snapshot.namespace} rollback {snapshot.release}, "
            "or uninstall a first installation",
            history,
        )
    elif snapshot.helm == "failed":
        yield Problem(
            "Helm's last operation failed",
            f"release {snapshot.release}",
            "mend what is found here, and run helm upgrade again with a --timeout as long as the chart's notes say",
            history,
        )
    if snapshot.helm and not snapshot.workloads():
        yield Problem(
            "Helm knows the release, but its Deployment isn't there",
            f"release {snapshot.release}",
            "run helm upgrade again, and read what it says",
            f"helm -n {snapshot.namespace} status {snapshot.release}",
        )


def autoscalers(snapshot: Snapshot) -> Iterator[Problem]:
    """Autoscalers that get no metrics, or can't scale."""
    ready = any((condition_of(pod, "Ready") or {}).get("status") == "True" for pod in snapshot.servers())
    for scaler in snapshot.of("HorizontalPodAutoscaler"):
        look = snapshot.command(f"describe hpa {name_of(scaler)}")
        able = condition_of(scaler, "AbleToScale") or {}
        active = condition_of(scaler, "ScalingActive") or {}
        young = snapshot.since(scaler["metadata"].get("creationTimestamp")) < PATIENCE
        if able.get("status") == "False":
            yield Problem(
                f"The autoscaler can't scale: {able.get('message')}", place_of(scaler), "mend what it says", look
            )
        elif active.get("status") == "False" and active.get("reason") != "ScalingDisabled" and ready and not young:
            kind = active.get("reason", "")
            if "Resource" in kind:
                remedy = "install metrics-server, and set resources.requests.cpu"
            elif dig(scaler, "metadata", "labels", "scaledobject.keda.sh/name"):
                remedy = "look at the ScaledObject and at the log of KEDA's operator: autoscaling.keda.serverAddress"
            else:
                remedy = (
                    f"install prometheus-adapter with the rules of ConfigMap {name_of(scaler)}-adapter-config, and see "
                    "that Prometheus scrapes the servers (metrics): docs/autoscaling.md"
                )
            yield Problem(f"The autoscaler gets no metrics: {active.get('message')}", place_of(scaler), remedy, look)
    for scaler in snapshot.of("ScaledObject"):
        state = condition_of(scaler, "Ready") or {}
        look = snapshot.command(f"describe scaledobject {name_of(scaler)}")
        # the query has no answer as long as the first server loads
        loading = state.get("reason") == "TriggerError" and snapshot.servers() and not ready
        if state.get("status") == "False" and not loading:
            yield Problem(
                f"KEDA can't use the ScaledObject: {state.get('message')}",
                place_of(scaler),
                "correct autoscaling.keda, most often serverAddress, and see that its query has an answer there",
                look,
            )
        elif not state and snapshot.since(scaler["metadata"].get("creationTimestamp")) > PATIENCE:
            yield Problem(
                "KEDA doesn't take up the ScaledObject", place_of(scaler), "see whether its operator runs", look
            )


def monitors(snapshot: Snapshot) -> Iterator[Problem]:
    """Monitors and rules that no Prometheus reads."""
    selectors = {
        "ServiceMonitor": ("serviceMonitorSelector", "metrics.serviceMonitor"),
        "PodMonitor": ("podMonitorSelector", "metrics.podMonitor"),
        "PrometheusRule": ("ruleSelector", "metrics.rules"),
    }
    servers = snapshot.of("Prometheus", "PrometheusAgent")
    for monitor in snapshot.of(*selectors):
        selector, value = selectors[monitor["kind"]]
        labels = monitor["metadata"].get("labels", {})
        wanted = [p["spec"].get(selector) for p in servers]
        look = f"{snapshot.kubectl} get prometheuses -A -o yaml"
        if not servers:
            yield Problem(
                "No Prometheus of the Prometheus Operator is there to read it",
                place_of(monitor),
                f"install the operator with a Prometheus, or switch {value}.enabled off and choose another way: "
                "docs/observability.md",
                f"{snapshot.kubectl} get prometheuses -A",
            )
        elif not any(w is not None and scheduling.selects(w, labels) for w in wanted):
            texts = [scheduling.selector_text(w) for w in wanted if w is not None] or [f"{selector} is not set"]
            yield Problem(
                f"No Prometheus picks it: they want {' or '.join(sorted(set(texts)))}",
                place_of(monitor),
                f"add these to {value}.labels",
                look,
            )


def ingresses(snapshot: Snapshot) -> Iterator[Problem]:
    """Ingresses that no controller serves."""
    classes = {name_of(item): item for item in snapshot.of("IngressClass")}
    default = "ingressclass.kubernetes.io/is-default-class"
    for ingress in snapshot.of("Ingress"):
        wanted = ingress["spec"].get("ingressClassName")
        look = snapshot.command(f"describe ingress {name_of(ingress)}")
        there = f"there are {', '.join(sorted(classes))}" if classes else "there is none: install an Ingress controller"
        chosen = any(dig(c, "metadata", "annotations", default) == "true" for c in classes.values())
        if wanted and wanted not in classes:
            problem, remedy = f"There is no IngressClass {wanted}", f"correct ingress.className; {there}"
        elif not wanted and not chosen:
            problem, remedy = "The Ingress has no class, and the cluster no default", f"set ingress.className; {there}"
        elif (
            not dig(ingress, "status", "loadBalancer", "ingress")
            and snapshot.since(ingress["metadata"].get("creationTimestamp")) > PATIENCE
        ):
            controller = dig(classes.get(wanted or "", {}), "spec", "controller", default="of the default class")
            problem = "The Ingress has no address yet"
            remedy = (
                f"see whether the controller ({controller}) runs and what it logs; its Service may wait for a load "
                "balancer, or it may be set to tell no address"
            )
        else:
            continue
        yield Problem(problem, place_of(ingress), remedy, look)


def routes(snapshot: Snapshot) -> Iterator[Problem]:
    """HTTPRoutes that no Gateway takes."""
    for route in snapshot.of("HTTPRoute"):
        look = snapshot.command(f"describe httproute {name_of(route)}")
        parents = dig(route, "status", "parents", default=[])
        wanted = ", ".join(parent["name"] for parent in route["spec"].get("parentRefs", []))
        if not parents and snapshot.since(route["metadata"].get("creationTimestamp")) > PATIENCE:
            yield Problem(
                f"No Gateway has taken up the route (wanted: {wanted})",
                place_of(route),
                "correct name and namespace in httpRoute.parentRefs, and see whether the Gateway's controller runs",
                look,
            )
        for parent in parents:
            for condition in parent.get("conditions", []):
                if condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] == "False":
                    yield Problem(
                        f"Gateway {parent['parentRef']['name']} refuses the route ({condition['reason']}): "
                        f"{condition.get('message', '')}".rstrip(": "),
                        place_of(route),
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


def _secrets_are_found(snapshot: Snapshot) -> bool:
    return any(True for _ in secrets(snapshot))


# -- Why ---------------------------------------------------------------------------------------------------------------


def _why_the_kubelet_ended_it(snapshot: Snapshot, pod: Object, status: Object, ended: Object) -> Meaning | None:
    """Why a container was ended from outside, for want of memory or by a probe; None where it ended by itself."""
    name = status["name"]
    container = next(
        c for c in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]] if c["name"] == name
    )
    began = time_of(ended.get("startedAt"))
    killings = [
        event["message"]
        for event in snapshot.events(pod, "Killing")
        # the same event of several runs is one, with the time of the last
        if event_time(event) >= began and name in event["message"]
    ]
    if ended.get("reason") == "OOMKilled":
        limit = dig(container, "resources", "limits", "memory")
        at = f"at its limit of {limit}" if limit else "though it has no limit, as the node's memory was full"
        device = "VLLM_CPU_KVCACHE_SPACE in engine.env" if on_cpu(container) else "engine.args.cpu-offload-gb"
        return Meaning(
            f"The kernel ended the container for want of memory, {at} (OOMKilled)",
            f"raise resources.limits.memory, or lower {device} or engine.args.max-num-seqs",
        )
    probe = next((kind for kind in ("startup", "liveness") if f"{kind} probe" in "".join(killings)), None)
    if name == CONTAINER and not killings and ended["exitCode"] in (137, 143):
        probe = _probe_behind(snapshot, pod, ended)
    if probe == "startup":
        return Meaning(
            f"The server wasn't ready within {budget_of(pod)} s, and the kubelet restarted it",
            "raise startup.timeoutSeconds; keep weights and compiled code on claims (cache.model.type, "
            "cache.compile.type), so that the next start is shorter",
        )
    if probe == "liveness":
        return Meaning(
            f"The server didn't answer /health for {budget_of(pod, 'livenessProbe')} s, and the kubelet restarted it",
            "read what it said last; a stalled engine counts from server.stallTimeoutSeconds on; for a node without "
            "free CPU raise resources.requests.cpu",
        )
    return None


def _probe_behind(snapshot: Snapshot, pod: Object, ended: Object) -> str | None:
    """Which probe gave a server up that was killed, by the times and earlier runs, as the kubelet may not have told.

    It tells 25 events of a pod at once and then one each five minutes, and each failed probe is one.
    """
    began, finished = time_of(ended.get("startedAt")), time_of(ended.get("finishedAt"))
    stop = timedelta(seconds=pod["spec"].get("terminationGracePeriodSeconds", 30) + 30)
    budget = timedelta(seconds=budget_of(pod))
    first = timedelta(seconds=2)  # the kubelet begins to ask at once, and may do so before the container's own start
    if budget - first <= finished - began <= budget + stop:
        return "startup"
    before = any("liveness probe" in event["message"] for event in snapshot.events(pod, "Killing"))
    failed = [event for event in snapshot.events(pod, "Unhealthy") if event["message"].startswith("Liveness")]
    return "liveness" if before or any(finished - event_time(e) < stop + PATIENCE for e in failed) else None


def _why_it_ended(snapshot: Snapshot, pod: Object, status: Object, ended: Object) -> Meaning:
    """Why a container has ended by itself, by its last words."""
    words = f"{ended.get('message', '')}\n{snapshot.logs.get((name_of(pod), status['name']), '')}"
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


def _unbound(snapshot: Snapshot, claim: Object, value: str) -> Meaning | None:
    """Why a claim isn't bound; None where it only waits for its first pod."""
    name, wanted = name_of(claim), claim["spec"].get("storageClassName")
    classes = {name_of(item): item for item in snapshot.of("StorageClass")}
    there = f"there are {', '.join(sorted(classes))}" if classes else "there is none"
    default = "storageclass.kubernetes.io/is-default-class"
    if wanted is None and not any(dig(c, "metadata", "annotations", default) == "true" for c in classes.values()):
        return Meaning(
            f"Claim {name} has no storage class, and the cluster no default",
            f"set {value}.storageClassName, and delete the claim; {there}",
        )
    if wanted and wanted not in classes:
        return Meaning(
            f"Claim {name} wants storage class {wanted}, which isn't there",
            f"correct {value}.storageClassName, and delete the claim, as its class can't be changed; {there}",
        )
    if events := snapshot.events(claim, "ProvisioningFailed"):
        message = reasons.masked(events[-1]["message"])
        modes = ", ".join(claim["spec"].get("accessModes", []))
        problem, remedy = (
            f"No volume is made for claim {name}: {message}",
            f"mend it, or change {value}.storageClassName",
        )
        if re.search(r"access ?mode|ReadWriteOnce|ReadWriteMany|RWX", message):
            problem = f"Storage class {wanted} can't give claim {name} the access mode {modes}: {message}"
            remedy = f"change {value}.accessModes, or {value}.storageClassName to a class of a shared file system"
        return Meaning(problem, remedy)
    if snapshot.events(claim, "FailedBinding"):
        return Meaning(
            f"No volume fits claim {name}, and its class makes none",
            f"make a PersistentVolume, or set {value}.storageClassName; {there}",
        )
    late = dig(classes.get(wanted or "", {}), "volumeBindingMode") == "WaitForFirstConsumer"
    provisioning = snapshot.events(claim, "ExternalProvisioning", "Provisioning")
    if (late and not provisioning) or snapshot.since(claim["metadata"].get("creationTimestamp")) < PATIENCE:
        return None  # the pod isn't on a node yet, and `unschedulable` says why, or it is being made
    return Meaning(f"No volume is made for claim {name}", f"see whether the provisioner of class {wanted} runs")


def _image_value(pod: Object, container: str, image: str) -> str:
    """The value of the chart that names an image."""
    for volume in pod["spec"].get("volumes", []):
        if dig(volume, "image", "reference") == image:
            return "model.uri" if volume["name"] == "model" else "model.lora.adapters"
    if container.startswith("copy-"):
        return "model.uri" if container == "copy-model" else "model.lora.adapters"
    server = server_of(pod["spec"]) or {}
    return (
        "image.registry, image.repository or image.tag"
        if image == server.get("image")
        else f"initContainers.{container}"
    )


def _together(problems: Iterable[Problem]) -> list[Problem]:
    """The same problem with the same remedy once, with everything that shows it."""
    found: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        found.setdefault((problem.problem, problem.remedy), []).append(problem)
    return [
        Problem(problem, "; ".join(dict.fromkeys(f.where for f in group)), remedy, group[0].look)
        for (problem, remedy), group in found.items()
    ]
