"""Where images come from: an image registry, or, where none can be reached, built here (`IMAGES=registry|build`)."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ci import go_programs
from ci.common import VERSIONS
from ci.offline import addon_images, host, model_image, node_image, vllm_image
from vllm_chart.chart import app_version
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import end_programs, run
from vllm_chart.progress import say, step

VLLM = f"docker.io/vllm/vllm-openai-cpu:v{app_version()}"


@functools.cache
def choose() -> str:
    """`registry` or `build`: as $IMAGES says, else what works, told to the person who waits."""
    wanted = os.environ.get("IMAGES", "")
    if wanted not in ("", "registry", "build"):
        raise UserError(f"IMAGES={wanted} is neither `registry` nor `build`.")
    if wanted == "build":
        return "build"
    node = VERSIONS["registry"]["node"]
    try:
        if not in_docker(node):
            with step(f"Pull {node.split('@')[0]}", hint="400 MB"):
                run(["docker", "pull", "--quiet", node], timeout=900)
    except CommandError as error:
        reason = (error.output.strip().splitlines() or ["no answer"])[-1]
        if wanted == "registry":
            raise UserError(
                f"The node image can't be pulled ({reason}): mend the network, or build it with IMAGES=build."
            ) from None
        say(f"  No image registry can be reached ({reason}).")
        say("  So all images are built here from the package registries of Go, Debian and Python.")
        return "build"
    return "registry"


def node(mode: str) -> str:
    """The name of kind's node image, which Docker has afterwards."""
    if mode == "registry":
        return str(VERSIONS["registry"]["node"])
    archive = built(node_image.build)
    if not in_docker(node_image.name()):
        with step("Load the node image into Docker", hint="about 10 s"):
            run(["docker", "load", "--quiet", f"--input={archive}"])
        remove_from_docker(keep=node_image.name())
    return node_image.name()


def in_docker(name: str) -> int:
    """Bytes of an image in Docker; 0 where it isn't there."""
    return int(run(["docker", "image", "inspect", "--format={{.Size}}", name], check=False).strip() or 0)


def built(build: Callable[[], Path]) -> Path:
    """An archive that a function of ci/offline makes, after the machine was found fit for it."""
    host.prepare()
    return build()


def build_all() -> None:
    """Build what a demo needs, two things at a time: compilers keep the cores busy, downloads the network."""
    host.prepare()
    lanes: list[list[Callable[[], Path]]] = [
        [group.build for group in go_programs.NODE],
        [node_image.base_root, vllm_image.build, model_image.build],
    ]
    with ThreadPoolExecutor(len(lanes)) as pool:
        running = [pool.submit(lambda lane: [build() for build in lane], lane) for lane in lanes]
        try:
            for lane in as_completed(running):
                lane.result()
        except BaseException:  # the other lane isn't worth waiting for
            end_programs()
            raise
    node_image.build()


def archive_of(name: str) -> Path:
    """The built archive that holds an image, by the image's name."""
    builders = {
        VLLM: vllm_image.build,
        model_image.name(): model_image.build,
        model_image.even_name(): model_image.build_even,
    } | {name: image.build for name, image in addon_images.BY_NAME.items()}
    return built(builders[name])


def remove_from_docker(keep: str = "") -> None:
    """Take node images that were built here, but for one, out of Docker; their archives stay in the cache."""
    names = run(["docker", "images", "--format={{.Repository}}:{{.Tag}}", node_image.REPOSITORY]).split()
    if others := [name for name in names if name != keep]:
        run(["docker", "rmi", *others], check=False)
