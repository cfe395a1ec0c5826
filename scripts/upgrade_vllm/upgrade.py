"""`make upgrade-vllm`: moves the chart to another version of vLLM, and reports what is left to do by hand.

`make upgrade-vllm VERSION=0.33.0` renews the dump of the parser's flags, appVersion, the lists of flags.yaml that
follow from the parser, and every generated file. Its source is vLLM's wheel, or DUMP=path, a dump that was made before;
METRICS=path is what /metrics of a running server of that version answers. Without VERSION it renews the dump of the
version that the chart deploys.

values.schema.json is generated from the dump, and tests hold arguments against it. It comes from a vLLM for CPUs, whose
parser is that of every other build.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ci.common import ROOT, require_disk, scratch_folder
from ci.offline import vllm_image
from scripts.generate import registry
from scripts.upgrade_vllm import capture_metrics, differences
from vllm_chart.cache import CACHE
from vllm_chart.chart import CHART, DATA, app_version
from vllm_chart.errors import CommandError, InputError
from vllm_chart.process import run as run_program
from vllm_chart.progress import say, step
from vllm_chart.render import go_yaml

FLAGS = DATA / "flags.yaml"
_PROGRAM = Path(__file__).with_name("dump_args.py")
#: Beginnings of paths of files that are generated, taken from vLLM, or history.
_NOT_BY_HAND = (
    *("charts/vllm/README.md", "charts/vllm/values.schema.json", "charts/vllm/editor.schema.json"),
    *("charts/vllm/files/data/vllm-", "tests/snapshots/", "CHANGELOG.md"),
)


def run() -> None:
    """Renew the dump of the chart's vLLM, or move the chart to another version."""
    version = os.environ.get("VERSION", "").strip()
    dump, metrics = os.environ.get("DUMP", "").strip(), os.environ.get("METRICS", "").strip()
    if version and not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise InputError(f"VERSION={version} is no version of vLLM: write it as 0.33.0.")
    if version and version != app_version():
        upgrade(version, _given(Path(dump), version) if dump else _fetched(version), metrics)
        return
    target = _dump_path(app_version())
    write(target, _taken(app_version()))
    say(f"wrote {target.relative_to(ROOT)}")
    _regenerate()


def _dump_path(version: str) -> Path:
    return DATA / f"vllm-serve-args-{version}.json"


def write(target: Path, dump: differences.Dump) -> None:
    """Write a dump with one flag on each line."""
    head = {key: value for key, value in dump.items() if key != "args"}
    lines = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in dump["args"])
    text = json.dumps(head, indent=1)[:-2] + ',\n "args": [\n' + lines + "\n ]\n}\n"
    target.write_text(text, encoding="utf-8")


def _taken(version: str, site: Path | None = None) -> dict[str, Any]:
    """Return the dump of the vLLM in the built image, or of one unpacked beside it."""
    root = vllm_image.build_root()
    with (
        step(f"Read the flags of vLLM {version}", hint="about 20 s"),
        scratch_folder(CACHE / "vllm-flags") as folder,
    ):
        shutil.copy(_PROGRAM, folder)
        path = []
        if site:
            site.replace(folder / "site")
            path = ["PYTHONPATH=/mnt/site"]
        program = ("env", "HOME=/tmp", "VLLM_TARGET_DEVICE=cpu", *path, "python3", f"/mnt/{_PROGRAM.name}")
        vllm_image.in_root(root, folder, *program, "/mnt/dump.json")
        found: dict[str, Any] = json.loads((folder / "dump.json").read_text(encoding="utf-8"))
    return found


def _fetched(version: str) -> dict[str, Any]:
    """Return the dump of a version from its wheel, whose Python runs beside the image's libraries."""
    require_disk(5, f"vLLM {version}")
    with scratch_folder(CACHE / "vllm-wheel") as folder:
        site = folder / "site"
        try:
            with step(f"Fetch vLLM {version}", hint="a wheel of about 340 MB"):
                vllm_image.install_packages(site, f"vllm=={version}")
        except CommandError as error:
            text = " ".join(error.output.split())
            if "no version of vllm" in text or "No matching distribution" in text:
                raise InputError(
                    f"There is no vLLM {version}: https://pypi.org/project/vllm/ lists those there are."
                ) from None
            raise InputError(f"vLLM {version} can't be fetched: give its dump as DUMP=path. {error}") from None
        for library in site.rglob("*.so"):  # made for GPUs, and not needed to read flags
            library.unlink()
        return _taken(version, site)


def _given(path: Path, version: str) -> dict[str, Any]:
    """Return a dump that was made before; raises InputError where it is none of this version."""
    try:
        dump: dict[str, Any] = json.loads(path.expanduser().read_text(encoding="utf-8"))
        told, entries = str(dump["vllm"]), dump["args"]
        assert all({"flags", "dest", "action", "nargs", "type", "choices"} <= entry.keys() for entry in entries)
    except OSError as error:
        raise InputError(f"DUMP={path} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        raise InputError(
            f"DUMP={path} is no dump of vLLM's parser, as scripts/upgrade_vllm/dump_args.py writes it."
        ) from None
    if told != version:
        raise InputError(f"DUMP={path} is of vLLM {told}, not {version}: give the dump of that version.")
    return dump


def _captured(path: Path) -> dict[str, dict[str, object]]:
    """Return what is written down of an answer of /metrics; raises InputError where the file holds none."""
    try:
        return capture_metrics.kept(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"METRICS={path} can't be read: {error.strerror}.") from None


def upgrade(version: str, given: differences.Dump, metrics: str) -> None:
    """Move the chart to a version, and report.

    Args:
        version: such as 0.33.0.
        given: the dump of its parser.
        metrics: the path of what its /metrics answers; empty keeps the last capture where the source names it all.
    """
    before = app_version()
    old = json.loads(_dump_path(before).read_text(encoding="utf-8"))
    dump, inherited, guessed = differences.adopt(given, old)
    notes = go_yaml.load(FLAGS.read_text(encoding="utf-8"))
    known = go_yaml.load((DATA / "metrics.yaml").read_text(encoding="utf-8"))
    changes = differences.compare(old, dump, notes, [*known["names"], *known["families"]], guessed, inherited=inherited)
    capture = _captured(Path(metrics)) if metrics else None
    write(_dump_path(version), dump)
    _dump_path(before).unlink()
    FLAGS.write_text(renewed(FLAGS.read_text(encoding="utf-8"), dump, changes), encoding="utf-8")
    chart = CHART / "Chart.yaml"
    text = chart.read_text(encoding="utf-8")
    chart.write_text(text.replace(f'appVersion: "{before}"', f'appVersion: "{version}"'), encoding="utf-8")
    last = DATA / f"vllm-metrics-{before}.json"
    if capture:
        capture_metrics.write(DATA / f"vllm-metrics-{version}.json", capture)
        last.unlink()
    else:
        last.replace(DATA / f"vllm-metrics-{version}.json")
    _regenerate()
    lines = list(differences.report(changes, _left(before, version, bool(metrics))))
    target = CACHE / "reports" / f"vllm-{before}-to-{version}.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    say(f"\nThe chart deploys vLLM {version} now; the report is in {target}. Next: `make test`.")


def _regenerate() -> None:
    for path in registry.write():
        say(f"wrote {path.relative_to(ROOT)}")


def _left(before: str, version: str, captured: bool) -> Iterator[str]:
    """The lines of the report on what only a person or a running server can tell."""
    if not captured:
        yield (
            f"the metrics' labels and buckets are those of {before}: METRICS=path, or "
            "`python -m scripts.upgrade_vllm.capture_metrics` with /metrics of a running server, renews them"
        )
    for name, numbers in _naming(before):
        yield f"{name}:{','.join(map(str, numbers))} names {before}: change it once {version} was seen to do the same"


def _naming(version: str) -> Iterator[tuple[str, list[int]]]:
    """Every file that is kept by hand and names a version of vLLM, with the numbers of the lines that do.

    Files are those of git, tracked or not ignored. A line that pins another package to the same version does not count.
    """
    minor = version.rpartition(".")[0]
    names = re.compile(rf"(?<![\d.]){re.escape(version)}(?!\.?\d)|vLLM v?{re.escape(minor)}(?!\.?\d)", re.IGNORECASE)
    other = re.compile(r"\s*(?!vllm)[\w.-]+ ?==", re.IGNORECASE)
    listed = run_program(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    for name in sorted(listed.split("\0")):
        if not name or name.startswith(_NOT_BY_HAND) or not (ROOT / name).is_file():
            continue
        try:
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # a picture
            continue
        numbers = [number for number, line in enumerate(lines, start=1) if names.search(line) and not other.match(line)]
        if numbers:
            yield name, numbers


def renewed(text: str, dump: differences.Dump, changes: differences.Changes) -> str:
    """Return flags.yaml with what follows from the parser; remedies stay, and those of flags that are back go."""
    flags = differences.flags(dump)
    lists = {
        "switches": [name for name, entry in flags.items() if entry["action"] == "_StoreTrueAction"],
        "repeated": [name for name, entry in flags.items() if entry["action"] == "_AppendAction"],
    }
    for key, names in lists.items():
        held = re.search(rf"^{key}:\n((?:  - \S+\n)*)", text, re.MULTILINE)
        assert held, f"files/data/flags.yaml has a list {key}"
        there = re.findall(r"- (\S+)", held.group(1))
        order = [name for name in there if name in names] + [name for name in names if name not in there]
        text = text[: held.start(1)] + "".join(f"  - {name}\n" for name in order) + text[held.end(1) :]
    head, removed, tail = text.partition("\nremoved:\n")
    for name in changes.returned:
        tail = re.sub(rf"^  {re.escape(name)}: .*\n", "", tail, count=1, flags=re.MULTILINE)
    return head + removed + tail
