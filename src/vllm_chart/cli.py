"""The command line `vllm-chart`: parses, prints and exits; what it calls returns data, or raises UserError."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from vllm_chart import accelerators
from vllm_chart import chart as own_chart
from vllm_chart.entry_point import main
from vllm_chart.errors import InputError
from vllm_chart.progress import working
from vllm_chart.user_file import label

#: Exit codes: no problems, problems, and not told, because of bad input or a cluster that does not answer.
FINE, PROBLEMS, UNKNOWN = 0, 1, 2

_EXIT_CODES = "Exit codes: 0 no problems, 1 problems found, 2 bad input or not checked, 130 interrupted."


class Output(StrEnum):
    """A form in which a command prints its result."""

    TEXT = "text"
    JSON = "json"


app = typer.Typer(
    help="Check, size, migrate and diagnose releases of the Helm chart vllm.",
    epilog=_EXIT_CODES,
    rich_markup_mode=None,  # plain text: the same on a terminal, in a log and in a page
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_Chart = Annotated[Path | None, typer.Option(metavar="PATH", help="Folder of another chart than the built-in.")]
_Output = Annotated[Output, typer.Option("--output", help="Form of the result.")]


def run() -> NoReturn:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character gets another
    main(_run, mistake=UNKNOWN)


def _run() -> None:
    try:
        code = app(prog_name="vllm-chart", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "vllm-chart"
        said = " ".join(error.format_message().replace("Value error, ", "").split())
        raise InputError(f"{said.rstrip('.?')}{'?' if said.endswith('?') else '.'} Run `{command} --help`.") from None
    sys.exit(code)


def _print(output: Output, text: Iterable[str], document: Mapping[str, Any]) -> None:
    if output is Output.JSON:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print("\n".join(text))


def _version(asked: bool) -> None:
    if asked:
        print(f"vllm-chart {own_chart.version()}, vLLM {own_chart.app_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the versions and exit.")
    ] = False,
) -> None:
    pass


_CHECK = f"""\b
Examples:
  vllm-chart check -f base.yaml -f prod.yaml --set replicas=2
  vllm-chart check staging.yaml prod.yaml --kube-version 1.36
  vllm-chart check -f values.yaml --junit result.xml --output json
  helm get values llama -n llm -o yaml | vllm-chart check -f -

{_EXIT_CODES}"""


@app.command(epilog=_CHECK)
def check(  # noqa: PLR0917 - one for each option
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Values files to check one by one, each on top of those of -f."),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("-f", "--values", metavar="FILE", help="Values file; later ones win. - is standard input."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Value, as Helm takes it.")
    ] = None,
    chart: _Chart = None,
    kube_version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Kubernetes version. Defaults to the oldest and newest supported."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the result as JUnit XML.")] = None,
    output: _Output = Output.TEXT,
) -> int:
    """Check values files, and print a remedy for each problem.

    Requires Helm, and no cluster. Helm's schema, the chart's checks, the Kubernetes API, vLLM's own parser and Pod
    Security "restricted" must accept what the values make.
    """
    from vllm_chart.check import checker, report  # noqa: PLC0415 - reads the definitions of Kubernetes

    layers = [Path(name) for item in values or () for name in item.split(",") if name]
    results: list[checker.Report | report.Failed] = []
    for group in [[*layers, file] for file in files or ()] or [layers]:
        named = tuple(map(label, group))
        try:
            with working(f"Checking {report.title(named)}"):
                found = checker.check(group, chart=chart, sets=sets or (), kube_version=kube_version)
        except InputError as error:
            results.append(report.Failed(named, str(error)))
        else:
            results.append(found)
            _print(output, report.lines(found), report.document(found))
    if junit:
        report.write_junit(junit, results)
    if reasons := [result.reason for result in results if isinstance(result, report.Failed)]:
        raise InputError("\n✗ ".join(dict.fromkeys(reasons)))
    return PROBLEMS if any(result.problems for result in results if isinstance(result, checker.Report)) else FINE


_DOCTOR = f"""\b
Examples:
  vllm-chart doctor llama -n llm
  vllm-chart doctor llama -n llm --kube-context prod --output json

{_EXIT_CODES}"""


@app.command(epilog=_DOCTOR)
def doctor(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Name of the release.")],
    namespace: Annotated[
        str, typer.Option("-n", "--namespace", metavar="NAME", help="Its namespace. Defaults to the context's.")
    ] = "",
    kube_context: Annotated[
        str, typer.Option(metavar="NAME", help="Context of kubectl's configuration. Defaults to the current one.")
    ] = "",
    kubeconfig: Annotated[
        str, typer.Option(metavar="FILE", help="kubectl's configuration. Defaults to $KUBECONFIG or ~/.kube/config.")
    ] = "",
    output: _Output = Output.TEXT,
) -> int:
    """Diagnose a release on a cluster.

    Prints each problem with its cause and the value to change. Requires kubectl, and uses your own permissions. It only
    reads; of Secrets only the names of their keys.
    """
    from vllm_chart.doctor import cluster, diagnosis  # noqa: PLC0415 - not needed by the other commands

    with working(f"Reading release {release}"):
        found = diagnosis.examine(release, cluster.reader(namespace, kube_context, kubeconfig))
    _print(output, diagnosis.lines(found), diagnosis.document(found))
    return PROBLEMS if found.problems else FINE


_MIGRATE = f"""\b
Examples:
  vllm-chart migrate deployment.yaml service.yaml ingress.yaml --to my-values.yaml
  vllm-chart migrate all.yaml --output json

{_EXIT_CODES}"""

_To = Annotated[Path, typer.Option(metavar="FILE", help="Values file to write. An existing file is kept.")]


@app.command(epilog=_MIGRATE)
def migrate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Manifests of one server that runs vLLM.")],
    to: _To = Path("values.yaml"),
    chart: _Chart = None,
    output: _Output = Output.TEXT,
) -> int:
    """Write a values file from manifests that run vLLM.

    Requires Helm, and no cluster. Compares the manifests with what the chart makes, and prints what was carried over in
    another form or not at all, with the reasons.
    """
    from vllm_chart.migrate import command  # noqa: PLC0415 - reads the definitions of Kubernetes

    with working("Migrating"):
        done = command.migrate_files(files, to, chart)
    _print(output, command.lines(done), command.document(done))
    return PROBLEMS if done.problems else FINE


_SIZE = f"""\b
Examples:
  vllm-chart size Qwen/Qwen3-8B --gpu L40S --context-length 32k --concurrency 4
  vllm-chart size deepseek-ai/DeepSeek-V3 --gpu H100 --gpus 16 --to my-values.yaml
  vllm-chart size ./my-model --gpu 48GiB --exposure ingress:llm.example.com

{_EXIT_CODES}"""

#: What a person on a terminal is asked for if the model or the GPU is missing.
_QUESTIONS = {
    "MODEL": "Model (organisation/name, or a folder)",
    "--gpu": "GPU (e.g. L40S or H100)",
    "--gpus": "GPUs of one server (empty: the fewest that suffice)",
    "--context-length": "Tokens of one request (empty: the most that fit)",
    "--concurrency": "Such requests at a time (empty: 8)",
    "--exposure": "Reached from (cluster, ingress:HOST, gateway:NAMESPACE/NAME; empty: cluster)",
}


def _gpu_names() -> list[str]:
    return list(accelerators.gpus())


@app.command(epilog=_SIZE)
def size(  # noqa: PLR0917 - one for each option
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="organisation/name on Hugging Face, a folder, or another model URI.")
    ] = "",
    gpu: Annotated[
        str,
        typer.Option(metavar="GPU", help="Kind of GPU, or its memory, e.g. 48GiB.", autocompletion=_gpu_names),
    ] = "",
    gpus: Annotated[
        str, typer.Option(metavar="N", help="GPUs of one server. Defaults to the fewest that suffice.")
    ] = "",
    node_gpus: Annotated[int, typer.Option(min=1, metavar="N", help="GPUs of a node.")] = 8,
    context_length: Annotated[
        str, typer.Option(metavar="N", help="Tokens of one request, e.g. 32k. Defaults to the most that fit.")
    ] = "",
    concurrency: Annotated[
        str, typer.Option(metavar="N", help="Requests of that length that the KV cache must hold. Defaults to 8.")
    ] = "",
    exposure: Annotated[
        str, typer.Option(metavar="WHERE", help="cluster, ingress:HOST or gateway:NAMESPACE/NAME. Defaults to cluster.")
    ] = "",
    config: Annotated[
        str, typer.Option(metavar="FILE", help="The model's config.json. Defaults to that of Hugging Face.")
    ] = "",
    parameters: Annotated[
        str, typer.Option(metavar="N", help="Parameters of the model, e.g. 8.03B. Defaults to a count from the config.")
    ] = "",
    utilization: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1, metavar="SHARE", help="Share of a GPU's memory for vLLM. Defaults to 0.92 or 0.95."
        ),
    ] = None,
    kv_cache_dtype: Annotated[
        Literal["auto", "fp8"], typer.Option(help="Type of the KV cache; fp8 halves it.")
    ] = "auto",
    to: _To = Path("values.yaml"),
    chart: _Chart = None,
    output: _Output = Output.TEXT,
) -> int:
    """Write a values file for a model and GPUs.

    Prints how the weights and the KV cache fit the GPUs. Requires Helm, and no cluster. On a terminal, it asks for the
    model and GPU if they are missing.
    """
    from vllm_chart.sizing import command, model_config, placement  # noqa: PLC0415 - reads the definitions of Kubernetes

    given = {"MODEL": model, "--gpu": gpu, "--gpus": gpus, "--context-length": context_length}
    given |= {"--concurrency": concurrency, "--exposure": exposure}
    if not (model and gpu):
        _ask(given)
    wanted = placement.SizingRequest(
        gpus=command.count("--gpus", given["--gpus"]),
        context=command.count("--context-length", given["--context-length"]),
        concurrency=command.count("--concurrency", given["--concurrency"]) or placement.SizingRequest.concurrency,
        utilization=utilization or 0,
        cache_bytes=1 if kv_cache_dtype == "fp8" else 2,
        node=node_gpus,
    )
    device = placement.gpu(given["--gpu"])
    with working(f"Sizing {given['MODEL']}"):
        found = model_config.load(given["MODEL"], config, command.count("--parameters", parameters))
        done = command.size(given["MODEL"], found, device, wanted, exposure=given["--exposure"], target=to, chart=chart)
    _print(output, command.lines(done), command.document(done))
    return PROBLEMS if done.problems else FINE


def _ask(given: dict[str, str]) -> None:
    """Ask for what was not given; raises InputError without a terminal."""
    if not sys.stdin.isatty():
        missing = " and ".join(name for name in ("MODEL", "--gpu") if not given[name])
        raise InputError(f"Missing {missing}. Write e.g. `vllm-chart size Qwen/Qwen3-8B --gpu L40S`.")
    for name, question in _QUESTIONS.items():
        try:
            given[name] = given[name] or input(f"{question}: ").strip()
        except EOFError:
            raise InputError(f"No answer to the question for {name}. Nothing is written.") from None
