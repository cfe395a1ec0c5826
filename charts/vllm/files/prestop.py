"""Runs before the server is told to stop: keeps a serving pod up until load balancers have forgotten it.

Arguments: the server's port, and the seconds to wait.
"""

import http.client
import os
import signal
import sys
import time

port, delay = int(sys.argv[1]), float(sys.argv[2])


def refuses_connections() -> bool:
    """Whether nobody listens: vLLM opens its port only when the model is loaded and warm."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        connection.getresponse()
    except ConnectionRefusedError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return False


if refuses_connections():
    # Nothing to drain. vLLM swallows one TERM while it loads and ends at the next, and process 1 never sees one that
    # comes before Python has set a handler, so ask until the container ends, and this process with it.
    while refuses_connections():
        os.kill(1, signal.SIGTERM)
        time.sleep(2)
else:
    time.sleep(delay)
