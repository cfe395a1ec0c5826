"""Runs before the server: writes the API keys into a file that vLLM reads as its arguments.

Arguments: the folder with a file for each key, and the file to write. Of its environment vLLM takes one key only, and is
open where that is empty; its command line can be read by everyone who may list processes.
"""

import json
import os
import sys
from pathlib import Path

source, target = map(Path, sys.argv[1:])

keys = []
for file in sorted(path for path in source.iterdir() if not path.name.startswith(".")):
    key = file.read_text(encoding="utf-8").strip()
    if not key:
        sys.exit(f"server.apiKey.keys.{file.name}: the Secret holds nothing under this key")
    if key.startswith("-"):
        sys.exit(f"server.apiKey.keys.{file.name}: the key begins with a dash, and vLLM would take it for a flag")
    keys.append(key)
if not keys:
    sys.exit("server.apiKey.keys: the volume api-keys holds no key, and vLLM would serve without one")

target.unlink(missing_ok=True)
with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as config:
    json.dump({"api-key": keys}, config)  # which is YAML, too
print(f"{len(keys)} API keys are there")
