"""What the tests of this stage share: a claim with one model in several forms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.exposure.workbench import CLAIM, NAMESPACE, Workbench, cpu_model, pod

from scripts import preload
from scripts.release import Release

#: Fetches the model where the nodes don't have it.
DOWNLOAD = "from huggingface_hub import snapshot_download; snapshot_download({!r}, local_dir='/claim/source')"


@pytest.fixture(scope="session")
def workbench() -> Iterator[Workbench]:
    """A pod with the claim, which holds what models.py makes under models/; both end with the stage."""
    place = Release("workbench", NAMESPACE)
    place.create_namespace()
    bench = Workbench(place)
    everything = (f"pod/{place.name}", f"persistentvolumeclaim/{CLAIM}")
    bench.remove(*everything)
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }
    uri = preload.model()
    mounted = {"/source": {"image": {"reference": uri.removeprefix("oci://")}}} if uri else {}
    bench.start(claim, pod(place.name, ["sleep", "infinity"], mounted))
    try:
        if not uri:
            bench.run("python3", "-c", DOWNLOAD.format(cpu_model()))
        bench.run("mkdir", "/claim/models")
        program = Path(__file__).with_name("models.py").read_text(encoding="utf-8")
        bench.run("python3", "-", "/source" if uri else "/claim/source", "/claim/models", stdin=program)
        yield bench
    finally:
        bench.remove(*everything)
        bench.remove("pods", "--field-selector=status.phase=Succeeded")  # those of `helm test` outlive their releases
