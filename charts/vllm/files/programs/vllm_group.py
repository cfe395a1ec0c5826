"""Starts vLLM in one pod of a group when all of its pods are there, or says which are missing and ends.

Arguments: the backend, mp or ray; the seconds for which the others are waited for; the port of the leader at which they
meet; what `vllm serve` gets. LeaderWorkerSet tells each pod its place by LWS_* variables.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress

PAUSE = 2  # seconds between two tries
backend, patience, port, *arguments = sys.argv[1:]
port = int(port)
deadline = time.monotonic() + float(patience)
leader, size, index = (os.environ.get(f"LWS_{name}") for name in ("LEADER_ADDRESS", "GROUP_SIZE", "WORKER_INDEX"))
if not (leader and size and index):
    sys.exit("LWS_LEADER_ADDRESS, LWS_GROUP_SIZE or LWS_WORKER_INDEX is missing: this pod was made without LeaderWorkerSet's webhook.")
size, index = int(size), int(index)
here = os.environ.get("VLLM_HOST_IP")


def say(text):
    print(f"Group: {text}", flush=True)


def remaining():
    return max(0.1, deadline - time.monotonic())


def expired():
    return time.monotonic() >= deadline


def missing(present):
    """Ends this pod with the names of those that did not come, by their index."""
    # by the leader's address, as this pod's own host name is the node's on the host's network
    names = ", ".join(f"{leader.split('.')[0]}-{number}" for number in range(1, size) if number not in present)
    sys.exit(f"After {patience} s {len(present) + 1} of {size} pods are there, without {names}: see kubectl describe pod.")


def unreachable(reason):
    sys.exit(f"The leader is not reached at {leader}:{port} in {patience} s: {reason}.")


def gather():
    """Returns when every worker has connected, and has been told so."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    present = {}
    with socket.create_server(("", port), family=family, dualstack_ipv6=dual) as listener:
        while len(present) < size - 1:
            if expired():
                missing(present)
            listener.settimeout(min(30, remaining()))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                say(f"{len(present) + 1} of {size} pods are there")
                continue
            connection.settimeout(PAUSE)
            with suppress(OSError, ValueError):  # a stranger, who says nothing or something else
                number = int(connection.recv(16))
                if 0 < number < size:
                    present[number] = connection
        for connection in present.values():
            with suppress(OSError):
                connection.sendall(b"go")


def join():
    """Returns when the leader says that all are there."""
    reason = "it never answered"
    while not expired():
        try:
            with socket.create_connection((leader, port), timeout=PAUSE) as connection:
                connection.sendall(str(index).encode())
                connection.settimeout(remaining())
                if connection.recv(2) == b"go":
                    return
            reason = "it stopped before all pods were there"
        except OSError as error:
            reason = error
        time.sleep(PAUSE)
    unreachable(reason)


def output(*command, **pipes):
    """What a program prints, as far as it comes in time, and whether it has succeeded."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=remaining(), **pipes)
    except subprocess.TimeoutExpired:
        return f"no end after {patience} s", False
    return done.stdout, done.returncode == 0


def head():
    """Returns when every worker has joined the Ray cluster of which this pod is the head."""
    words = ["start", "--head", f"--port={port}", "--include-dashboard=false", "--disable-usage-stats"]
    said, started = output("ray", *words, f"--node-ip-address={here}", stderr=subprocess.STDOUT)
    if not started:
        sys.exit(f"Ray doesn't start: {said[-2000:]}")
    count = "import ray; ray.init(address='auto', log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
    alive = 1
    while alive < size:
        if expired():
            sys.exit(f"After {patience} s {alive} of {size} pods have joined Ray: see kubectl describe pod of the workers.")
        said, counted = output(sys.executable, "-c", count)
        alive = int(said) if counted else 1
        say(f"{alive} of {size} pods have joined Ray")
        time.sleep(PAUSE)


def follow():
    """Joins the Ray cluster and works in it until it ends."""
    said = "it never answered"
    while not expired():
        with suppress(OSError):
            socket.create_connection((leader, port), timeout=PAUSE).close()
            words = ["start", f"--address={leader}:{port}", f"--node-ip-address={here}", "--disable-usage-stats"]
            os.execvp("ray", ["ray", *words, "--block"])
        time.sleep(PAUSE)
    unreachable(said)


if backend == "ray" and not shutil.which("ray"):
    sys.exit("The image has no Ray: set image.repository to one that has, or distributed.backend to mp.")
say(f"pod {index} of {size}, {backend}")
if backend == "ray":
    head() if index == 0 else follow()
else:
    gather() if index == 0 else join()
say("all pods are there")
os.execvp("vllm", ["vllm", "serve", *arguments])
