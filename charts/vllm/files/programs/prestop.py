"""Runs before the server is told to stop: a serving pod empties itself first, a loading one ends at once.

Arguments: the server's port, the seconds for which new requests are still welcome, and the seconds that open ones get
after that. While this runs the server works as ever; vllm_lifecycle.py reads what is written to WORD.

Where a server spreads over several pods, the port follows at which its workers stay connected to their leader, and for
the leader the number of workers. A worker works on until its leader is gone; a leader without one of its workers can
answer nothing, and ends at once.
"""

import os
import signal
import sys
import time
from contextlib import suppress

WORD = "/tmp/drain"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN, ESTABLISHED = "0A", "01"  # as the kernel writes a socket's state

port, delay, timeout = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
members, workers = [*map(int, sys.argv[4:]), None, None][:2]


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
    return any(local == port for _, local, _, _ in sockets(LISTEN))


def busy():
    return any(local == port for _, local, _, _ in sockets(ESTABLISHED))


def led():
    """Whether a worker is connected to its leader."""
    return any(remote == members for _, _, _, remote in sockets(ESTABLISHED))


def whole():
    """Whether every worker of a leader is connected to it; a connection of the leader with itself has one address."""
    others = {there for here, local, there, _ in sockets(ESTABLISHED) if local == members and here != there}
    return not workers or len(others) >= workers


def say(word):
    with open(WORD, "w") as file:
        file.write(word)


def wait(seconds, condition, step=0.5):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and condition():
        time.sleep(step)


broken, ready = bool(members), serves()
if members and not workers:
    wait(float("inf"), led)
elif ready:
    say("leaving")
    wait(delay, whole, 0.5 if workers else delay)
    # Where no other server is there, Kubernetes still sends requests to this one. It takes them for half of the time,
    # and has the other half for what it took.
    for word in ("close", "refuse"):
        say(word)
        wait(timeout / 2, lambda: busy() and whole())
    broken = not whole()

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
