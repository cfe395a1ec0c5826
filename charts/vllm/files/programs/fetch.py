"""Runs before the server: fetches a model into the cache of Hugging Face, or an adapter to where the server looks for it.

Arguments: the URI, the revision or nothing, and for an adapter the path that shall lead to it.

Several pods may share the cache. The library of Hugging Face locks each file while it writes it and puts it in place
only when it is whole, so that pods which start together fetch it once, and one that dies leaves nothing half done.
"""

import os
import signal
import sys
from pathlib import Path

# The kernel keeps a TERM from process 1 that has no handler for it, and a deleted pod would fetch on.
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))

uri, revision, target = sys.argv[1:]
scheme, _, rest = uri.partition("://")

# What vLLM does not load where there are safetensors; should it want one of these after all, it fetches that itself.
OTHER_FORMATS = ["*.h5", "*.msgpack", "*.ot", "*.onnx*", "*.tflite", "*.gguf", "onnx/*", "openvino/*", "original/*"]
TORCH_FORMATS = ["*.bin", "*.pt", "*.pth", "consolidated*"]


def fetch_from_hub() -> str:
    """Return the folder of the snapshot, which is complete."""
    from huggingface_hub import snapshot_download

    def download(unwanted: list[str]) -> str:
        return snapshot_download(rest, revision=revision or None, ignore_patterns=unwanted)

    folder = download(OTHER_FORMATS + TORCH_FORMATS)
    return folder if any(Path(folder).rglob("*.safetensors")) else download(OTHER_FORMATS)


def fetch_from_storage() -> None:
    """Copy all files of an adapter out of S3 or Google's object storage."""
    try:
        from runai_model_streamer import pull_files
    except ImportError:
        sys.exit(f"{uri} can't be fetched: the image has no runai-model-streamer; use an image with it, or another source")
    pull_files(f"{uri.rstrip('/')}/", target, None, None)
    if not any(Path(target).iterdir()):
        sys.exit(f"{uri} can't be fetched: there is nothing under this path")


try:
    if scheme == "hf":
        folder = fetch_from_hub()
        if target:
            Path(target).unlink(missing_ok=True)
            os.symlink(folder, target)
    else:
        Path(target).mkdir(exist_ok=True)
        fetch_from_storage()
except Exception as error:
    reason, *_ = [*str(error).strip().splitlines(), ""]
    # Offline, or while the Hub is away: the library can't tell whether all is there, but vLLM may find what it needs.
    if target or "LocalEntryNotFoundError" not in [kind.__name__ for kind in type(error).__mro__]:
        sys.exit(f"{uri} can't be fetched: {type(error).__name__}: {reason}")
    print(f"{uri} is left to the server and what the cache holds: {reason}")
else:
    print(f"{uri} is there")
