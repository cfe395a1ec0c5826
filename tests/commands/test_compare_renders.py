"""`make compare-renders` reports each part of an object that two charts render differently, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import compare_renders
from scripts.compare_renders import ABSENT, compare, report
from scripts.value_sets import ValueSet
from vllm_chart.errors import InputError, UserError

SERVICE = """
# {comment}
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  ports:
    - {{port: {{{{ .Values.port }}}}, name: http}}
"""
PROGRAM = """
apiVersion: v1
kind: ConfigMap
metadata: {name: program}
data: {run.py: {{ .Files.Get "files/run.py" | toJson }}}
"""


def chart(folder: Path, *templates: str, program: str = "") -> Path:
    """A chart with these templates."""
    for part in ("templates", "files"):
        (folder / part).mkdir(parents=True)
    (folder / "Chart.yaml").write_text("{apiVersion: v2, name: made-up, version: 1.0.0}", encoding="utf-8")
    (folder / "values.yaml").write_text("port: 80", encoding="utf-8")
    (folder / "files" / "run.py").write_text(program, encoding="utf-8")
    for number, text in enumerate(templates):
        (folder / "templates" / f"{number}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def values(tmp_path: Path) -> ValueSet:
    """A values file that sets nothing."""
    file = tmp_path / "nothing.yaml"
    file.write_text("{}", encoding="utf-8")
    return ValueSet("nothing.yaml", file)


def test_comments_key_order_and_file_names_do_not_count(
    tmp_path: Path, values: ValueSet, capsys: pytest.CaptureFixture[str]
) -> None:
    before = chart(tmp_path / "a", SERVICE.format(comment="old"), PROGRAM)
    reordered = (
        SERVICE.format(comment="new").replace("{{port: ", "{{name: http, port: ").replace(", name: http}}", "}}")
    )
    after = chart(tmp_path / "b", PROGRAM, reordered)
    report([values], before, after)
    assert capsys.readouterr().out == "nothing.yaml  identical\n"


def test_each_part_that_differs_is_reported_with_its_object_and_path(
    tmp_path: Path, values: ValueSet, capsys: pytest.CaptureFixture[str]
) -> None:
    service = SERVICE.format(comment="")
    before = chart(tmp_path / "a", service, service.replace("Service", "Secret"))
    changed = service.replace(".Values.port", '"80" | quote').replace("spec:", "spec:\n  type: NodePort")
    after = chart(tmp_path / "b", changed + "    - {port: 443, name: https}", PROGRAM)
    found = {(part.object, part.path): (part.before, part.after) for part in compare(values, before, after)}
    assert found.pop(("Secret/web", ""))[1] == ABSENT
    assert found.pop(("ConfigMap/program", ""))[0] == ABSENT
    assert found == {
        ("Service/web", "spec.ports[0].port"): ("80", '"80"'),
        ("Service/web", "spec.ports[1]"): (ABSENT, '{"port": 443, "name": "https"}'),
        ("Service/web", "spec.type"): (ABSENT, '"NodePort"'),
    }
    with pytest.raises(UserError, match="2 of 2 values files render differently"):
        report([values, ValueSet("again.yaml", values.path)], before, after)
    output = capsys.readouterr().out
    assert "nothing.yaml  5 differences in Secret/web, Service/web, ConfigMap/program\n" in output
    assert 'Service/web spec.ports[0].port: 80 → "80"\n  in nothing.yaml and 1 more\n' in output


def test_programs_are_compared_by_name_on_request(tmp_path: Path, values: ValueSet) -> None:
    before, after = (chart(tmp_path / text, PROGRAM, program=f"print('{text}')\n") for text in ("a", "b"))
    (found,) = compare(values, before, after)
    assert (found.object, found.path) == ("ConfigMap/program", "data.run.py")
    assert not compare(values, before, after, ignore_programs=True)


def test_values_that_one_chart_rejects_are_reported_with_its_message(tmp_path: Path, values: ValueSet) -> None:
    before = chart(tmp_path / "a", '{{ fail "port: taken. Set another." }}')
    after = chart(tmp_path / "b", PROGRAM)
    rejected, made = compare(values, before, after)
    assert (rejected.object, rejected.after, made.object) == ("rejected", ABSENT, "ConfigMap/program")
    assert "port: taken. Set another." in rejected.before
    assert not compare(values, before, before)


def test_a_commit_that_is_missing_ends_in_a_sentence() -> None:
    with pytest.raises(InputError, match="No commit to compare with"):
        compare_renders.base_chart("")
    with pytest.raises(InputError, match="no commit nope in this checkout"):
        compare_renders.base_chart("nope")
