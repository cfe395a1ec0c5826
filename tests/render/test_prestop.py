"""The hook that runs before the server is told to stop, on real sockets, with its signals and pauses recorded."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vllm_chart.chart import CHART

SOURCE = (CHART / "files" / "programs" / "prestop.py").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the hook reads Linux's tables of sockets")


class GoneError(Exception):
    """The container has ended, and the hook with it."""


class Hook:
    """Runs the hook; `during` is called at each of its pauses with their number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state_file: Path) -> None:
        self.signals: list[tuple[int, int]] = []
        self.pauses: list[tuple[str, float]] = []
        self._monkeypatch = monkeypatch
        self._state_file = state_file
        self.clock = 0.0
        self.during: Callable[[int], None] | None = None

    def run(self, port: int, *arguments: str, ends_at: int = 0) -> None:
        def kill(process: int, number: int) -> None:
            self.signals.append((process, number))
            if len(self.signals) == ends_at:
                raise GoneError

        def sleep(seconds: float) -> None:
            self.clock += seconds
            self.pauses.append((self._state_file.read_text() if self._state_file.exists() else "", seconds))
            if self.during:
                self.during(len(self.pauses))

        self._monkeypatch.setattr(os, "kill", kill)
        self._monkeypatch.setattr(time, "sleep", sleep)
        self._monkeypatch.setattr(time, "monotonic", lambda: self.clock)
        self._monkeypatch.setattr(sys, "argv", ["-c", f"--port={port}", "--delay=15", *arguments])
        source = SOURCE.replace('"/tmp/drain"', repr(str(self._state_file)))
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
    hook.run(_port(server), "--timeout=120")
    assert hook.pauses == [("draining", 15.0)]
    assert not hook.signals


def test_open_connections_are_waited_for_but_no_longer_than_the_timeout(hook: Hook, server: socket.socket) -> None:
    address = ("::1" if server.family == socket.AF_INET6 else "127.0.0.1", _port(server))
    with socket.create_connection(address):
        hook.run(_port(server), "--timeout=3")
    assert hook.pauses[0] == ("draining", 15.0)
    assert hook.pauses[1:] == [("closing", 0.5)] * 3 + [("refusing", 0.5)] * 3
    assert not hook.signals


def test_a_server_that_refuses_what_is_new_is_not_signalled(hook: Hook, server: socket.socket) -> None:
    address = ("::1" if server.family == socket.AF_INET6 else "127.0.0.1", _port(server))

    def refuse(_: int) -> None:
        if hook.pauses[-1][0] == "refusing":
            server.close()  # as the middleware does

    hook.during = refuse
    with socket.create_connection(address):
        hook.run(_port(server), "--timeout=3")
    assert hook.pauses[-1] == ("refusing", 0.5)
    assert not hook.signals


def test_a_connection_to_another_port_is_not_waited_for(hook: Hook, server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_connection(("127.0.0.1", _port(other))):
        hook.run(_port(server), "--timeout=3")
    assert hook.pauses == [("draining", 15.0)]


def test_a_loading_pod_does_not_wait_and_is_told_to_stop_until_it_does(hook: Hook) -> None:
    with socket.socket() as bound:  # vLLM binds its port early and listens late
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(GoneError):
            hook.run(_port(bound), "--timeout=120", ends_at=5)
    assert hook.signals == [(1, signal.SIGTERM), (1, signal.SIGINT)] * 2 + [(1, signal.SIGTERM)]
    assert hook.pauses == [("", 2)] * 2


# -- in a group


def _members(meeting: socket.socket) -> str:
    return f"--members-port={_port(meeting)}"


KILL = [(-1, signal.SIGKILL)]
ASK = [(1, signal.SIGTERM), (1, signal.SIGINT)]


@pytest.fixture
def meeting() -> Iterator[socket.socket]:
    """The socket of a leader to which its workers stay connected, on every address."""
    with socket.create_server(("", 0)) as listener:
        yield listener


def _worker(meeting: socket.socket, number: int = 2) -> socket.socket:
    """A connection of a worker, which has another address than its leader."""
    return socket.create_connection(("127.0.0.1", _port(meeting)), source_address=(f"127.0.0.{number}", 0))


def test_a_leader_with_all_of_its_workers_empties_itself(
    hook: Hook, server: socket.socket, meeting: socket.socket
) -> None:
    with _worker(meeting, 2), _worker(meeting, 3):
        hook.run(_port(server), "--timeout=120", _members(meeting), "--workers=2")
    assert hook.pauses == [("draining", 0.5)] * 30
    assert not hook.signals


@pytest.mark.parametrize("lost_at", [0, 4])
def test_a_leader_that_loses_a_worker_ends_at_once(
    hook: Hook, server: socket.socket, meeting: socket.socket, lost_at: int
) -> None:
    with _worker(meeting, 2), _worker(meeting, 3) as lost:

        def lose(pause: int) -> None:
            if pause == lost_at:
                lost.close()

        hook.during = lose
        lose(0)
        with pytest.raises(GoneError):
            hook.run(_port(server), "--timeout=120", _members(meeting), "--workers=2", ends_at=4)
    assert hook.pauses == [("draining", 0.5)] * lost_at + [("refusing", 2)]
    assert hook.signals == [*KILL, *ASK, (1, signal.SIGTERM)]


def test_a_leaders_own_connection_is_no_worker(hook: Hook, server: socket.socket, meeting: socket.socket) -> None:
    with socket.create_connection(("127.0.0.1", _port(meeting))), pytest.raises(GoneError):
        hook.run(_port(server), "--timeout=120", _members(meeting), "--workers=1", ends_at=1)
    assert hook.signals == KILL


def test_a_loading_leader_ends_at_once(hook: Hook, meeting: socket.socket) -> None:
    with socket.socket() as bound, _worker(meeting):
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(GoneError):
            hook.run(_port(bound), "--timeout=120", _members(meeting), "--workers=1", ends_at=3)
    assert hook.signals == [*KILL, *ASK]
    assert not hook.pauses


def test_a_worker_works_on_until_its_leader_is_gone(hook: Hook, meeting: socket.socket) -> None:
    connection = _worker(meeting)
    leader, _ = meeting.accept()

    def end(pause: int) -> None:
        if pause == 300:
            leader.close()
            connection.close()

    hook.during = end
    with pytest.raises(GoneError):
        hook.run(8000, "--timeout=120", _members(meeting), ends_at=2)
    assert hook.pauses == [("", 0.5)] * 300
    assert hook.signals == [*KILL, ASK[0]]


def test_a_worker_without_a_leader_ends_at_once(hook: Hook, meeting: socket.socket) -> None:
    with pytest.raises(GoneError):
        hook.run(8000, "--timeout=120", _members(meeting), ends_at=3)
    assert hook.signals == [*KILL, *ASK]
    assert not hook.pauses
