"""What starts the pods of a group, run as processes that meet on 127.0.0.1, with a vLLM that only says so."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vllm_chart.chart import CHART

PROGRAM = CHART / "files" / "programs" / "vllm_group.py"
#: The program with a tenth of its pauses, for `python -c`.
HASTY = PROGRAM.read_text(encoding="utf-8").replace("PAUSE = 2 ", "PAUSE = 0.2 ")
assert PROGRAM.read_text(encoding="utf-8") != HASTY
HOST = "127.0.0.1"
LEADER = "localhost"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def port() -> int:
    """A port that nobody uses."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a vLLM that shows its arguments."""
    _script(tmp_path, "vllm", 'echo "vllm $*"')
    return tmp_path


@pytest.fixture
def start(programs: Path, port: int) -> Iterator[Start]:
    """Starts one pod of a group; all that still run in the end are killed."""
    running = []

    def run(index: int, size: int = 2, backend: str = "mp", patience: float = 30) -> subprocess.Popen[str]:
        place = {"LWS_LEADER_ADDRESS": LEADER, "LWS_GROUP_SIZE": str(size), "LWS_WORKER_INDEX": str(index)}
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", HASTY, backend, str(patience), str(port), "model", "--flag"],
            env={"PATH": f"{programs}:/usr/bin:/bin", "PYTHONPATH": str(programs), "VLLM_HOST_IP": HOST, **place},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _said(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0]


def test_vllm_starts_in_every_pod_when_all_are_there(start: Start) -> None:
    early = [start(2, size=3), start(0, size=3)]
    late = start(1, size=3)
    for process in (*early, late):
        assert _said(process).endswith("Group: all pods are there\nvllm serve model --flag\n")
        assert process.returncode == 0


def test_a_leader_names_the_pods_that_did_not_come(start: Start) -> None:
    leader = start(0, size=3, patience=3)
    start(2, size=3, patience=10)
    said = _said(leader)
    assert leader.returncode == 1
    assert f"After 3 s 2 of 3 pods are there, without {LEADER}-1: see kubectl describe pod." in said
    assert "vllm serve" not in said


def test_a_worker_says_where_it_looked_for_its_leader(start: Start, port: int) -> None:
    worker = start(1, patience=1)
    said = _said(worker)
    assert worker.returncode == 1
    assert f"The leader is not reached at {LEADER}:{port} in 1 s: " in said
    assert "Connection refused" in said


def test_a_worker_comes_back_to_a_leader_that_started_anew(start: Start) -> None:
    worker = start(1)
    first = start(0, size=3, patience=1)  # waits for one who never comes
    assert first.wait(30) == 1
    leader = start(0)
    assert "vllm serve" in _said(leader)
    assert "vllm serve" in _said(worker)


def test_a_stranger_is_not_taken_for_a_worker(start: Start, port: int) -> None:
    leader = start(0)
    for word in (b"GET / HTTP/1.1\r\n\r\n", b"0", b"7", b""):
        while True:
            try:
                with socket.create_connection((HOST, port), timeout=10) as connection:
                    connection.sendall(word)
                break
            except ConnectionRefusedError:
                assert leader.poll() is None
    assert leader.poll() is None
    worker = start(1)
    assert "vllm serve" in _said(leader)
    assert "vllm serve" in _said(worker)


def test_a_pod_without_leader_worker_set_says_so() -> None:
    command = [sys.executable, "-I", PROGRAM, "mp", "5", "1", "model"]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "LWS_LEADER_ADDRESS" in done.stderr
    assert "without LeaderWorkerSet's webhook" in done.stderr


def test_an_image_without_ray_is_told_from_one_with_it(start: Start) -> None:
    for index in (0, 1):
        pod = start(index, backend="ray", patience=5)
        assert "The image has no Ray: set image.repository" in _said(pod)
        assert pod.returncode == 1


#: Ray's program, whose head listens for 20 s, and its Python package, as far as the start of a group knows them.
RAY = """echo "ray $*" >> {folder}/calls
case "$*" in
*--head*)
  {python} -c 'import socket, time; s = socket.create_server(("{host}", {port})); time.sleep(20)' > /dev/null 2>&1 &
  ;;
*) echo joined >> {folder}/joined; echo a worker works ;;
esac"""
PACKAGE = """from pathlib import Path
def init(**_): pass
def nodes():
    file = Path(__file__).with_name("joined")
    return [{"Alive": True}] + [{"Alive": True} for _ in (file.read_text().split() if file.exists() else ())]
"""


@pytest.fixture
def ray(programs: Path, port: int) -> Path:
    """An image with a Ray."""
    _script(programs, "ray", RAY.format(folder=programs, python=sys.executable, host=HOST, port=port))
    (programs / "ray.py").write_text(PACKAGE, encoding="utf-8")
    return programs


def test_the_leader_alone_starts_vllm_when_all_have_joined_ray(start: Start, ray: Path) -> None:
    leader, worker = start(0, backend="ray"), start(1, backend="ray")
    assert "a worker works" in _said(worker)
    assert "Group: 2 of 2 pods have joined Ray\nGroup: all pods are there\nvllm serve model --flag\n" in _said(leader)
    head, join = (ray / "calls").read_text(encoding="utf-8").splitlines()
    assert "--head" in head
    assert "--include-dashboard=false" in head
    assert "--block" in join
    assert all(f"--node-ip-address={HOST}" in call and "--disable-usage-stats" in call for call in (head, join))


@pytest.mark.usefixtures("ray")
def test_a_leader_whose_workers_never_join_ray_says_so(start: Start) -> None:
    leader = start(0, backend="ray", patience=1)
    said = _said(leader)
    assert leader.returncode == 1
    assert "After 1 s 1 of 2 pods have joined Ray" in said


@pytest.mark.parametrize(
    ("hangs", "words"),
    [
        ("ray", "Ray doesn't start: no end after 1 s"),
        ("ray.py", "After 1 s 1 of 2 pods have joined Ray"),
    ],
)
def test_a_ray_that_hangs_ends_in_time(hangs: str, words: str, start: Start, ray: Path) -> None:
    text = (ray / hangs).read_text(encoding="utf-8")
    sleep = "exec sleep 60\n" if hangs == "ray" else "import time; time.sleep(60)\n"
    first, _, rest = text.partition("\n")
    (ray / hangs).write_text(f"{first}\n{sleep}{rest}", encoding="utf-8")
    leader = start(0, backend="ray", patience=1)
    assert leader.wait(10) == 1
    assert words in _said(leader)
