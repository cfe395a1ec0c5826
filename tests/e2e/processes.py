"""What runs in a server's pod."""

from __future__ import annotations

import json

from ci.helm_release import HelmRelease

#: Prints a JSON list of process id, command line and private memory in KiB, of every process but itself.
_LIST = """
import glob, json, os, re
found = []
for folder in glob.glob("/proc/[0-9]*"):
    try:
        command = open(folder + "/cmdline").read().replace(chr(0), " ")
        memory = re.search(r"RssAnon:\\s+(\\d+) kB", open(folder + "/status").read())
    except OSError:
        continue
    if memory and int(folder[6:]) != os.getpid():
        found.append([int(folder[6:]), command, int(memory[1])])
print(json.dumps(found))
"""


def _every(release: HelmRelease, pod: str) -> list[tuple[int, str, int]]:
    return [(*row,) for row in json.loads(release.kubectl("exec", pod, "--", "python3", "-c", _LIST))]


def titled(release: HelmRelease, pod: str, *titles: str) -> list[int]:
    """Process ids of a server's EngineCore or Worker, which are titles that vLLM gives its processes."""
    return [number for number, command, _ in _every(release, pod) if any(f"VLLM::{t}" in command for t in titles)]


def memory(release: HelmRelease, pod: str) -> int:
    """MiB of memory that a server's processes have for themselves, without files and what they share."""
    return sum(kibibytes for _, _, kibibytes in _every(release, pod)) >> 10


def send(release: HelmRelease, pod: str, signal: str, processes: list[int]) -> None:
    """Send a signal, such as KILL, to processes of a pod."""
    release.kubectl("exec", pod, "--", "sh", "-c", f"kill -{signal} {' '.join(map(str, processes))}")
