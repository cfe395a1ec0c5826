"""The command `harness`, and `python -m harness`: `harness check` says what is wrong with a values file."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree as Xml

from vllm_chart.chart import CHART
from vllm_chart.check.checker import CannotCheckError, Complaint, Report, check

#: Exit codes: nothing is wrong, something is, nothing can be said.
FINE, WRONG, UNKNOWN = 0, 1, 2

#: Characters that XML can't hold.
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_COLOURS = {"red": "31;1", "green": "32;1", "path": "1", "instead": "36", "dim": "2"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character gets another
    files = [Path(name) for item in given.values for name in item.split(",") if name]
    title = " + ".join([*map(str, files), *(f"--set {item}" for item in given.set)]) or "the chart's defaults"
    try:
        if given.command is None:
            raise CannotCheckError("Nothing is asked: write `harness check --chart charts/vllm -f my-values.yaml`.")
        report = check(files, chart=given.chart, sets=given.set, kube_version=given.kube_version)
    except CannotCheckError as error:
        if given.junit:
            _write_junit(given.junit, title, None, str(error))
        print(_colour("red", f"✗ {error}", sys.stderr), file=sys.stderr)
        return UNKNOWN
    if given.junit:
        _write_junit(given.junit, title, report)
    print("\n".join(_lines(report, title)))
    return WRONG if report.complaints else FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="harness", description="Proves what must be true of a chart that runs vLLM on Kubernetes."
    )
    parser.set_defaults(command=None, values=[], set=[], chart=None, kube_version=None, junit=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    told = commands.add_parser(
        "check",
        help="say what is wrong with values files, and what to write instead",
        description="Says what is wrong with values files, and what to write instead; it needs Helm, and no cluster.",
        epilog="Exit codes: 0 nothing is wrong, 1 something is, 2 nothing can be said.",
    )
    own = CHART if (CHART / "Chart.yaml").is_file() else None
    told.add_argument("--chart", type=Path, default=own, required=own is None, help="the chart's folder")
    told.add_argument(
        "-f", "--values", action="append", default=[], metavar="FILE", help="a values file; later ones win"
    )
    told.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a value, as Helm takes it")
    told.add_argument("--kube-version", metavar="VERSION", help="one Kubernetes instead of the oldest and the newest")
    told.add_argument("--junit", type=Path, metavar="FILE", help="where to write the result for a CI system")
    return parser


def _lines(report: Report, title: str) -> list[str]:
    """The report as a person reads it: the verdict, then what is wrong, then what that was found with."""
    number = len(report.complaints)
    if number:
        lines = [_colour("red", f"✗ {number} thing{'s are' if number > 1 else ' is'} wrong with {title}")]
    else:
        lines = [_colour("green", f"✓ Nothing is wrong with {title}")]
    for complaint in report.complaints:
        parts = [_colour("path", complaint.path), complaint.wrong, _colour("instead", complaint.instead)]
        lines.append("  " + " — ".join(part for part in parts if part))
    lines += [_colour("dim", f"  not looked at: {item}") for item in report.left_out]
    lines.append(_colour("dim", f"  {len(report.checks)} checks with {report.versions}"))
    if number:
        lines.append(_colour("dim", f"  see what Helm makes of it: {report.command}"))
    return lines


def _colour(name: str, text: str, stream: TextIO | None = None) -> str:
    """Return a text in a colour where a person reads it on a terminal and did not ask for none."""
    stream = stream or sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain or not text else f"\x1b[{_COLOURS[name]}m{text}\x1b[0m"


def _write_junit(file: Path, title: str, report: Report | None, error: str = "") -> None:
    """Write one test case for each check."""
    checks = report.checks if report else {"values": "the values can be checked"}
    complaints: dict[str, list[Complaint]] = {name: [] for name in checks}
    for complaint in report.complaints if report else ():
        complaints[complaint.check].append(complaint)
    failures = sum(map(bool, complaints.values()))
    counts = {"tests": str(len(checks)), "failures": str(failures), "errors": str(int(bool(error)))}
    suite = Xml.Element("testsuite", {"name": _xml(title), **counts})
    for name, says in checks.items():
        case = Xml.SubElement(suite, "testcase", classname="harness.check", name=says)
        if error:
            Xml.SubElement(case, "error", message=_xml(error))
        if complaints[name]:
            text = _xml("\n".join(map(str, complaints[name])))
            Xml.SubElement(case, "failure", message=text.splitlines()[0]).text = text
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        Xml.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as problem:
        print(f"✗ {file} can't be written ({problem.strerror}): name another file by --junit.", file=sys.stderr)
        sys.exit(UNKNOWN)


def _xml(text: str) -> str:
    return _NO_XML.sub("?", text)


def run() -> None:
    """Be the program `harness`."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
