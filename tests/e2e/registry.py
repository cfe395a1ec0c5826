"""An OCI registry on this machine, for tests: built from Go modules, empty, and gone when they are done."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from ci import go_programs
from vllm_chart.errors import UserError

_DEADLINE_SECONDS = 60


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The host:port of a registry that speaks HTTP to this machine alone, and keeps its data in a folder.

    Raises:
        UserError: where it doesn't answer within a minute; the text is its log.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    configuration, log = folder / "config.yaml", folder / "log"
    configuration.write_text(yaml.safe_dump(settings), encoding="utf-8")
    program = go_programs.DISTRIBUTION.build() / "registry"
    with log.open("wb") as output:
        process = subprocess.Popen([program, "serve", configuration], stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + _DEADLINE_SECONDS
            while not _answers(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"The registry doesn't answer: {log.read_text(encoding='utf-8')}")
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/v2/").status_code == 200
    except httpx.TransportError:
        return False
