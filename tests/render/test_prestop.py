"""The hook that runs before the server is told to stop, on real sockets, with its signals and pauses recorded."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.helm import CHART

SOURCE = (CHART / "files" / "prestop.py").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the hook reads Linux's tables of sockets")


class GoneError(Exception):
    """The container has ended, and the hook with it."""


class Hook:
    """Runs the hook; `during` is called at each of its pauses with the word that the server could read then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, word: Path) -> None:
        self.signals: list[tuple[int, int]] = []
        self.pauses: list[tuple[str, float]] = []
        self._monkeypatch = monkeypatch
        self._word = word
        self.clock = 0.0

    def run(self, port: int, delay: float, timeout: float, ends_at: int = 0) -> None:
        def kill(process: int, number: int) -> None:
            self.signals.append((process, number))
            if len(self.signals) == ends_at:
                raise GoneError

        def sleep(seconds: float) -> None:
            self.clock += seconds
            self.pauses.append((self._word.read_text() if self._word.exists() else "", seconds))

        self._monkeypatch.setattr(os, "kill", kill)
        self._monkeypatch.setattr(time, "sleep", sleep)
        self._monkeypatch.setattr(time, "monotonic", lambda: self.clock)
        self._monkeypatch.setattr(sys, "argv", ["-c", str(port), str(delay), str(timeout)])
        source = SOURCE.replace('"/tmp/drain"', repr(str(self._word)))
        assert source != SOURCE
        exec(compile(source, "prestop.py", "exec"), {"__name__": "__main__"})  # noqa: S102


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hook:
    return Hook(monkeypatch, tmp_path / "drain")


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A socket that listens, as vLLM's does when it can serve."""
    with socket.create_server(("", 0), family=request.param) as listener:
        yield listener


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def test_a_serving_pod_announces_its_end_and_is_not_signalled(hook: Hook, server: socket.socket) -> None:
    hook.run(_port(server), 15, 120)
    assert hook.pauses == [("leaving", 15.0)]
    assert not hook.signals


def test_open_connections_are_waited_for_but_no_longer_than_the_timeout(hook: Hook, server: socket.socket) -> None:
    address = ("::1" if server.family == socket.AF_INET6 else "127.0.0.1", _port(server))
    with socket.create_connection(address):
        hook.run(_port(server), 15, 3)
    assert hook.pauses[0] == ("leaving", 15.0)
    assert hook.pauses[1:] == [("close", 0.5)] * 6
    assert not hook.signals


def test_a_connection_to_another_port_is_not_waited_for(hook: Hook, server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_connection(("127.0.0.1", _port(other))):
        hook.run(_port(server), 15, 3)
    assert hook.pauses == [("leaving", 15.0)]


def test_a_loading_pod_does_not_wait_and_is_told_to_stop_until_it_does(hook: Hook) -> None:
    with socket.socket() as bound:  # vLLM binds its port early and listens late
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(GoneError):
            hook.run(_port(bound), 15, 120, ends_at=5)
    assert hook.signals == [(1, signal.SIGTERM), (1, signal.SIGINT)] * 2 + [(1, signal.SIGTERM)]
    assert hook.pauses == [("", 2)] * 2
