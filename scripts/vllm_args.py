"""`make vllm-args`: writes down what the parser of the chart's vLLM says of its flags.

The dump is what values.schema.json is generated from and what the tests hold arguments against. It is taken from a vLLM
for CPUs, whose parser is that of every other build.
"""

from __future__ import annotations

import shutil

from ci.build import vllm_image
from scripts.common import CACHE, ROOT, app_version, main, scratch_folder
from scripts.progress import say, step

_PROGRAM = ROOT / "ci" / "build" / "dump_vllm_args.py"


def run() -> None:
    """Write tests/harness/data/vllm-serve-args-VERSION.json."""
    target = ROOT / "tests" / "harness" / "data" / f"vllm-serve-args-{app_version()}.json"
    root = vllm_image.build_root()
    with (
        step(f"Read the flags of vLLM {app_version()}", hint="about 20 s"),
        scratch_folder(CACHE / "vllm-args") as folder,
    ):
        shutil.copy(_PROGRAM, folder)
        program = ("env", "HOME=/tmp", "VLLM_TARGET_DEVICE=cpu", "python3", f"/mnt/{_PROGRAM.name}")
        vllm_image.in_root(root, folder, *program, f"/mnt/{target.name}")
        shutil.copy(folder / target.name, target)
    say(f"wrote {target.relative_to(ROOT)}; `make schema` brings it into the chart")


if __name__ == "__main__":
    main(run)
