"""Each key of values.yaml is read by a template, and each key that a template reads is in values.yaml.

A key that stands in a template with its whole path is read. Of any other key a render tells: one that is read changes
what some value set renders when it gets its default, and one that is not in values.yaml changes nothing when it is set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ci.common import ROOT
from scripts.mutation.branches import ACTION
from scripts.templates import template_files
from scripts.value_sets import TESTED, value_sets
from tests.lib.value_paths import FIXED, Steps, at, having, leaves
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.helm import HelmError

#: Maps that carry Kubernetes' own fields whole.
WHOLE = {"podSecurityContext", "securityContext", "autoscaling.hpa.behavior", "autoscaling.keda.behavior"}

#: Maps through whose keys templates go.
RANGED = {"autoscaling", "cache", "metrics"}

#: Keys that templates read and values.yaml lacks, with the reason.
LACKING = {"global": "belongs to a parent chart"}

Sets = Sequence[dict[str, Any]]


def defaults(chart: Path) -> dict[str, Any]:
    """A chart's values.yaml."""
    return dict(go_yaml.load((chart / "values.yaml").read_text(encoding="utf-8")))


def actions(chart: Path) -> list[str]:
    """The code of a chart's templates, without comments."""
    texts = [path.read_text(encoding="utf-8") for path in template_files(chart).values()]
    return [found[2] for text in texts for found in ACTION.finditer(text) if not found[2].startswith("/*")]


def unread(chart: Path, sets: Sets, root: str) -> list[str]:
    """Return the keys below a key of a chart's values.yaml that no template reads, as far as value sets show it."""
    given = defaults(chart)
    literal = set(re.findall(r"\.Values\)?\.([a-zA-Z]+(?:\.[a-zA-Z]+)*)", "\n".join(actions(chart))))
    paths = [path for path in leaves({root: given[root]}) if ".".join(path) not in literal]
    return [".".join(path) for path in paths if not any(changes(chart, values, path, given) for values in sets)]


def changes(chart: Path, values: dict[str, Any], path: Steps, given: dict[str, Any]) -> bool:
    """True if values set a key to something other than its default and this changes the manifests."""
    default = at(given, path)
    if at(values, path) in (None, default):
        return False
    try:
        return helm.render(having(values, path, default), chart=chart).text != helm.render(values, chart=chart).text
    except HelmError:
        return True  # a check has seen that something is missing


def undeclared(chart: Path, values: dict[str, Any]) -> str:
    """Return a key that templates read where values render, and values.yaml lacks; empty if there is none.

    Every name in the templates is tried in every map of values.yaml that lacks it, all at once at first.
    """
    given = defaults(chart)
    names = {name for action in actions(chart) for name in re.findall(r'(?<=[."])[A-Za-z][\w-]*', action)}
    tried = [(*path, name) for path in maps(given) for name in sorted(names - at(given, path).keys())]
    tried = [path for path in tried if ".".join(path) not in LACKING]

    def render(paths: Iterable[Steps]) -> str:
        layered = merged(given, values)
        for *path, name in paths:
            at(layered, tuple(path))[name] = "undeclared"
        try:
            return helm.render(layered, chart=chart, options=["--skip-schema-validation"]).text
        except HelmError as error:
            return error.text

    without = render([])
    if render(tried) == without:
        return ""
    while len(tried) > 1:
        first, second = tried[: len(tried) // 2], tried[len(tried) // 2 :]
        tried = first if render(first) != without else second
    return ".".join(tried[0])


def maps(values: Mapping[str, Any], path: Steps = ()) -> Iterator[Steps]:
    """Paths to values and the maps with keys in them in which a key that is not there must not count."""
    name = ".".join(path)
    if name in WHOLE:
        return
    if name not in RANGED:
        yield path
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from maps(value, (*path, key))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Maps laid over each other as Helm does with values, without sharing any; null over a map keeps the map."""
    found = json.loads(json.dumps(base))
    for key, value in over.items():
        if isinstance(found.get(key), dict) and found[key]:
            found[key] = merged(found[key], value or {})
        else:
            found[key] = value
    return dict(found)


#: The largest first, as most keys change something there.
SETS = sorted((item.values() for item in value_sets()), key=lambda values: -len(json.dumps(values)))


@pytest.mark.parametrize("root", defaults(CHART))
def test_a_template_reads_every_key_of_values_yaml(root: str) -> None:
    fixed = {key for key in FIXED if key.partition(".")[0] == root}
    found = set(unread(CHART, SETS, root))
    assert found == fixed, (
        f"let a template read, and set in tests/render/values/everything.yaml: {', '.join(sorted(found ^ fixed))}"
    )


def test_a_test_names_every_key_of_values_yaml() -> None:
    files = [file for folder in ("render", "contract") for file in (ROOT / "tests" / folder).glob("test_*.py")]
    words = [set(re.findall(r"\w+", file.read_text(encoding="utf-8"))) for file in files]
    paths = [path for path in leaves(defaults(CHART)) if not any(".".join(path).startswith(f"{key}.") for key in WHOLE)]
    missing = [".".join(path) for path in paths if not any(file.issuperset(path) for file in words)]
    assert not missing, f"add a test in tests/render that sets: {', '.join(missing)}"


@pytest.mark.parametrize("values", value_sets([TESTED]), ids=lambda item: item.name)
def test_values_yaml_has_every_key_that_a_template_reads(values: Any) -> None:
    missing = undeclared(CHART, values.values())
    assert not missing, f"add to charts/vllm/values.yaml and values.schema.yaml what a template reads: {missing}"
