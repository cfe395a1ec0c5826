"""preStop hook: drains a serving replica before the kubelet sends SIGTERM; ends a loading one at once.

The drain has three states, each written to STATE_FILE, where vllm_lifecycle.py reads it:

draining: for --delay, while load balancers learn that the pod leaves. New requests are served as before.
closing: for half of --timeout. Idle connections are closed. New requests are served, because Kubernetes still sends them
to the last replica.
refusing: for the other half. No new connection is accepted, and open requests finish.

After --delay it ends as soon as no connection to --port is open. In a group of pods, a worker keeps running until its
leader is gone; a leader that loses a worker cannot answer any request and ends at once.
"""

import argparse
import os
import signal
import time
from contextlib import suppress

DRAINING, CLOSING, REFUSING = "draining", "closing", "refusing"
STATE_FILE = "/tmp/drain"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN, ESTABLISHED = "0A", "01"  # as the kernel writes a socket's state

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True, help="port of the server")
parser.add_argument("--delay", type=float, required=True, help="seconds until load balancers know that the pod leaves")
parser.add_argument("--timeout", type=float, required=True, help="seconds for open requests to finish after that")
parser.add_argument("--members-port", type=int, help="in a group: port of the leader to which workers stay connected")
parser.add_argument("--workers", type=int, help="on the leader of a group: number of its workers")
options = parser.parse_args()


def sockets(wanted):
    """Address and port at both ends of each socket in a state."""
    for table in filter(os.path.exists, TABLES):
        with open(table) as lines:
            next(lines)
            for _, *ends, state in (line.split()[:4] for line in lines):
                if state == wanted:
                    (here, local), (there, remote) = (end.split(":") for end in ends)
                    yield here, int(local, 16), there, int(remote, 16)


def serves():
    return any(local == options.port for _, local, _, _ in sockets(LISTEN))


def busy():
    return any(local == options.port for _, local, _, _ in sockets(ESTABLISHED))


def has_leader():
    """True if this worker is connected to its leader."""
    return any(remote == options.members_port for _, _, _, remote in sockets(ESTABLISHED))


def has_all_workers():
    """True if all workers are connected to this leader. Connections from its own address are not workers."""
    if not options.workers:
        return True
    connected = sockets(ESTABLISHED)
    others = {there for here, local, there, _ in connected if local == options.members_port and here != there}
    return len(others) >= options.workers


def enter(state):
    with open(STATE_FILE, "w") as file:
        file.write(state)


def wait(seconds, condition, step=0.5):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and condition():
        time.sleep(step)


broken, ready = bool(options.members_port), serves()
if options.members_port and not options.workers:
    wait(float("inf"), has_leader)
elif ready:
    enter(DRAINING)
    wait(options.delay, has_all_workers, 0.5 if options.workers else options.delay)
    for state in (CLOSING, REFUSING):
        enter(state)
        wait(options.timeout / 2, lambda: busy() and has_all_workers())
    broken = not has_all_workers()

if broken:
    # Every process but this and process 1, which ends when it misses them. It would wait for what they can't answer.
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
# Nothing to drain: vLLM listens only when it can serve. It swallows one TERM while it loads and ends at the next, so ask
# until the container ends, and this process with it. Process 1 never sees a TERM for which it has set no handler yet, but
# Python has one for INT from its start.
while broken or not ready:
    os.kill(1, signal.SIGTERM)
    os.kill(1, signal.SIGINT)
    time.sleep(2)
