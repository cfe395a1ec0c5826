"""`make bench-start`: helm install to Ready, against the same container under `docker run`, in alternating pairs."""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import httpx

from ci import cluster, images, load_images
from ci.common import ROOT
from ci.helm_release import HelmRelease
from ci.offline import archive, model_image, vllm_image
from vllm_chart.cache import CACHE
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.process import run
from vllm_chart.progress import say, step
from vllm_chart.render import go_yaml

_PAIRS = 3
_RELEASE = HelmRelease("vllm", "vllm-bench")
_CONTAINER = "vllm-chart-bench"
_DEADLINE_SECONDS = 300


def bench() -> None:
    """Print each pair, then medians; never are both servers up at once."""
    load_images.vllm()
    uri = load_images.model()
    values: dict[str, Any] = {"model": {"uri": uri, "name": "bench"}} if uri else {}
    _require_no_other_release()
    _docker_has_the_image()
    _RELEASE.create_namespace()
    _kubernetes(values)  # not counted: both find the image's files in memory afterwards
    container = _container()
    pairs = []
    for number in range(1, _PAIRS + 1):
        pairs.append((_kubernetes(values), _docker(container)))
        say(f"pair {number}: helm install to Ready {pairs[-1][0]:.1f} s, docker run to /health {pairs[-1][1]:.1f} s")
    differences = sorted(kubernetes - docker for kubernetes, docker in pairs)
    say(
        f"median: helm install to Ready {statistics.median(k for k, _ in pairs):.1f} s, docker run "
        f"{statistics.median(d for _, d in pairs):.1f} s, difference {statistics.median(differences):+.1f} s "
        f"(from {differences[0]:+.1f} to {differences[-1]:+.1f} s)"
    )
    for line in _sizes():
        say(line)


def _require_no_other_release() -> None:
    listed = json.loads(
        run(["helm", f"--kubeconfig={cluster.KUBECONFIG}", "list", "--all-namespaces", "--output=json"])
    )
    others = [f"{r['namespace']}/{r['name']}" for r in listed if r["namespace"] != _RELEASE.namespace]
    if others:
        raise UserError(f"Another server would disturb the measurement: uninstall {', '.join(others)} first.")


def _docker_has_the_image() -> None:
    if images.in_docker(images.VLLM):
        return
    if cluster.use().images == "registry":
        with step("Pull the vLLM image into Docker", hint="some GB"):
            run(["docker", "pull", "--quiet", images.VLLM])
        return
    with step("Load the vLLM image into Docker", hint="about 90 s"):
        packed = CACHE / "images" / "vllm-for-docker.tar"  # Docker 20.10 doesn't read the compressed one
        archive.write(packed, [archive.Image(images.VLLM, vllm_image.build_root(), vllm_image.CONFIG)])
        run(["docker", "load", "--quiet", f"--input={packed}"])
        packed.unlink()


def _kubernetes(values: dict[str, Any]) -> float:
    """Seconds from `helm install` to a Ready pod."""
    _RELEASE.uninstall()
    with step("helm install, until vLLM is Ready"):
        started = time.monotonic()
        _RELEASE.install([ROOT / "values" / "cpu.yaml"], values)
        _RELEASE.wait()
        return time.monotonic() - started


def _container() -> dict[str, Any]:
    """The container of the installed pod."""
    (deployment,) = [
        d for d in go_yaml.load_all(_RELEASE.helm("get", "manifest", _RELEASE.name)) if d["kind"] == "Deployment"
    ]
    return dict(deployment["spec"]["template"]["spec"]["containers"][0])


def _docker(container: dict[str, Any]) -> float:
    """Seconds from `docker run` of the same container to the first 200 of /health."""
    _RELEASE.uninstall()
    environment = [f"--env={e['name']}={e['value']}" for e in container["env"] if "value" in e]
    mounts = [f"--volume={model_image.build_folder()}:{path}:ro" for path in _model_paths(container)]
    writable = [f"--tmpfs={path}:mode=1777" for path in ("/tmp", "/home/vllm")]  # noqa: S108  # the container's
    with step("docker run, until /health answers"):
        started = time.monotonic()
        flags = ("--publish=127.0.0.1::8000", "--shm-size=1g", "--read-only", "--user=2000:0", "--cap-drop=ALL")
        options = [*flags, *environment, *mounts, *writable]
        run(["docker", "run", "--detach", f"--name={_CONTAINER}", *options, images.VLLM, *container["args"]])
        try:
            address = run(["docker", "port", _CONTAINER, "8000/tcp"]).split()[0]
            while not _healthy(f"http://{address}/health"):
                if time.monotonic() - started > _DEADLINE_SECONDS:
                    raise UserError(f"vLLM under Docker isn't ready in {_DEADLINE_SECONDS} s: docker logs {_CONTAINER}")
                time.sleep(0.1)
            return time.monotonic() - started
        finally:
            run(["docker", "rm", "--force", "--volumes", _CONTAINER])


def _model_paths(container: dict[str, Any]) -> list[str]:
    return [m["mountPath"] for m in container["volumeMounts"] if m["mountPath"] == container["args"][0]]


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _sizes() -> list[str]:
    """What the nodes and images take."""
    _RELEASE.uninstall()
    nodes = run(["docker", "stats", "--no-stream", "--format={{.Name}} {{.MemUsage}}"]).splitlines()
    return [
        f"image {images.VLLM}: {images.in_docker(images.VLLM) / 1e9:.1f} GB unpacked",
        *(f"memory without a server: {node}" for node in nodes),
    ]


if __name__ == "__main__":
    main(bench)
