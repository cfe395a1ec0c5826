"""Finds a Docker engine, or starts one of the project's own where root has none; `stop` takes every trace away."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ci.apt import apt_install
from ci.common import LOGS, ROOT, VERSIONS
from vllm_chart.cache import CACHE
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import run
from vllm_chart.progress import say, step

_HOME = CACHE / "docker"
_SOCKET = _HOME / "docker.sock"
_PIDFILE = _HOME / "docker.pid"
_BEFORE = _HOME / "before.json"  # the host's network settings before our engine changed them
_PACKAGES = {"dockerd": "docker.io", "jq": "jq", "iptables": "iptables"}
_CAP_SYS_RESOURCE = 24
_UNIX_SOCKET_PATH_MAX = 107


def ensure() -> None:
    """Leave a working Docker engine for this process and its children, or raise `UserError`."""
    if os.environ.get("DOCKER_HOST") == f"unix://{_SOCKET}":
        del os.environ["DOCKER_HOST"]  # exported as we say it; the engine may have ended since
    if _server_version() or _use_own():
        _check_version()
    else:
        _start()


def ours() -> bool:
    """Return whether an engine that this project started is running."""
    return _own_process() is not None


def _server_version() -> str:
    """The engine's version, or nothing where none answers."""
    if not shutil.which("docker"):
        return ""
    try:
        return run(["docker", "version", "--format={{.Server.Version}}"], timeout=30).strip()
    except CommandError as error:
        if "permission denied" in error.output.lower():
            raise UserError(
                "Docker is running, but this user may not use it: add yourself to its group "
                "(sudo usermod -aG docker $USER, then log in again), or use rootless Docker."
            ) from None
        return ""


def _check_version() -> None:
    version, minimum = _server_version(), VERSIONS["tools"]["docker"]["minimum"]
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < tuple(map(int, minimum.split("."))):
        raise UserError(f"Docker {version} is too old for kind: install {minimum} or newer.")


def _own_process() -> int | None:
    """The process id of our own dockerd, if it runs."""
    try:
        pid = int(_PIDFILE.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if f"--pidfile={_PIDFILE}".encode() in command else None


def _use_own() -> bool:
    """Use our own engine if it runs."""
    if _own_process() is None:
        return False
    os.environ["DOCKER_HOST"] = f"unix://{_SOCKET}"
    return bool(_server_version())


def _start() -> None:
    if os.environ.get("DOCKER_HOST"):
        raise UserError(
            f"No Docker engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}: start it, or unset DOCKER_HOST."
        )
    if Path("/run/systemd/system").exists() and shutil.which("dockerd"):
        raise UserError("Docker isn't running: start it with `sudo systemctl start docker`.")
    if os.geteuid() != 0:
        raise UserError(
            "Docker isn't running here: install and start it (https://docs.docker.com/engine/install), or run as root."
        )
    if len(str(_HOME / "exec" / "containerd" / "containerd.sock.ttrpc")) > _UNIX_SOCKET_PATH_MAX:
        raise UserError(f"The path {CACHE} is too long for a Unix socket: set VLLM_CHART_CACHE to a shorter one.")
    apt_install(_PACKAGES)
    with step("Start a Docker engine"):
        _HOME.mkdir(parents=True, exist_ok=True)
        _PIDFILE.unlink(missing_ok=True)
        if not _BEFORE.exists():  # left by an engine that died: what it says is still the truth
            _BEFORE.write_text(json.dumps({"sysctls": _sysctls(), "iptables": run(["iptables-save"])}))
        command = [
            "dockerd",
            f"--data-root={_HOME}/data",
            f"--exec-root={_HOME}/exec",
            f"--pidfile={_PIDFILE}",
            f"--host=unix://{_SOCKET}",
        ]
        if not _may_raise_limits():
            wrapper = ROOT / "ci" / "docker" / "runc-without-sys-resource"
            copy = _HOME / wrapper.name  # the checkout may go away while the engine runs
            shutil.copy(wrapper, copy)
            command += [f"--add-runtime=restricted={copy}", "--default-runtime=restricted"]
        LOGS.mkdir(parents=True, exist_ok=True)
        with (LOGS / "dockerd.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        os.environ["DOCKER_HOST"] = f"unix://{_SOCKET}"
        deadline = time.monotonic() + 60
        while not _server_version():
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                tail = (LOGS / "dockerd.log").read_text(errors="replace")[-1500:]
                raise UserError(f"The Docker engine didn't start; the end of {LOGS}/dockerd.log:\n{tail}")
            time.sleep(0.3)
    say(f"  Docker runs for this project alone; to look inside: export DOCKER_HOST={os.environ['DOCKER_HOST']}")


def _may_raise_limits() -> bool:
    """Return whether this process holds CAP_SYS_RESOURCE."""
    (mask,) = re.findall(r"^CapEff:\s+([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.M)
    return bool(int(mask, 16) >> _CAP_SYS_RESOURCE & 1)


def stop() -> None:
    """End our own engine and put the host's network settings back; does nothing to an engine that isn't ours."""
    pid = _own_process()
    if pid is not None:
        with step("Stop the Docker engine"):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 60
            while _own_process() is not None:
                if time.monotonic() > deadline:
                    raise UserError(f"The Docker engine (process {pid}) doesn't end; see {LOGS}/dockerd.log.")
                time.sleep(0.2)
    if _BEFORE.exists():
        before = json.loads(_BEFORE.read_text())
        for link in re.findall(r"^\d+: (docker0|br-[0-9a-f]{12})[:@]", run(["ip", "-o", "link"]), re.M):
            run(["ip", "link", "delete", link], check=False)
        _restore_iptables(before["iptables"])
        for name, value in before["sysctls"].items():
            path = Path(name)
            if path.exists() and path.read_text() != value:
                path.write_text(value)
        for folder in ("docker/plugins", "docker", "containerd/s", "containerd"):  # made by every engine, now empty
            with contextlib.suppress(OSError):
                (Path("/run") / folder).rmdir()
        _BEFORE.unlink()


def _sysctls() -> dict[str, str]:
    """The kernel settings that a Docker engine or a kind node may change, by path."""
    roots = [Path("/proc/sys/net/ipv4"), Path("/proc/sys/net/ipv6"), Path("/proc/sys/net/bridge")]
    settings = {}
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file() and path.stat().st_mode & 0o200 and "neigh" not in path.parts:
                try:
                    settings[str(path)] = path.read_text()
                except OSError:
                    continue  # some can only be written
    return settings


def _restore_iptables(before: str) -> None:
    """Take away the chains, rules and policies that came after `before` and that name Docker's chains or bridges."""
    mark = re.compile(r"DOCKER|docker0|br-[0-9a-f]{12}|172\.1\d\.")
    table = ""
    chains: list[str] = []
    known = set(before.splitlines())
    for line in run(["iptables-save"]).splitlines():
        if line.startswith("*"):
            table, chains = line[1:], []
        elif line.startswith("-A") and line not in known and mark.search(line):
            run(["iptables", "-t", table, "-D", *line.split()[1:]], check=False)
        elif line.startswith(":DOCKER"):
            chains.append(line[1:].split()[0])
        elif line == "COMMIT":
            for chain in chains:
                run(["iptables", "-t", table, "-F", chain], check=False)
            for chain in chains:
                run(["iptables", "-t", table, "-X", chain], check=False)
    if ":FORWARD ACCEPT" in before or ":FORWARD" not in before:
        run(["iptables", "-P", "FORWARD", "ACCEPT"], check=False)
