"""`make image` and `make model`: puts what a pod needs on the nodes, so that it starts without a download."""

from __future__ import annotations

import json
import sys

from ci import cluster, images
from ci.offline import model_image
from vllm_chart.entry_point import main
from vllm_chart.progress import say, step


def image(name: str, title: str) -> None:
    """Have an image on every worker: pulled by the nodes, or built here and loaded.

    Args:
        name: repository and tag, with the registry's host.
        title: what it is, for the person who waits.
    """
    state = cluster.use()
    for node in workers():
        if cluster.in_node(node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet", f"name=={name}").strip():
            continue
        if state.images == "registry":
            with step(f"Pull {title} to {node}", hint="some GB"):
                cluster.in_node(node, "crictl", "pull", name)
        else:
            archive = images.archive_of(name)
            with step(f"Load {title} into {node}", hint="about 60 s"):
                file = f"{cluster.ARCHIVES}/{archive.name}"
                cluster.in_node(node, "ctr", "--namespace=k8s.io", "images", "import", "--local", file)


def workers() -> list[str]:
    """Names of the cluster's worker nodes."""
    selector = "--selector=!node-role.kubernetes.io/control-plane"
    nodes = json.loads(cluster.kubectl("get", "nodes", selector, "--output=json"))
    return [node["metadata"]["name"] for node in nodes["items"]]


def vllm() -> None:
    """`make image`."""
    image(images.VLLM, "the vLLM image")
    say(f"The nodes have {images.VLLM}.")


def model() -> str | None:
    """`make model`: the URI to give as `model.uri`, or None where pods fetch values/cpu.yaml's model by themselves."""
    if cluster.use().images == "registry":
        say("The pod fetches its model from the Hugging Face Hub.")
        return None
    image(model_image.name(), "the model")
    return f"oci://{model_image.name()}"


def even_model() -> str:
    """The URI of a model whose heads two processes can share, which those of `model` can't."""
    if cluster.use().images == "registry":
        return "hf://Qwen/Qwen2.5-0.5B-Instruct"
    image(model_image.even_name(), "the model with an even number of heads")
    return f"oci://{model_image.even_name()}"


if __name__ == "__main__":
    commands = {"vllm": vllm, "model": model}
    main(commands[sys.argv[1]])
