"""Writes the result of a check as text, as JSON and as JUnit's XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from vllm_chart.check.checker import Report
from vllm_chart.errors import InputError
from vllm_chart.progress import styled

#: Characters that XML can't hold.
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Failed:
    """Values that could not be checked, and why."""

    values: tuple[str, ...]
    reason: str


def title(values: Iterable[str]) -> str:
    """Return what was checked, in a few words."""
    return " + ".join(values) or "the chart's defaults"


def lines(report: Report) -> Iterator[str]:
    """The report as a person reads it: the verdict, the problems, and what they were found with."""
    number, name = len(report.problems), title(report.values)
    if number:
        yield styled("bad", f"✗ {number} problem{'s' if number > 1 else ''} in {name}")
    else:
        yield styled("good", f"✓ No problems in {name}")
    for problem in report.problems:
        parts = (styled("path", problem.path), problem.problem, styled("remedy", problem.remedy))
        yield "  " + " — ".join(part for part in parts if part)
    yield from (styled("dim", f"  not checked: {item}") for item in report.not_checked)
    minors = " and ".join(report.versions["kubernetes"])
    versions = f"vLLM {report.versions['vllm']}, Helm {report.versions['helm']}, Kubernetes {minors}"
    checks = len(report.checks)
    yield styled("dim", f"  {checks} check{'s' if checks > 1 else ''} with {versions}")
    if number:
        yield styled("dim", f"  see what Helm makes of it: {report.command}")


def document(report: Report) -> dict[str, Any]:
    """The report as a program reads it."""
    return {
        "values": list(report.values),
        "versions": dict(report.versions),
        "problems": [asdict(problem) for problem in report.problems],
        "notChecked": list(report.not_checked),
    }


def write_junit(file: Path, results: Iterable[Report | Failed]) -> None:
    """Write a test suite for each result, with a test case for each check.

    Raises:
        InputError: if the file cannot be written.
    """
    root = Xml.Element("testsuites")
    root.extend(map(_suite, results))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        Xml.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise InputError(f"{file}: {(error.strerror or str(error)).lower()}. Name another file with --junit.") from None


def _suite(result: Report | Failed) -> Xml.Element:
    suite = Xml.Element("testsuite", name=_xml(title(result.values)))
    if isinstance(result, Failed):
        case = Xml.SubElement(suite, "testcase", classname="vllm-chart.check", name="the values can be checked")
        Xml.SubElement(case, "error", message=_xml(result.reason))
    else:
        for name, says in result.checks.items():
            case = Xml.SubElement(suite, "testcase", classname="vllm-chart.check", name=says)
            if found := [str(problem) for problem in result.problems if problem.check == name]:
                text = _xml("\n".join(found))
                Xml.SubElement(case, "failure", message=text.splitlines()[0]).text = text
    counts = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    for name, path in counts.items():
        suite.set(name, str(len(suite.findall(path))))
    return suite


def _xml(text: str) -> str:
    return _NO_XML.sub("?", text)
