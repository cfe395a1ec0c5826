"""Logs are JSON without prompts and without probes; the collector receives a span for each request."""

import json
import re
import uuid

import httpx
import pytest

from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from tests.e2e.observability.conftest import Watching, await_true


@pytest.fixture(scope="module")
def asked(watched: HelmRelease) -> tuple[str, str]:
    """A word that a request's prompt had, and the id of the trace that the request belongs to."""
    assert watched.pods()
    word, trace = f"marker{uuid.uuid4().hex}", uuid.uuid4().hex
    body = {"model": MODEL, "messages": [{"role": "user", "content": f"Say {word}."}], "max_tokens": 4}
    headers = {"traceparent": f"00-{trace}-{uuid.uuid4().hex[:16]}-01"}
    httpx.post(f"{base_url()}/v1/chat/completions", json=body, headers=headers, timeout=60).raise_for_status()
    return word, trace


def _lines(release: HelmRelease) -> list[str]:
    return [
        line
        for pod in release.pods()
        for line in release.kubectl("logs", pod["metadata"]["name"], "--container=vllm", "--tail=-1").splitlines()
    ]


def test_messages_are_json_objects_and_so_is_every_line_of_a_server_that_has_started(
    quiet: HelmRelease, asked: tuple[str, str]
) -> None:
    assert asked
    for pod in quiet.pods():
        lines = quiet.kubectl("logs", pod["metadata"]["name"], "--container=vllm", "--tail=-1").splitlines()
        messages = [json.loads(line) for line in lines if line.startswith("{")]
        assert all({"message", "levelname"} <= message.keys() for message in messages)
        (started,) = [number for number, line in enumerate(lines) if "Application startup complete" in line]
        assert len(messages) > 10
        assert not [line for line in lines[started:] if not line.startswith("{")]
        # while it loads, Python warns, libraries in C speak for themselves, and progress bars are drawn
        assert not [line for line in lines if re.match(r"(\(.*\) )?(DEBUG|INFO|WARNING|ERROR)\b", line)]


def test_neither_prompts_nor_probes_nor_scrapes_are_logged(quiet: HelmRelease, asked: tuple[str, str]) -> None:
    lines = _lines(quiet)
    assert [line for line in lines if "/v1/chat/completions" in line], "requests are logged"
    word, _ = asked
    assert not [line for line in lines if word in line]
    # a request is logged as GET /path; what a server lists at its start has another form
    assert not [line for line in lines if "GET /health" in line or "GET /metrics" in line]


def test_the_collector_receives_a_span_that_continues_the_clients_trace(
    quiet: HelmRelease, asked: tuple[str, str], watching: Watching
) -> None:
    _, trace = asked
    await_true(lambda: [span for span in watching.spans() if span["trace"] == trace], "a span of the request", 60)
    (span,) = [span for span in watching.spans() if span["trace"] == trace]
    assert (span["service"], span["protocol"]) == (quiet.name, "grpc")
    assert "gen_ai.usage.prompt_tokens" in span["attributes"]
