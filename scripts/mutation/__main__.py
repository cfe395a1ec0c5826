"""`make mutation`: tries mutants of the templates, and lists those that no test detects.

A mutant must be detected by Helm, by an invariant on a value set that reaches it, or by the tests that are about its
template. The committed manifests in tests/snapshots don't count, as they only say that something has changed.
SAMPLE=100 tries a hundred, drawn by SEED; results are kept, so that a run that is interrupted, or asked for more, goes
on.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from ci import go_programs, tools
from ci.common import ROOT
from scripts.mutation.mutants import Mutant
from scripts.mutation.trials import ALIVE, STILLBORN, TESTS, every_mutant, key
from scripts.templates import template_files
from vllm_chart.cache import CACHE
from vllm_chart.chart import CHART
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.progress import say
from vllm_chart.render import go_yaml

#: Mutants that no test sees, each with its reason.
SURVIVORS = ROOT / "tests" / "coverage" / "survivors.yaml"

#: What came of each mutant of today's templates that was ever tried.
KEPT = CACHE / "mutation.json"


def run() -> None:
    """Try mutants, tell the score by template, and fail for those that survive without a reason."""
    tools.put_on_path("helm", pinned=True)  # the renderer is of that version
    os.environ["VLLM_CHART_RENDERS"] = str(CACHE / "renders")
    missing = template_files(CHART).keys() ^ TESTS.keys()
    if missing:
        raise UserError(f"scripts/mutation/trials.py doesn't say which tests are about {', '.join(sorted(missing))}.")
    chosen = _sample([mutant for mutant in every_mutant() if os.environ.get("ONLY", "") in mutant.file])
    results = Results()
    # a test may see now what none saw before; those that were never tried come first
    left = [mutant for mutant in chosen if results.of.get(key(mutant), ALIVE) == ALIVE]
    left.sort(key=lambda mutant: key(mutant) in results.of)
    workers = min(os.cpu_count() or 1, len(left))
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        running = [_start(Path(folder) / str(index), left[index::workers]) for index in range(workers)]
        threads = [threading.Thread(target=results.read, args=(worker.stdout, len(left))) for worker in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = [worker.wait() for worker in running]
        if any(codes):
            log = (Path(folder) / str(codes.index(max(codes))) / "mutants.log").read_text(encoding="utf-8")
            raise UserError(results.error or f"The tests can't be run on mutants:\n{log[-3000:]}")
    _tell({mutant: results.of[key(mutant)] for mutant in chosen})


def _sample(every: list[Mutant]) -> list[Mutant]:
    """Return the mutants to try; a larger sample of the same seed holds the smaller."""
    size, seed = os.environ.get("SAMPLE") or str(len(every)), os.environ.get("SEED") or "0"
    if not size.isdigit() or not seed.isdigit():
        raise UserError(f"SAMPLE is {size} and SEED is {seed}: write numbers, as SAMPLE=100 SEED=1.")
    random.Random(int(seed)).shuffle(every)  # noqa: S311
    return every[: int(size)]


def _start(folder: Path, part: list[Mutant]) -> subprocess.Popen[str]:
    """Start a process that tries mutants, with a copy of the chart of its own."""
    folder.mkdir()
    names = folder / "mutants.json"
    names.write_text(json.dumps(list(map(str, part))), encoding="utf-8")
    chart = shutil.copytree(CHART, folder / CHART.name)
    command = [sys.executable, "-m", "scripts.mutation.trials", str(names)]
    environment = os.environ | {"VLLM_CHART": str(chart)}
    if shutil.which("go"):
        environment["RENDERER"] = str(go_programs.RENDERER.build() / "renderer")
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


class Results:
    """What came of each mutant, kept from run to run."""

    def __init__(self) -> None:
        self.of: dict[str, str] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
        self.error = ""
        self._lock, self._done = threading.Lock(), 0

    def read(self, stream: IO[str], total: int) -> None:
        """Take what a process says of its mutants until it ends."""
        for line in stream:
            message: dict[str, str] = json.loads(line)
            with self._lock:
                if "outcome" in message:
                    self._done += 1
                    self.of[message["mutant"]] = message["outcome"]
                    KEPT.write_text(json.dumps(self.of), encoding="utf-8")
                    say(f"{self._done}/{total} {message['outcome']:9} {message['mutant'].partition(' ')[2]}")
                elif "error" in message:
                    self.error = message["error"]
                else:
                    say(message["says"])


def _tell(outcome: Mapping[Mutant, str]) -> None:
    reasons: dict[str, str] = go_yaml.load(SURVIVORS.read_text(encoding="utf-8")) or {}
    by_file: dict[str, list[str]] = defaultdict(list)
    for mutant, seen in outcome.items():
        if seen != STILLBORN:
            by_file[mutant.file].append(seen)
    rows = [*sorted(by_file.items()), ("all", [item for fates in by_file.values() for item in fates])]
    for file, fates in rows:
        dead = sum(item != ALIVE for item in fates)
        print(f"{file:32} {dead:4} of {len(fates):4}  {dead / max(1, len(fates)):6.1%}")
    alive = [mutant for mutant, seen in outcome.items() if seen == ALIVE]
    for mutant in alive:
        print(f"alive: {mutant} (line {mutant.line}): {reasons.get(str(mutant), 'no reason is known')}")
    unknown = [mutant for mutant in alive if str(mutant) not in reasons]
    if unknown:
        raise UserError(
            f"{len(unknown)} mutants survive: write a test that sees each, or a reason into {SURVIVORS.name}."
        )


if __name__ == "__main__":
    main(run)
