"""The parser inside the image takes every argument that the chart writes, and is the one that was written down."""

import json
from typing import Any

from ci.common import ROOT
from ci.helm_release import HelmRelease
from scripts.value_sets import value_sets
from vllm_chart.chart import DATA, app_version
from vllm_chart.render import helm
from vllm_chart.render.objects import containers

DUMP = DATA / f"vllm-serve-args-{app_version()}.json"
PARSE = """
import contextlib, io, json, sys
cases = json.load(open("/tmp/arguments.json"))
sys.argv = ["vllm", "serve"]
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
problems = {}
for name, arguments in cases.items():
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            validate_parsed_serve_args(make_arg_parser(FlexibleArgumentParser()).parse_args(arguments))
    except (SystemExit, Exception) as error:
        problems[name] = errors.getvalue()[-500:] or repr(error)
print("problems:" + json.dumps(problems))
"""


def _run(release: HelmRelease, program: str, **files: str) -> str:
    """What a Python program prints inside the server's container; files are put into /tmp first."""
    (pod,) = [pod["metadata"]["name"] for pod in release.pods()]
    for name, text in {"program.py": program, **files}.items():
        release.kubectl("exec", "--stdin", pod, "--", "tee", f"/tmp/{name}", stdin=text)  # noqa: S108
    return release.kubectl("exec", pod, "--", "python3", "/tmp/program.py", "/tmp/output")  # noqa: S108


def _arguments() -> dict[str, list[str]]:
    """The server's arguments of every value set, but for those of engine.extraArgs, which nobody checks."""
    found = {}
    for value_set in value_sets():
        raw = value_set.values().get("engine", {}).get("extraArgs", [])
        for workload in helm.render(value_set.path).objects.servers():
            for server in (c for c in containers(workload) if c.body["name"] == "vllm"):
                # the kubelet puts in the variables, of which one must be a number
                written = [word.replace("$(LWS_WORKER_INDEX)", "1") for word in server.body["args"]]
                name = f"{value_set.name}: {'/'.join(map(str, server.path))}"
                found[name] = _without_config(written[: len(written) - len(raw)])
    return found


def _without_config(arguments: list[str]) -> list[str]:
    """The arguments but for the file of keys, which an init container would write."""
    if "--config" not in arguments:
        return arguments
    at = arguments.index("--config")
    return [*arguments[:at], *arguments[at + 2 :]]


def test_vllms_own_parser_takes_the_arguments_of_every_value_set(release: HelmRelease) -> None:
    cases = _arguments()
    # the check must be able to fail
    cases["broken"] = [*next(iter(cases.values())), "--enable-chunked-prefill=true"]
    printed = _run(release, PARSE, **{"arguments.json": json.dumps(cases)})
    problems: dict[str, Any] = json.loads(printed.rpartition("problems:")[2])
    assert "enable-chunked-prefill" in problems.pop("broken")
    assert not problems


def test_the_flags_that_were_written_down_are_those_of_the_image(release: HelmRelease) -> None:
    _run(release, (ROOT / "scripts" / "upgrade_vllm" / "dump_args.py").read_text())
    (pod,) = [pod["metadata"]["name"] for pod in release.pods()]
    assert release.kubectl("exec", pod, "--", "cat", "/tmp/output") == DUMP.read_text()  # noqa: S108
