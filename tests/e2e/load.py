"""Streaming load on a chat server, counted as its clients see it."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from ci.chat import lines

#: A new connection for each request, or connections that are kept and used again.
Mode = Literal["new", "reused"]
MODES: tuple[Mode, ...] = ("new", "reused")
_TIMEOUT_SECONDS = 180


@dataclass(frozen=True)
class Stream:
    """One client, that asks again as soon as it has been answered.

    Attributes:
        mode: what it does with its connections.
        max_tokens: length of the answers, which don't end before it.
        pause: seconds between an answer and the next question.
    """

    mode: Mode
    max_tokens: int = 24
    pause: float = 0.0


@dataclass
class Outcome:
    """What one request came to; times are in seconds, `started` since the load began."""

    mode: Mode
    started: float
    seconds: float = 0.0
    first_token: float = 0.0
    failure: str = ""


@dataclass
class Report:
    """What all clients saw.

    Attributes:
        outcomes: one for each request, in the order of their ends.
        gap: the longest time in seconds in which no client received anything.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    gap: float = 0.0

    def requests(self, mode: Mode | None = None) -> list[Outcome]:
        """The requests of one mode, or all."""
        return [o for o in self.outcomes if mode in (None, o.mode)]

    def failures(self, mode: Mode | None = None) -> list[str]:
        """What went wrong, when, in which mode."""
        return [f"{o.started:.1f} s, {o.mode}: {o.failure}" for o in self.requests(mode) if o.failure]

    def cut(self) -> list[Outcome]:
        """Requests that were taken and lost: their answer had begun, or was an error of the server's own."""
        return [o for o in self.outcomes if o.failure and (o.first_token or "status 500" in o.failure)]

    def __str__(self) -> str:
        """One line for people."""
        counts = ", ".join(
            f"{len(self.requests(mode))} requests on {mode} connections, {len(self.failures(mode))} failed"
            for mode in MODES
            if self.requests(mode)
        )
        return f"{counts}; longest silence {self.gap:.1f} s"


class Load:
    """Clients that ask until they are told to stop.

    Args:
        url: of the server, without a path.
        model: the name to ask for.
        streams: the clients.
        headers: sent with each request.
        verify: what tells a certificate that is to be trusted, where the URL is an https one.

    Attributes:
        started: clock time from which outcomes count.
        report: whole when the load has stopped.
    """

    def __init__(
        self,
        url: str,
        model: str,
        streams: Sequence[Stream],
        headers: dict[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._url, self._model = url, model
        self._client: dict[str, Any] = {"headers": headers, "verify": verify, "timeout": _TIMEOUT_SECONDS}
        self.started = time.monotonic()
        self._received = self.started
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._answered = threading.Event()
        self.report = Report()
        self._threads = [threading.Thread(target=self._ask_on, args=(stream,), daemon=True) for stream in streams]

    def start(self) -> None:
        """Let all clients ask, and return when the first of them hears an answer begin."""
        for thread in self._threads:
            thread.start()
        if not self._answered.wait(_TIMEOUT_SECONDS):
            raise TimeoutError(f"{self._url} hasn't answered in {_TIMEOUT_SECONDS} s: {self.report.failures()}")

    def stop(self) -> Report:
        """Let the requests that run end, and report."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.report

    def _ask_on(self, stream: Stream) -> None:
        with httpx.Client(**self._client) as kept:
            while not self._stop.is_set():
                if stream.mode == "reused":
                    outcome = self._ask(kept, stream)
                else:
                    with httpx.Client(**self._client) as fresh:
                        outcome = self._ask(fresh, stream)
                with self._lock:
                    self.report.outcomes.append(outcome)
                # a server that refuses must not be asked a thousand times a second
                self._stop.wait(max(stream.pause, 0.2 if outcome.failure else 0))

    def _ask(self, client: httpx.Client, stream: Stream) -> Outcome:
        outcome = Outcome(stream.mode, time.monotonic() - self.started)
        try:
            for _ in self._pieces(client, stream.max_tokens):
                outcome.first_token = outcome.first_token or self._seconds_since(outcome)
                self._hear()
        except (httpx.HTTPError, ValueError) as error:
            outcome.failure = f"{type(error).__name__}: {error}"
        outcome.seconds = self._seconds_since(outcome)
        return outcome

    def _seconds_since(self, outcome: Outcome) -> float:
        return time.monotonic() - self.started - outcome.started

    def _hear(self) -> None:
        now = time.monotonic()
        with self._lock:
            self.report.gap = max(self.report.gap, now - self._received)
            self._received = now
        self._answered.set()

    def _pieces(self, client: httpx.Client, max_tokens: int) -> Iterator[str]:
        """The pieces of an answer.

        Raises:
            ValueError: where the status isn't 200, or a finish_reason of stop or length, or [DONE] is missing.
        """
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": f"Tell me a story of {max_tokens} words."}],
            "max_tokens": max_tokens,
            "ignore_eos": True,
            "stream": True,
        }
        finished = done = False
        with client.stream("POST", f"{self._url}/v1/chat/completions", json=body) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}: {response.read().decode()[:200]}")
            for line in lines(response):
                if line == "data: [DONE]":
                    done = True
                elif line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    if "choices" not in event:
                        raise ValueError(f"an error in the stream: {line[:300]}")
                    for choice in event["choices"]:
                        finished = finished or choice.get("finish_reason") in ("stop", "length")
                        yield choice["delta"].get("content") or ""
        if not (finished and done):
            raise ValueError(f"the answer was cut: finish_reason {finished}, [DONE] {done}")


@contextmanager
def under_load(load: Load) -> Iterator[Load]:
    """The load runs while the block does; `load.report` is whole after it."""
    load.start()
    try:
        yield load
    finally:
        load.stop()
