"""A private model of a Hub, which a stand-in plays: token, revision, one download for all replicas, and no Hub."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ci.helm_release import HelmRelease
from tests.e2e.conftest import FILES
from tests.e2e.exposure.workbench import ANSWER, Workbench, ask, client, names

NewRelease = Callable[..., HelmRelease]


@pytest.fixture(scope="module")
def shared(hub: dict[str, Any], new_release: NewRelease) -> HelmRelease:
    """Two servers that started together with an empty claim between them."""
    release = new_release("shared")
    release.install(FILES, hub | {"replicas": 2})
    release.wait()
    return release


def _fetches(release: HelmRelease) -> list[str]:
    """What the container that fetches said in each pod."""
    pods = [pod["metadata"]["name"] for pod in release.pods()]
    return [release.kubectl("logs", pod, "--container=fetch-model") for pod in pods]


def test_replicas_share_what_one_of_them_fetched_by_token_and_revision(
    shared: HelmRelease, workbench: Workbench
) -> None:
    said = workbench.place.kubectl("logs", "pod/hub")
    # vLLM reads the heads of weights again from the Hub, which are parts and have status 206
    fetched = Counter(re.findall(r'"GET /team/small/resolve/\w+/(\S+) HTTP/1.1" 200', said))
    assert set(fetched) == set(workbench.run("ls", "/claim/models/smollm2").split())
    assert set(fetched.values()) == {1}, fetched
    assert ["hf://team/small is there" in text for text in _fetches(shared)] == [True, True]
    with client(shared) as api:
        assert names(api) == {"team/small"}
        assert ANSWER in ask(api, "team/small")


def test_a_revision_that_is_not_there_is_named_where_it_fails(hub: dict[str, Any], new_release: NewRelease) -> None:
    release = new_release("another-revision")
    release.install(FILES, hub | {"model": hub["model"] | {"revision": "v2"}})
    deadline = time.monotonic() + 120
    while "RevisionNotFoundError" not in (found := "".join(_ends(release))):
        assert time.monotonic() < deadline, found or "no init container has ended"
        time.sleep(0.5)
    assert "hf://team/small can't be fetched" in found
    release.uninstall()


def _ends(release: HelmRelease) -> Iterator[str]:
    """The last words of init containers that have ended."""
    for pod in release.pods():
        for status in pod["status"].get("initContainerStatuses", []):
            for state in (status["state"], status["lastState"]):
                yield state.get("terminated", {}).get("message", "")


def test_a_server_that_is_told_so_starts_from_the_claim_without_the_hub(
    shared: HelmRelease, hub: dict[str, Any], workbench: Workbench
) -> None:
    shared.uninstall()
    workbench.remove("pod/hub")
    engine = {"env": hub["engine"]["env"] | {"HF_HUB_OFFLINE": "1"}}
    shared.install(FILES, hub | {"engine": engine})
    shared.wait()
    assert ["hf://team/small is there" in text for text in _fetches(shared)] == [True]
    with client(shared) as api:
        assert ANSWER in ask(api, "team/small")
