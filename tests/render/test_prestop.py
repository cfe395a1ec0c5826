"""The hook that runs before the server is told to stop, run as Kubernetes runs it but for the signal."""

from __future__ import annotations

import http.client
import http.server
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from harness.helm import CHART

SOURCE = (CHART / "files" / "prestop.py").read_text(encoding="utf-8")


class GoneError(Exception):
    """The container has ended, and the hook with it."""


class Hook:
    """Runs the hook's source with its signals and pauses recorded instead of made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signals: list[tuple[int, int]] = []
        self.pauses: list[float] = []
        self._monkeypatch = monkeypatch

    def run(self, port: int, delay: float, ends_at: int) -> None:
        def kill(process: int, number: int) -> None:
            self.signals.append((process, number))
            if len(self.signals) == ends_at:
                raise GoneError

        self._monkeypatch.setattr(os, "kill", kill)
        self._monkeypatch.setattr(time, "sleep", self.pauses.append)
        self._monkeypatch.setattr(sys, "argv", ["-c", str(port), str(delay)])
        exec(compile(SOURCE, "prestop.py", "exec"), {"__name__": "__main__"})  # noqa: S102


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    return Hook(monkeypatch)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(params=[200, 503])
def serving_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that answers /health, well or badly."""

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_serving_pod_waits_for_traffic_to_leave_and_is_not_signalled(hook: Hook, serving_port: int) -> None:
    hook.run(serving_port, 15, ends_at=1)
    assert hook.pauses == [15.0]
    assert not hook.signals


def test_a_loading_pod_does_not_wait_and_is_told_to_stop_until_it_does(hook: Hook, free_port: int) -> None:
    with pytest.raises(GoneError):
        hook.run(free_port, 15, ends_at=3)
    assert hook.signals == [(1, signal.SIGTERM)] * 3
    assert 15.0 not in hook.pauses


def test_a_server_that_accepts_but_never_answers_counts_as_serving(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    original = http.client.HTTPConnection
    monkeypatch.setattr(http.client, "HTTPConnection", lambda host, port, **_: original(host, port, timeout=0.1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hook.run(listener.getsockname()[1], 7, ends_at=1)
    assert hook.pauses == [7.0]
    assert not hook.signals
