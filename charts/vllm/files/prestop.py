"""Runs before the server is told to stop: a serving pod empties itself first, a loading one ends at once.

Arguments: the server's port, the seconds for which new requests are still welcome, and the seconds that open ones get
after that. While this runs the server works as ever; vllm_lifecycle.py reads what is written to WORD.
"""

import os
import signal
import sys
import time

WORD = "/tmp/drain"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN, ESTABLISHED = "0A", "01"  # as the kernel writes a socket's state

port, delay, timeout = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])


def sockets(wanted):
    """The number of sockets on the server's port in a state."""
    count = 0
    for table in filter(os.path.exists, TABLES):
        with open(table) as lines:
            next(lines)
            for _, local, _, state, *_ in map(str.split, lines):
                count += state == wanted and int(local.rpartition(":")[2], 16) == port
    return count


def say(word):
    with open(WORD, "w") as file:
        file.write(word)


if sockets(LISTEN):
    say("leaving")
    time.sleep(delay)
    say("close")
    deadline = time.monotonic() + timeout
    while sockets(ESTABLISHED) and time.monotonic() < deadline:
        time.sleep(0.5)
else:
    # Nothing to drain: vLLM listens only when it can serve. It swallows one TERM while it loads and ends at the next,
    # so ask until the container ends, and this process with it. Process 1 never sees a TERM for which it has set no
    # handler yet, but Python has one for INT from its start.
    while not sockets(LISTEN):
        os.kill(1, signal.SIGTERM)
        os.kill(1, signal.SIGINT)
        time.sleep(2)
