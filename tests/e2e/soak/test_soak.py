"""Half an hour of mixed load on two servers, with a rollout, a deletion and a crash in it (MINUTES=30)."""

import os
import time
from collections.abc import Callable
from typing import Any

from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from tests.e2e import processes
from tests.e2e.load import Load, Stream, under_load

Install = Callable[..., None]
Record = Callable[..., None]

#: What comes all the time: short and long answers, clients that rest, both kinds of connections.
MIXED = [
    Stream("new"),
    Stream("reused"),
    Stream("new", max_tokens=200, pause=5),
    Stream("reused", max_tokens=120, pause=15),
]
#: What more comes in the first third: more than two servers on two cores answer at once.
CROWD = [Stream("new", max_tokens=64)] * 12 + [Stream("reused", max_tokens=64)] * 12
MINUTE = 60 * float(os.environ.get("MINUTES") or 30) / 30
#: Two servers, of which each is replaced by itself, and a liveness check that must not take load for a fault.
VALUES: dict[str, Any] = {
    "replicas": 2,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    "server": {"stallTimeoutSeconds": 60},
}


def _restarts(release: HelmRelease) -> dict[str, int]:
    names = [pod["metadata"]["name"] for pod in release.pods()]
    return {name: release.status(name)["restartCount"] for name in names}


def _memory(release: HelmRelease) -> dict[str, int]:
    return {pod["metadata"]["name"]: processes.memory(release, pod["metadata"]["name"]) for pod in release.pods()}


def _await_ready(release: HelmRelease, pod: str, restarts: int) -> None:
    deadline = time.monotonic() + 600
    while (status := release.status(pod))["restartCount"] < restarts or not status["ready"]:
        assert time.monotonic() < deadline, f"{pod} isn't back after 10 minutes"
        time.sleep(0.5)


def test_half_an_hour_of_load_loses_nothing_but_in_the_crash(
    install: Install, release: HelmRelease, record: Record
) -> None:
    install(**VALUES)
    with under_load(Load(base_url(), MODEL, MIXED)) as load:
        now: Callable[[], float] = lambda: time.monotonic() - load.started  # noqa: E731

        def rest_until(minute: float) -> None:
            time.sleep(max(0.0, minute * MINUTE - now()))

        with under_load(Load(base_url(), MODEL, CROWD)) as crowd:
            rest_until(1)
            young = _memory(release)
            rest_until(11)
            old = _memory(release)
        saturated = _restarts(release)
        rest_until(12)
        install(**VALUES, podAnnotations={"example.com/round": "soak"})
        rest_until(17)
        release.kubectl("delete", "pod", release.pods()[0]["metadata"]["name"])
        release.settle()
        rest_until(22)
        victim = release.pods()[0]["metadata"]["name"]
        crash = now()
        processes.send(release, victim, "KILL", processes.titled(release, victim, "EngineCore"))
        _await_ready(release, victim, 1)
        recovered = now()
        rest_until(recovered / MINUTE + 1)  # as after the first start: some memory is taken by the first requests
        late = _memory(release)
        rest_until(30)
        last = _memory(release)

    outcomes = load.report.outcomes
    in_crash = [o for o in outcomes if o.failure and o.started < recovered and o.started + o.seconds > crash]
    lost = [o for o in outcomes if o.failure and o not in in_crash]
    record(f"{load.report.outcomes[-1].started / 60:.0f} minutes of mixed load, 2 replicas", load.report)
    record(f"{10 * MINUTE / 60:.0f} minutes of saturation by 24 more clients", crowd.report, restarts=saturated)
    record("the rollout, the deletion and every minute without a fault", lost=len(lost))
    record("the crash of one of two engines", failed=len(in_crash), back_after=f"{recovered - crash:.0f} s")
    record("MiB of each server after 1 and 11 minutes of saturation", first=young, last=old)
    record("MiB of each server after the crash and in the end", first=late, last=last)
    assert not any(saturated.values()), "a busy server was taken for a dead one"
    assert not crowd.report.failures()
    assert not lost, lost
    for before, after in ((young, old), (late, last)):
        grown = {pod: after[pod] / before[pod] for pod in before}
        assert max(grown.values()) < 1.1, f"memory grows: {grown}"
