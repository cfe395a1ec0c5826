"""What `helm test` runs: asks the server as a client does, and ends at the first thing that does not hold.

Arguments: the address of the server, its root path or nothing, a first request as JSON with path, body and streams, and
the names that it must serve as a JSON list. API keys and the authority of its certificate are read from /etc/vllm.
"""

import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

address, root_path = sys.argv[1:3]
first, names = map(json.loads, sys.argv[3:])

AUTHORITY = Path("/etc/vllm/tls/ca.crt")
KEYS = {
    file.name: file.read_text(encoding="utf-8").strip()
    for file in sorted(Path("/etc/vllm/api-keys").glob("[!.]*"))
}
KEY = next(iter(KEYS.values()), None)
CONTEXT = ssl.create_default_context(cafile=AUTHORITY) if AUTHORITY.exists() else ssl._create_unverified_context()
#: Seconds for one answer, which on a few CPU cores takes its time.
TIMEOUT = 120


def ask(path: str, body: dict | None = None, key: str | None = KEY) -> tuple[int, str]:
    """Return status and text of the answer."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{address}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=CONTEXT) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        sys.exit(f"FAILED  {path}: no answer from {address}: {getattr(error, 'reason', error)}")


def tell(what: str, holds: bool, found: object) -> None:
    """Print what holds, or end with what was found instead."""
    if not holds:
        sys.exit(f"FAILED  {what}; found: {str(found)[:500]}")
    print(f"ok      {what}", flush=True)


def parsed(text: str) -> dict:
    """Return the text as a JSON map, or an empty one."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


status, text = ask(f"{root_path}/v1/models")
served = [model.get("id") for model in parsed(text).get("data", [])]
tell(f"{root_path}/v1/models lists {', '.join(names)}", set(names) <= set(served), served or (status, text))

path, body = f"{root_path}{first['path']}", first["body"]
status, text = ask(path, body)
answer = parsed(text)
results = answer.get("choices") or answer.get("data") or answer.get("results")
tell(f"{path} answers", status == 200 and bool(results), (status, text))

if first.get("streams"):
    status, text = ask(path, {**body, "stream": True})
    events = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    pieces = [parsed(event) for event in events[:-1]]
    ends = [choice.get("finish_reason") for piece in pieces for choice in piece.get("choices", [])]
    whole = events[-1:] == ["[DONE]"] and not any("error" in piece for piece in pieces)
    tell(f"{path} streams to its end", whole and bool({"stop", "length"} & set(ends)), (status, text[-500:]))

for name, key in KEYS.items():
    status, text = ask(f"{root_path}/v1/models", key=key)
    tell(f"key {name} is accepted", status == 200, (status, text))
for what, key in (("a wrong key", "not-a-key"), ("no key", None)):
    if KEYS:
        status, text = ask(f"{root_path}/v1/models", key=key)
        tell(f"{what} is refused", status == 401, (status, text))

status, text = ask("/metrics", key=None)
tell("/metrics counts requests", status == 200 and "vllm:num_requests_running{" in text, (status, text))
