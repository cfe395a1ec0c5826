"""Each fact and each helper has one place, and no module is found by a change of sys.path."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.common import ROOT
from vllm_chart.chart import CHART
from vllm_chart.invariants.references import CONTAINER_LISTS, POD_LISTS
from vllm_chart.migrate.part import SECRET_NAME

#: Names that were once defined twice, with the module in which each lives.
PLACES = {
    "ROOT": "ci/common.py",
    "CHART": "src/vllm_chart/chart.py",
    "CACHE": "src/vllm_chart/cache.py",
    "digest": "ci/common.py",
    "app_version": "src/vllm_chart/chart.py",
    "run": "src/vllm_chart/process.py",
    "Finding": "src/vllm_chart/render/findings.py",
}


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Every module outside the chart, by its path; programs that a module holds as text are not in it."""
    paths = [path for room in ("src", "scripts", "ci", "tests") for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def definitions(module: ast.Module) -> Iterator[str]:
    """The names that a module defines at its top; a command's entry point `run()`, without arguments, is no helper."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if not (isinstance(node, ast.FunctionDef) and node.name == "run" and not ast.unparse(node.args)):
                yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


def path_changes(module: ast.Module) -> Iterator[int]:
    """Lines that change sys.path."""
    for node in ast.walk(module):
        calls = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        changed = [node.func.value] if calls else []  # type: ignore[attr-defined]
        changed += node.targets if isinstance(node, ast.Assign) else []
        changed += [node.target] if isinstance(node, ast.AugAssign) else []
        if any(re.match(r"sys\.path\b", ast.unparse(item)) for item in changed):
            yield node.lineno


@pytest.mark.parametrize("name", PLACES)
def test_shared_name_is_defined_once(name: str) -> None:
    assert [path for path, module in modules().items() if name in definitions(module)] == [PLACES[name]]


def test_no_module_changes_sys_path() -> None:
    assert [f"{path}:{line}" for path, module in modules().items() for line in path_changes(module)] == []


def test_yaml_is_read_by_one_loader() -> None:
    readers = {"yaml.load", "yaml.load_all", "yaml.safe_load", "yaml.safe_load_all"}
    found = {
        path
        for path, module in modules().items()
        if not path.startswith("tests/")
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in readers
    }
    assert found == {"src/vllm_chart/render/go_yaml.py"}


@pytest.mark.parametrize(
    "text", ["sys.path.insert(0, 'a')", "sys.path.append('a')", "sys.path += ['a']", "sys.path[:0] = ['a']"]
)
def test_change_of_sys_path_is_found(text: str) -> None:
    assert list(path_changes(ast.parse(f"import sys\n{text}"))) == [2]


@pytest.mark.parametrize(
    "text", ["ROOT = 1", "ROOT: int = 1", "ROOT, A = 1, 2", "def run(a): ...", "class Finding: ..."]
)
def test_second_definition_is_found(text: str) -> None:
    assert set(definitions(ast.parse(text))) & PLACES.keys()


@functools.cache
def templates() -> str:
    """The text of all templates."""
    paths: list[Path] = sorted((CHART / "templates").rglob("*.tpl"))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_migration_and_check_literal_secrets_recognize_the_same_variables() -> None:
    check = templates().partition('define "vllm.check.literalSecrets"')[2].partition('define "')[0]
    assert f'regexMatch "{SECRET_NAME.pattern}"' in check


def test_pod_spec_overlay_and_invariant_have_the_same_list_keys() -> None:
    overlay = templates().partition('define "vllm.overlayFields"')[2].partition("{{- end -}}")[0]
    keys = {name: tuple(re.findall(r"\w+", fields)) for name, fields in re.findall(r'"(\w+)" \(list (.*?)\)', overlay)}
    assert keys == POD_LISTS | CONTAINER_LISTS
