"""What holds for any values that the schema takes, and for any that it must refuse, made at random."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from tests.property import strategies
from vllm_chart.check.helm_errors import parse_helm_errors
from vllm_chart.invariants import kubernetes_api
from vllm_chart.invariants.registry import INVARIANTS, Subject
from vllm_chart.render import helm
from vllm_chart.render.findings import Finding, report
from vllm_chart.render.helm import HelmError
from vllm_chart.render.objects import pods

Steps = tuple[str | int, ...]

#: Statements that hold whatever a user writes; Pod Security, names and the like are the user's to break.
ALWAYS = ("kubernetes", "arguments", "references", "repetitions", "numbers")

#: Names that are something else to YAML; Helm and Kubernetes take them all.
NAMES = ["on", "yes", "null", "true", "y", "123", "0x1f", "1e3", "models"]


def by_a_check(error: HelmError) -> bool:
    """True if a named check rejects the values; its name ends the message."""
    return re.search(r"\[check \w+\]$", error.text, flags=re.MULTILINE) is not None


def newer(finding: Finding, values: dict[str, Any]) -> bool:
    """True for a field that the user set and that only newer Kubernetes versions support; the schema allows those."""
    fields = re.findall(r"'(\w+)'", finding.text.partition("not allowed (")[2])
    older = not finding.text.endswith(f"(Kubernetes {kubernetes_api.supported()[-1]})")
    return older and bool(fields) and all(f'"{field}"' in json.dumps(values) for field in fields)


@given(strategies.values(), st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_valid_values_give_what_kubernetes_and_vllm_take_or_fail_a_named_check(
    values: dict[str, Any], release: str, namespace: str
) -> None:
    try:
        # strict YAML is read here, too
        rendered = helm.render(values, release=release, namespace=namespace)
    except HelmError as error:
        if not by_a_check(error):
            raise
        event("refused by a check")
        return
    event(f"rendered a {rendered.objects.servers()[0].kind}")
    for manifest in rendered.objects:
        assert manifest.body["metadata"]["namespace"] == namespace, rendered.command
    subject = Subject(values, (values,), release=release, namespace=namespace)
    found = [finding for name in ALWAYS for finding in INVARIANTS[name].findings(subject)]
    found = [finding for finding in found if not newer(finding, values)]
    assert not found, report(found, rendered.command)


@given(strategies.values(frozenset({"podSpec", "resources", "replicas", "tolerations", "accelerator"})))
def test_a_valid_overlay_of_a_pod_renders_or_fails_a_named_check(values: dict[str, Any]) -> None:
    try:
        rendered = helm.render(values)
    except HelmError as error:
        if not by_a_check(error):
            raise
        return
    (server,) = rendered.objects.servers()
    assert all(pod.containers() for pod in pods(server))


# -- one mistake


def places(value: Any, path: Steps = ()) -> Iterator[Steps]:
    """Every path in values, the root's too."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield from places(inner, (*path, step))


def changed(value: Any, path: Steps, new: Any) -> Any:
    """Values with another one at a path."""
    if not path:
        return new
    if isinstance(value, list):
        return [changed(item, path[1:], new) if index == path[0] else item for index, item in enumerate(value)]
    return {**value, path[0]: changed(value.get(path[0]), path[1:], new)}


def must_be_refused(values: dict[str, Any], path: Steps) -> None:
    """Give values to Helm, which must name the path."""
    assume(not strategies.is_valid(values))
    with pytest.raises(HelmError) as failure:
        helm.render(values)
    found = [problem.place for problem in parse_helm_errors(failure.value.text)]
    assert ".".join(map(str, path)) in found, (path, failure.value.text)


@given(strategies.values(), st.data())
def test_a_misspelt_key_is_refused_where_it_stands(values: dict[str, Any], data: st.DataObject) -> None:
    closed = [path for path in places(values) if strategies.at(path).get("additionalProperties") is False]
    path = data.draw(st.sampled_from(closed))
    must_be_refused(changed(values, (*path, "typpo"), 1), (*path, "typpo"))


#: One value of each type, that no enum and no pattern takes.
WRONG = {"object": {"typpo": 1}, "array": [{"typpo": 1}], "boolean": True, "number": 7.5, "string": "Typ po"}


@given(strategies.values(), st.data())
def test_a_value_of_the_wrong_type_is_refused_where_it_stands(values: dict[str, Any], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in places(values) if path]))
    node = strategies.at(path)
    assume(node.keys() & {"type", "enum"})
    taken = {node["type"]} if isinstance(node.get("type"), str) else set(node.get("type", ()))
    wrong = data.draw(st.sampled_from([kind for kind in ("boolean", "number", "object", "array") if kind not in taken]))
    assume(wrong != "number" or "integer" not in taken)
    must_be_refused(changed(values, path, WRONG[wrong]), path)


@given(strategies.values(), st.data())
def test_a_word_that_is_none_of_the_choices_is_refused_where_it_stands(
    values: dict[str, Any], data: st.DataObject
) -> None:
    choices = [path for path in places(values) if "enum" in strategies.at(path)]
    assume(choices)
    path = data.draw(st.sampled_from(choices))
    must_be_refused(changed(values, path, WRONG["string"]), path)
