"""files/data/accelerators.yaml is the one place that knows accelerators: a new type is one entry there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.common import ROOT
from vllm_chart import accelerators
from vllm_chart.chart import CHART, app_version
from vllm_chart.render import helm

#: The image and the devices of a server of each type.
SERVERS: dict[str, tuple[str, dict[str, int] | None]] = {
    "nvidia": ("docker.io/vllm/vllm-openai", {"nvidia.com/gpu": 1}),
    "amd": ("docker.io/vllm/vllm-openai-rocm", {"amd.com/gpu": 1}),
    "gaudi": ("", {"habana.ai/gaudi": 1}),
    "tpu": ("docker.io/vllm/vllm-tpu", {"google.com/tpu": 1}),
    "cpu": ("docker.io/vllm/vllm-openai-cpu", None),
}

#: Texts that are written by hand and may not list accelerators.
BY_HAND = [
    *(CHART / "templates").rglob("*.*"),
    *(CHART / name for name in ("values.yaml", "values.schema.yaml")),
    *(ROOT / name for name in ("README.md", "README.zh-CN.md")),
    *(ROOT / "src" / "vllm_chart").rglob("*.py"),
]

ABACUS = {
    "resource": "example.com/abacus",
    "repository": "vllm/vllm-abacus",
    "quantization": ["fp8"],
    "tested": "rendered",
    "image": "abacus",
    "label": "example.com/product",
    "gpus": {"Abacus-96GB": {"memory": 98304, "sold": 96, "label": "Abacus", "source": "made up"}},
}

#: What generators and tools say of a chart, in a process whose chart it is.
ASK = """
import json
from scripts.docs import reference
from scripts.generate import accelerators as page, chart_readme, schema
from vllm_chart import accelerators
from vllm_chart.sizing import placement

print(json.dumps({
    "schema": schema.files()[schema.TARGET],
    "readme": chart_readme.files()[chart_readme.TARGET],
    "page": page.files()[page.TARGET],
    "gpus": reference.gpus(),
    "of_resource": accelerators.of_resource("example.com/abacus-half"),
    "of_image": accelerators.of_image("registry.example/vllm-abacus:v1"),
    "size": placement.gpu("abacus-96").type,
}))
"""


def server(kind: str, chart: Path = CHART, **values: Any) -> Any:
    """The container of a server of a type."""
    objects = helm.render({"accelerator": {"type": kind}, **values}, chart=chart).objects
    return objects.one("Deployment").at("spec", "template", "spec", "containers", "vllm")


def test_every_type_renders_its_image_and_its_resource() -> None:
    missing, unknown = accelerators.known().keys() - SERVERS.keys(), SERVERS.keys() - accelerators.known().keys()
    assert not missing, f"add to SERVERS in {Path(__file__).name} what a server of these types is: {sorted(missing)}"
    assert not unknown, f"add these types to charts/vllm/files/data/accelerators.yaml: {sorted(unknown)}"
    for kind, (image, limits) in SERVERS.items():
        values = {} if image else {"image": {"repository": "mine/vllm"}}
        container = server(kind, **values)
        assert container["image"] == f"{image or 'docker.io/mine/vllm'}:v{app_version()}"
        assert (container.get("resources") or {}).get("limits") == limits


@pytest.mark.parametrize("kind", sorted(accelerators.known().keys() - {"nvidia"}))  # which examples name
def test_no_other_text_knows_the_image_or_the_resource_of_a_type(kind: str) -> None:
    item = accelerators.known()[kind]
    facts = "|".join(re.escape(text) for text in (item.resource, item.repository) if text)
    fact = re.compile(rf"(?<![\w/.-])({facts})(?![\w/-])")
    found = [str(path.relative_to(ROOT)) for path in BY_HAND if fact.search(path.read_text(encoding="utf-8"))]
    assert not found, f"read accelerators.yaml instead of repeating what it says of {kind}"


# -- a made-up type


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A copy of the chart with one more type and its generated schema, and what generators and tools say of it."""
    chart = Path(shutil.copytree(CHART, tmp_path_factory.mktemp("extended") / "vllm"))
    with (chart / "files" / "data" / "accelerators.yaml").open("a", encoding="utf-8") as file:
        file.write(yaml.safe_dump({"abacus": ABACUS}))
    environment = os.environ | {"VLLM_CHART": str(chart), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    (chart / "values.schema.json").write_text(said["schema"], encoding="utf-8")
    return chart, said


def test_a_new_type_needs_an_entry_and_no_code(extended: tuple[Path, dict[str, str]]) -> None:
    chart, said = extended
    container = server("abacus", chart)
    assert container["image"] == f"docker.io/vllm/vllm-abacus:v{app_version()}"
    assert container["resources"]["limits"] == {"example.com/abacus": 1}
    assert "untested    accelerator.type abacus" in helm.notes({"accelerator": {"type": "abacus"}}, chart=chart)
    assert "`abacus`" in said["readme"]
    assert "| `abacus` | `example.com/abacus` | `vllm/vllm-abacus` | `fp8` | **untested** |" in said["page"]
    assert "`example.com/product: Abacus`" in said["gpus"]
    assert (said["of_resource"], said["of_image"], said["size"]) == ("abacus", "abacus", "abacus")


def test_a_new_type_rejects_quantization_methods_that_it_lacks(extended: tuple[Path, dict[str, str]]) -> None:
    values = {"accelerator": {"type": "abacus"}, "engine": {"args": {"quantization": "awq"}}}
    with pytest.raises(helm.HelmError, match=r"does not have for accelerator\.type abacus: choose .* fp8"):
        helm.render(values, chart=extended[0])


def test_a_type_that_the_file_lacks_is_rejected_with_those_that_it_has() -> None:
    with pytest.raises(helm.HelmError, match=r"\W+".join(accelerators.known())):
        server("abacus")
