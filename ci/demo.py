"""`make demo`: from nothing to a streamed answer of real vLLM on a real cluster."""

from __future__ import annotations

import os
import time

from ci import cluster, images, load_images, tools
from ci.chat import stream_answer
from ci.common import ROOT, VERSIONS
from ci.helm_release import NODE_PORT_VALUES, HelmRelease, base_url
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.progress import clock, console, say, step

RELEASE = HelmRelease("vllm", "vllm-demo")
MODEL: str = VERSIONS["model"]["name"]
_QUESTION = "What is the capital of France?"


def demo() -> None:
    """Make what is missing, install, ask."""
    started = time.monotonic()
    if cluster.images_mode() == "build":
        images.build_all()
    cluster.use()
    load_images.vllm()
    uri = load_images.model()
    values = NODE_PORT_VALUES | {"model": {"name": MODEL} | ({"uri": uri} if uri else {})}

    RELEASE.create_namespace()
    fresh = not RELEASE.exists()
    installing = time.monotonic()
    with step("helm install, until vLLM is Ready" if fresh else "helm upgrade, until vLLM is Ready", hint="about 40 s"):
        RELEASE.install([ROOT / "values" / "cpu.yaml"], values)
        RELEASE.wait()
    ready = time.monotonic()

    question = os.environ.get("ASK") or _QUESTION
    say(f"\n[bold]{question}[/bold]")
    first = 0.0
    pieces = 0
    for piece in stream_answer(MODEL, question):
        first = first or time.monotonic()
        pieces += 1
        console.print(piece, end="", markup=False)
    if not pieces:
        raise UserError('vLLM answered with nothing; ask in other words: make demo ASK="…"')
    say("\n")

    if fresh:
        say(f"From helm install to Ready {clock(ready - installing)}, to the first token {clock(first - installing)}.")
    else:
        say("The release was there already.")
    say(f"First token {clock(first - ready)} after the question.")
    say(f"All of make demo took {clock(time.monotonic() - started)}.")
    body = f'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Name three colours."}}]}}'
    say("\nGo on with:")
    for line in (
        f"export KUBECONFIG={cluster.KUBECONFIG} PATH={tools.find('kubectl').parent}:{tools.find('helm').parent}:$PATH",
        f"curl {base_url()}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'",
        f"kubectl -n {RELEASE.namespace} port-forward service/{RELEASE.name} 8080:80",
        f"helm -n {RELEASE.namespace} uninstall {RELEASE.name}   # and the cluster: make cluster-down",
    ):
        console.print(f"  {line}", markup=False)


if __name__ == "__main__":
    main(demo)
