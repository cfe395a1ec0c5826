"""Reads the config of a model, and the size of its tensors, from a folder, the cache of Hugging Face or its Hub."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from vllm_chart.errors import InputError
from vllm_chart.sizing import model_memory
from vllm_chart.sizing.model_memory import Model

_HUB = "https://huggingface.co"
_SECONDS = 5


def _get(url: str) -> bytes:
    """Return what the Hub answers; raises OSError."""
    headers = {"User-Agent": "vllm-chart"}
    if token := os.environ.get("HF_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_SECONDS) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def load(name: str, config: str = "", parameters: int = 0) -> Model:
    """Return a model by its name, folder or URI; raises InputError where nothing tells its shape."""
    folder = Path(config).expanduser() if config else Path(name).expanduser()
    if config and not folder.exists():
        raise InputError(f"{config}: no such file. Name the model's config.json with --config.")
    if re.match(r"[./~]", name) and not config and not folder.is_dir():  # no name of Hugging Face begins so
        raise InputError(
            f"{name}: no such folder. Name its folder, a model of Hugging Face, or a config.json with --config."
        )
    file = folder / "config.json" if folder.is_dir() else folder
    stored = 0
    if config or folder.is_dir():
        if not file.is_file():
            raise InputError(f"{folder}: no config.json. Name the model's config.json with --config.")
        raw, stored = _content(file), _stored(file.parent)
    else:
        raw, stored = _from_hub(name)
    try:
        content = json.loads(raw)
        if not isinstance(content, dict):
            raise ValueError
    except ValueError:
        raise InputError(f"{config or name}: the config is not a JSON map. Name another with --config.") from None
    model = model_memory.read(content, name, parameters or None)
    return dataclasses.replace(model, stored=stored) if stored and not parameters else model


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: {(error.strerror or str(error)).lower()}. Name a readable file with --config."
        ) from None


def _stored(folder: Path) -> int:
    """Bytes of the tensors in a folder, by the index or the files; 0 where there are none."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return _total(_content(index))
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _total(index: bytes) -> int:
    """Bytes that an index of tensors says they have; 0 where it says nothing of the kind."""
    try:
        return int(json.loads(index)["metadata"]["total_size"])
    except (ValueError, TypeError, KeyError):
        return 0


def _from_hub(name: str) -> tuple[bytes, int]:
    """Return the config and the bytes of the tensors of a model of Hugging Face, from its cache or over the network."""
    name = name.removeprefix("hf://")
    if "://" in name or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise InputError(f"{name}: not a model of Hugging Face. Name its config.json with --config.")
    cache = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    for file in sorted(cache.glob(f"models--{name.replace('/', '--')}/snapshots/*/config.json")):
        return _content(file), _stored(file.parent)
    try:
        config = _get(f"{_HUB}/{name}/resolve/main/config.json")
    except urllib.error.HTTPError as error:
        reasons = {
            401: "requires a token in HF_TOKEN, or does not exist",
            403: "requires its licence to be accepted",
            404: "has no config.json",
        }
        reason = reasons.get(error.code, f"answers {error.code}")
        raise InputError(f"{_HUB}/{name}: {reason}. Name its config.json with --config.") from None
    except (OSError, ValueError) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        raise InputError(f"{_HUB}: not reachable ({why}). Name the model's config.json with --config.") from None
    try:
        return config, _total(_get(f"{_HUB}/{name}/resolve/main/model.safetensors.index.json"))
    except OSError:
        return config, 0  # one file has no index
