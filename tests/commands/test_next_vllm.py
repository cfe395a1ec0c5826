"""`make upgrade-vllm VERSION=…` moves the chart to another vLLM, leaves nothing stale and reports what is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ci.common import ROOT
from ci.offline import vllm_image
from scripts.upgrade_vllm import capture_metrics, differences, upgrade
from vllm_chart.chart import DATA, app_version
from vllm_chart.errors import CommandError, InputError
from vllm_chart.render import go_yaml, helm

OLD: dict[str, Any] = json.loads((DATA / f"vllm-serve-args-{app_version()}.json").read_text(encoding="utf-8"))
NOTES: dict[str, Any] = go_yaml.load(upgrade.FLAGS.read_text(encoding="utf-8"))
NEXT: dict[str, Any] = json.loads((Path(__file__).parent / "vllm-0.33.0.json").read_text(encoding="utf-8"))


def entry(*names: str, **change: Any) -> dict[str, Any]:
    """One flag of a dump that takes a text."""
    plain = {"dest": names[0], "action": "_StoreAction", "nargs": None, "type": "str", "choices": None, "default": None}
    return {"flags": list(names), **plain, "help": "", **change}


def next_dump() -> dict[str, Any]:
    """The dump of vLLM 0.33.0 as argparse alone tells it: that of 0.32.0 with what differs, without wrapped types."""
    changed = {item["dest"]: item for item in NEXT["args"]}
    args = [changed.pop(item["dest"], item) for item in OLD["args"]]
    metrics = sorted([*OLD["metrics"], *NEXT["metrics_added"]])
    wrapped = [item | {"type": "_optional_type"} if item in OLD["args"] and _wraps(item) else item for item in args]
    return {**OLD, "vllm": NEXT["vllm"], "metrics": metrics, "args": [*wrapped, *changed.values()]}


def _wraps(item: dict[str, Any]) -> bool:
    """True if vLLM wraps the type of a flag, which it does for flags that accept None."""
    return item["type"] in ("int", "float", "str") and item["default"] is None


def compared(new: dict[str, Any], read: tuple[str, ...] = (), **notes: Any) -> differences.Changes:
    return differences.compare(OLD, new, NOTES | notes, read, [])


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of the repository that the command moved from 0.32.0 to 0.33.0, and what it printed."""
    if app_version() != "0.32.0":
        pytest.skip("vllm-0.33.0.json is what 0.33.0 adds to 0.32.0: replace it by what the next version adds")
    folder = tmp_path_factory.mktemp("next")
    copy = folder / "repository"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith("ci/go_modules/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    dump = folder / "dump.json"
    dump.write_text(json.dumps(next_dump()))
    environment = os.environ | {"VERSION": "0.33.0", "DUMP": str(dump), "METRICS": "", "PYTHONPATH": str(copy / "src")}
    environment |= {"VLLM_CHART_CACHE": str(folder / "cache")}
    environment["PATH"] = f"{Path(helm.binary()).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "scripts.upgrade_vllm"]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy, done.stdout


def test_dump_schema_readme_and_manifests_are_those_of_the_next_version(upgraded: tuple[Path, str]) -> None:
    copy, _ = upgraded
    assert 'appVersion: "0.33.0"' in (copy / "charts/vllm/Chart.yaml").read_text()
    data = copy / "charts/vllm/files/data"
    assert sorted(path.name for path in data.glob("vllm-*")) == [
        "vllm-metrics-0.33.0.json",
        "vllm-serve-args-0.33.0.json",
    ]
    dump = json.loads((data / "vllm-serve-args-0.33.0.json").read_text())
    assert dump["vllm"] == "0.33.0"
    schema = json.loads((copy / "charts/vllm/values.schema.json").read_text())
    args = schema["properties"]["engine"]["properties"]["args"]
    assert args["additionalProperties"]["const"].startswith("(no such flag in vLLM 0.33;")
    assert {"reasoning-effort-map", "watchdog-config", "sleep-mode-backend", "monokernel"} <= args["properties"].keys()
    assert args["properties"]["disable-prefix-caching"] == {
        "const": "(write enable-prefix-caching with the opposite value)"
    }
    assert "enum" not in args["properties"]["kv-cache-dtype"]
    assert "deploys vLLM 0.33.0" in (copy / "charts/vllm/README.md").read_text()
    assert "vllm/vllm-openai:v0.33.0" in (copy / "tests/snapshots/single-gpu.yaml").read_text()


def in_copy(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy."""
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}
    environment["PATH"] = f"{Path(helm.binary()).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def test_no_generated_file_is_stale_after_an_upgrade(upgraded: tuple[Path, str]) -> None:
    again = in_copy(upgraded[0], "-m", "scripts.generate", "--check")
    assert (again.stdout, again.stderr, again.returncode) == ("", "", 0)
    for name in ("values.schema.json", "editor.schema.json"):
        assert "watchdog-config" in (upgraded[0] / "charts" / "vllm" / name).read_text()


def test_tests_that_speak_of_the_version_pass_after_an_upgrade(upgraded: tuple[Path, str]) -> None:
    tests = (
        "tests/contract",
        "tests/render/test_pod.py",
        "tests/commands/test_check.py",
        "tests/meta/test_findings.py",
    )
    done = in_copy(upgraded[0], "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests)
    assert done.returncode == 0, done.stdout


def test_the_report_names_every_file_that_still_has_the_old_version(upgraded: tuple[Path, str]) -> None:
    copy, printed = upgraded
    generated = ("charts/vllm/files/data/vllm-", "CHANGELOG.md")
    for path in sorted(copy.rglob("*")):
        name = str(path.relative_to(copy))
        kept = path.is_file() and not name.startswith((".git/", *generated)) and "__pycache__" not in name
        if kept and b"0.32.0" in path.read_bytes():
            assert f"- {name}:" in printed, name


def test_helm_refuses_by_the_new_schema_and_takes_the_new_flags(upgraded: tuple[Path, str]) -> None:
    chart = upgraded[0] / "charts" / "vllm"
    assert helm.render({"engine": {"args": {"watchdog-config": {"enabled": True}}}}, chart=chart)
    for flag, words in (("watchdog", "no such flag in vLLM 0.33"), ("disable-lora", "write enable-lora")):
        with pytest.raises(helm.HelmError, match=words):
            helm.render({"engine": {"args": {flag: True}}}, chart=chart)


def test_the_report_says_what_changed_and_what_is_left(upgraded: tuple[Path, str]) -> None:
    copy, printed = upgraded
    for line in (
        "# vLLM 0.32.0 to 0.33.0",
        "- added `watchdog-config`",
        "- changed `kv-cache-dtype`, choices: ['auto', 'bfloat16'",
        "- changed `tool-strict-level`, default: auto → unset",
        "- changed `gdn-prefill-backend`, choices: - → sycl",
        "## Metrics in vLLM's source: 12 added, 0 removed",
        "- added `vllm:kv_offload_config_info`",
        "switches have an opposite now",
        "- `disable-log-requests` is a flag again, and is no longer in flags.yaml under `removed`",
        "the metrics' labels and buckets are those of 0.32.0",
        f"- the types of {sum(map(_wraps, OLD['args'])) - 1} flags are those of 0.32.0, as the dump does not tell them",
        "- values/multi-node-ray.yaml:5 names 0.32.0: change it once 0.33.0 was seen to do the same",
    ):
        assert line in printed
    assert "## Flags: 4 added, 0 removed, " in printed
    assert (copy.parent / "cache/reports/vllm-0.32.0-to-0.33.0.md").read_text().startswith("# vLLM 0.32.0 to 0.33.0\n")


# -- what an upgrade asks for


def test_a_removed_flag_needs_a_written_remedy() -> None:
    new = {**OLD, "vllm": "9.9.9", "args": [item for item in OLD["args"] if "--seed" not in item["flags"]]}
    changes = compared(new)
    assert changes.removed == {"seed": ""}
    assert changes.unwritten == ["seed"]
    report = "\n".join(differences.report(changes))
    assert "- `seed` is gone: write in charts/vllm/files/data/flags.yaml, under `removed`, what replaces it" in report
    told = compared(new, removed=NOTES["removed"] | {"seed": "set it in each request"})
    assert told.unwritten == []
    assert "- removed `seed`: set it in each request" in "\n".join(differences.report(told))


def test_a_removed_flag_that_the_chart_sets_is_told() -> None:
    new = {**OLD, "vllm": "9.9.9", "args": [item for item in OLD["args"] if "--shutdown-timeout" not in item["flags"]]}
    assert compared(new).lost_owned == ["shutdown-timeout"]
    assert "the chart sets `shutdown-timeout`, which is gone" in "\n".join(differences.report(compared(new)))


def test_a_metric_that_the_chart_reads_and_the_source_lost_is_told() -> None:
    new = {**OLD, "metrics": [name for name in OLD["metrics"] if name != "vllm:num_requests_waiting"]}
    read = ("vllm:num_requests_waiting", "vllm:generation_tokens_total")
    assert compared(new, read).lost_metrics == ["vllm:num_requests_waiting"]
    assert compared(OLD, read).lost_metrics == []


def test_every_metric_that_the_chart_knows_is_in_the_source() -> None:
    known = go_yaml.load((DATA / "metrics.yaml").read_text(encoding="utf-8"))
    assert compared(OLD, (*known["names"], *known["families"])).lost_metrics == []


def test_types_defaults_and_choices_are_compared() -> None:
    one = entry("--x", type="int", default=1, choices=None, nargs=None)
    other = entry("--x", type="float", default=2, choices=["a"], nargs="+")
    pair = ({"vllm": "1", "args": [one]}, {"vllm": "2", "args": [other]})
    changes = differences.compare(*pair, {"removed": {}, "owned": {}}, (), [])
    assert changes.changed == [
        ("x", "choices", "unset", "['a']"),
        ("x", "default", "1", "2"),
        ("x", "number of values", "unset", "+"),
        ("x", "type", "int", "float"),
    ]
    assert changes.metrics_added is None
    assert "not compared" in "\n".join(differences.report(changes))


def test_a_flag_that_is_back_is_no_longer_called_removed() -> None:
    new = {**OLD, "args": [*OLD["args"], entry("--swap-space", type="float")]}
    changes = compared(new)
    assert changes.returned == ["swap-space"]
    text = upgrade.renewed(upgrade.FLAGS.read_text(encoding="utf-8"), new, changes)
    assert "swap-space" not in go_yaml.load(text)["removed"]
    assert len(go_yaml.load(text)["removed"]) == len(NOTES["removed"]) - 1


def test_lists_that_follow_from_the_parser_are_renewed_and_nothing_else() -> None:
    text = upgrade.FLAGS.read_text(encoding="utf-8")
    assert upgrade.renewed(text, OLD, compared(OLD)) == text
    switch = entry("--new-switch", action="_StoreTrueAction", nargs=0, type=None)
    new = {**OLD, "args": [*OLD["args"], switch, entry("--again", action="_AppendAction")]}
    found = go_yaml.load(upgrade.renewed(text, new, compared(new)))
    assert found["switches"] == [*NOTES["switches"], "new-switch"]
    assert found["repeated"] == [*NOTES["repeated"], "again"]


def test_a_dump_by_other_means_is_completed_from_the_old_one() -> None:
    lost = entry("--seed", type="_optional_type", default="Settings(a=1)")
    unknown = entry("--brand-new", type="_optional_type")
    switch = entry("--enable-x", "--disable-x", action="EnableDisableAction", nargs=0, type=None)
    given = {"vllm": "9.9.9", "accepted_flags": ["--no-enable-x"], "args": [lost, unknown, switch]}
    dump, inherited, guessed = differences.adopt(given, OLD)
    assert (inherited, guessed) == (1, ["brand-new"])
    first, second, third = dump["args"]
    assert (first["type"], first["default"], second["type"]) == ("int", None, "str")
    assert third["flags"] == ["--enable-x", "--disable-x", "--no-enable-x"]
    report = "\n".join(differences.report(differences.compare(OLD, dump, NOTES, (), guessed, inherited=inherited)))
    assert "the dump does not tell the type of `brand-new`, which is new" in report
    assert f"- the types of 1 flags are those of {OLD['vllm']}" in report


# -- bad input


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command with variables; gives the sentence in which it refuses."""

    def call(**variables: str) -> str:
        for name in ("VERSION", "DUMP", "METRICS"):
            monkeypatch.setenv(name, variables.get(name, ""))
        with pytest.raises(InputError) as refusal:
            upgrade.run()
        assert refusal.value.exit_code == 2
        return str(refusal.value)

    return call


def test_a_version_that_does_not_exist_is_told(command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(upgrade, "CACHE", tmp_path)
    monkeypatch.setattr(upgrade, "require_disk", lambda *_: None)

    def refuse(text: str) -> None:
        def install(*_: object) -> None:
            raise CommandError(["uv", "pip", "install"], 1, text)

        monkeypatch.setattr(vllm_image, "install_packages", install)

    refuse(
        "Because there is no version of vllm==9.9.9 and you require vllm==9.9.9, your requirements are unsatisfiable."
    )
    assert command(VERSION="9.9.9").startswith("There is no vLLM 9.9.9: ")
    refuse("error: Failed to fetch: dns error")
    assert "vLLM 9.9.9 can't be fetched: give its dump as DUMP=path" in command(VERSION="9.9.9")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read: No such file"),
        ("{", "is no dump of vLLM's parser"),
        ("[]", "is no dump of vLLM's parser"),
        ('{"vllm": "9.9.9", "args": [{}]}', "is no dump of vLLM's parser"),
        ('{"vllm": "9.9.8", "args": []}', "is of vLLM 9.9.8, not 9.9.9"),
    ],
)
def test_what_is_no_dump_of_the_version_is_refused(
    content: str | None, words: str, command: Any, tmp_path: Path
) -> None:
    path = tmp_path / "dump.json"
    if content is not None:
        path.write_text(content)
    assert words in command(VERSION="9.9.9", DUMP=str(path))


def test_what_is_no_version_or_no_metrics_is_refused(command: Any) -> None:
    assert command(VERSION="latest") == "VERSION=latest is no version of vLLM: write it as 0.33.0."
    with pytest.raises(InputError, match="holds no metrics of vLLM"):
        capture_metrics.kept("up 1\n")
    with pytest.raises(InputError, match=r"METRICS=/nowhere/metrics\.txt can't be read"):
        upgrade._captured(Path("/nowhere/metrics.txt"))
