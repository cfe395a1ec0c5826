"""The drain of a replica: prestop.py runs as a process beside a server with vllm_lifecycle.py, on real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from vllm_chart.chart import CHART
from vllm_chart.render import helm

PROGRAMS = CHART / "files" / "programs"
PRESTOP, LIFECYCLE = ((PROGRAMS / name).read_text(encoding="utf-8") for name in ("prestop.py", "vllm_lifecycle.py"))
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prestop.py reads Linux's tables of sockets")

#: Both programs run this much faster, so that a state takes one to two seconds, which a busy machine notices, too.
SPEED = 10
DRAIN = {"delaySeconds": 10, "timeoutSeconds": 40}

#: Comes before prestop.py: a mistake of it ends no process of this machine.
PREAMBLE = f"""
import os, time
os.kill = lambda *_: os._exit(3)
time.sleep = lambda seconds, sleep=time.sleep: sleep(seconds / {SPEED})
time.monotonic = lambda now=time.monotonic: {SPEED} * now()
"""


def test_each_drain_state_has_its_effect(tmp_path: Path) -> None:
    asyncio.run(drain(PRESTOP, LIFECYCLE, tmp_path))


async def drain(prestop: str, lifecycle: str, folder: Path) -> None:
    """Run the sources of both programs through a drain with a private state file.

    Raises:
        AssertionError: if a drain state lacks its effect, or has that of a later one.
    """
    module = load(lifecycle, folder)
    finish = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            return
        if scope["path"] == "/slow":
            await finish.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with (
        serving(module.Lifecycle(application)) as server,
        connected(server.port) as idle,
        connected(server.port) as busy,
    ):

        async def new_connection_closes() -> bool:
            # it may be closed before its request has come
            with contextlib.suppress(EOFError, ConnectionError):
                async with connected(server.port) as client:
                    return (await client.ask("/")).closes
            return False

        async def idle_connection_is_closed() -> bool:
            return idle.reader.at_eof()

        async def new_connection_is_refused() -> bool:
            try:
                async with connected(server.port):
                    return False
            except ConnectionError:  # refused, or reset if the port closes meanwhile
                return True

        async def during(state: str, effect: Callable[[], Awaitable[bool]]) -> None:
            while not await effect():
                assert process.returncode is None, f"the drain is over, and {state} had no effect"
                await asyncio.sleep(0.02)

        assert not (await idle.ask("/")).closes
        assert not await new_connection_closes()
        busy.send("/slow")
        async with hook(private(prestop, folder), server.port) as process:
            await during("draining", new_connection_closes)
            assert not server.shutdowns, "an idle connection is kept while draining"
            await during("closing", idle_connection_is_closed)
            assert not await new_connection_is_refused(), "a new connection is accepted while closing"
            await during("refusing", new_connection_is_refused)
            finish.set()
            assert await busy.answer() == Answer(200, closes=True), "an open request is answered in every state"
            assert await asyncio.wait_for(process.wait(), 10) == 0


def private(source: str, folder: Path) -> str:
    """A program's source with a state file of its own."""
    assert '"/tmp/drain"' in source
    return source.replace('"/tmp/drain"', repr(str(folder / "drain")))


def load(source: str, folder: Path) -> Any:
    """The middleware's module, faster and without what only vLLM's image has."""
    (folder / "settings.json").write_text(json.dumps({"stallTimeoutSeconds": 0}), encoding="utf-8")
    module: Any = ModuleType("vllm_lifecycle")
    module.__file__ = str(folder / "vllm_lifecycle.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "prometheus_client", SimpleNamespace(REGISTRY=None))
        patch.setitem(sys.modules, "prometheus_client.mmap_dict", SimpleNamespace(MmapedDict=None))
        exec(compile(private(source, folder), module.__file__, "exec"), module.__dict__)  # noqa: S102
    module.TERMINATION_LOG = folder / "termination-log"
    module.asyncio = SimpleNamespace(**vars(asyncio) | {"sleep": lambda seconds: asyncio.sleep(seconds / SPEED)})
    return module


@contextlib.asynccontextmanager
async def hook(source: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The preStop hook as the chart runs it, on another port."""
    container = helm.render({"drain": DRAIN}).objects.one("Deployment").at("spec", "template", "spec", "containers", 0)
    python, *flags, program, port_flag, delay, timeout = container["lifecycle"]["preStop"]["exec"]["command"]
    assert (python, program, port_flag) == ("python3", PRESTOP, "--port=8000")
    command = [*flags, PREAMBLE + source, f"--port={port}", delay, timeout]
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass(frozen=True)
class Answer:
    """Status of an answer, and whether it closes its connection."""

    status: int
    closes: bool


@dataclass(frozen=True)
class Client:
    """A client's side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, path: str) -> Answer:
        """Send a request and return its answer."""
        self.send(path)
        return await self.answer()

    def send(self, path: str) -> None:
        """Send a request."""
        self.writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())

    async def answer(self) -> Answer:
        """Return the answer to a request that was sent."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert await self.reader.readexactly(2) == b"ok"
        return Answer(int(head.split()[1]), b"connection: close" in head)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    """A new connection; raises ConnectionRefusedError where nothing listens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


class Connection:
    """A server's side of a connection, as far as the middleware knows uvicorn's."""

    cycle = None  # by which the middleware tells it from a WebSocket

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.keeps, self.busy = True, False

    async def serve(self) -> None:
        """Answer requests one after the other until the connection closes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.keeps:
                head = await self.reader.readuntil(b"\r\n\r\n")
                self.busy = True
                scope = {"type": "http", "method": "GET", "path": head.split()[1].decode(), "headers": []}
                await self.server.application(scope, self.receive, self.send)
                self.busy = False
        self.server.connections.discard(self)
        self.writer.close()

    async def receive(self) -> dict[str, Any]:
        """The body of a request, which is empty."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        """Write a part of an answer."""
        if message["type"] == "http.response.start":
            self.keeps = self.keeps and (b"connection", b"close") not in message["headers"]
            lines = [b"HTTP/1.1 %d -" % message["status"], *map(b": ".join, message["headers"]), b"", b""]
            self.writer.write(b"\r\n".join(lines))
        else:
            self.writer.write(message["body"])
        await self.writer.drain()

    def shutdown(self) -> None:
        """Close the connection, after the answer on which it waits."""
        self.server.shutdowns += 1
        self.keeps = False
        if not self.busy:
            self.writer.close()


class Server:
    """A server around a middleware, as far as that knows uvicorn's."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.connections: set[Connection] = set()
        self.server_state = SimpleNamespace(connections=self.connections)
        self.servers: list[asyncio.Server] = []
        self.port = 0
        self.shutdowns = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection."""
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        await connection.serve()

    async def listen(self) -> None:
        """Open a port."""
        listener = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.servers, self.port = [listener], int(listener.sockets[0].getsockname()[1])


@contextlib.asynccontextmanager
async def serving(middleware: Any) -> AsyncIterator[Server]:
    """A server that has told the middleware of its start."""
    server = Server(middleware)

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        assert message == {"type": "lifespan.startup.complete"}

    application = SimpleNamespace(state=SimpleNamespace(server=server))
    await middleware({"type": "lifespan", "app": application}, receive, send)
    await server.listen()
    try:
        yield server
    finally:
        middleware.watching.cancel()
        for listener in server.servers:
            listener.close()
        for connection in list(server.connections):
            connection.writer.close()
