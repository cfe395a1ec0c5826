"""Gives a Llama model heads of zeros, so that two processes can share its attention; its answers stay the same.

Tensor parallelism divides heads evenly, and the demo's model has nine with three for keys and values. A head whose
weights are zero adds zero to the layer's output.
"""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

_BYTES = 2  # of a bfloat16


def pad(source: Path, target: Path) -> None:
    """Write the model of a Hugging Face folder to another, with as many heads more as one for keys and values has.

    Raises:
        ValueError: for weights that aren't bfloat16.
    """
    shutil.copytree(source, target)
    config = json.loads((source / "config.json").read_text())
    wide = config["head_dim"] * _BYTES
    new = config["num_attention_heads"] // config["num_key_value_heads"]
    with (source / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
        weights = file.read()
    notes = header.pop("__metadata__", {})
    parts, described, offset = [], {}, 0
    for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if tensor["dtype"] != "BF16":
            raise ValueError(f"{name} is {tensor['dtype']}, not BF16")
        shape, data = list(tensor["shape"]), weights[slice(*tensor["data_offsets"])]
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            heads = new if ".q_proj." in name else 1
            shape[0] += heads * config["head_dim"]
            data += bytes(heads * wide * shape[1])
        elif name.endswith("o_proj.weight"):
            row = shape[1] * _BYTES
            data = b"".join(data[start : start + row] + bytes(new * wide) for start in range(0, len(data), row))
            shape[1] += new * config["head_dim"]
        described[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps({"__metadata__": notes, **described}).encode()
    text += b" " * (-len(text) % 8)
    with (target / "model.safetensors").open("wb") as file:
        file.writelines([struct.pack("<Q", len(text)), text, *parts])
    config["num_attention_heads"] += new
    config["num_key_value_heads"] += 1
    (target / "config.json").write_text(json.dumps(config, indent=2))
