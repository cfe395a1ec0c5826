"""`make mutation`: puts one mistake at a time into the templates, and tells which of them no test sees.

A mistake that a value set reaches must be seen by Helm or by an invariant on one of those, or by the tests that are
about its template. The committed manifests in tests/rendered don't count, as they only say that something has changed.
SAMPLE=100 tries a hundred, the same ones each time; results are kept, so that a run that is interrupted goes on.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import yaml

from scripts import tools
from scripts.common import CACHE, CHART, ROOT, UserError, digest, main
from scripts.progress import say

sys.path.insert(0, str(ROOT / "tests"))
from harness import go_yaml, helm
from harness.branches import Branch, Case, Reach
from harness.invariants import CHECKS, Subject
from harness.mutants import Mutant, mutants
from harness.value_sets import ValueSet, value_sets

#: Mutants that no test sees, each with its reason.
SURVIVORS = ROOT / "tests" / "coverage" / "survivors.yaml"

#: The tests that are about a template, nearest first; those of every template follow.
TESTS = {
    "NOTES.txt": "render/test_objects.py render/test_scaling_and_metrics.py render/test_exposure.py",
    "_accelerator.tpl": "render/test_pod.py contract/test_messages.py render/test_objects.py",
    "_args.tpl": "render/test_pod.py contract/test_flags.py render/test_api_keys.py render/test_sources.py",
    "_autoscaling.tpl": "render/test_scaling_and_metrics.py render/test_autoscaler_switch.py",
    "_cache.tpl": "render/test_storage.py render/test_pod.py render/test_sources.py",
    "_checks.tpl": "contract/test_messages.py",
    "_env.tpl": "render/test_pod.py render/test_sources.py render/test_api_keys.py render/test_lifecycle.py",
    "_exposure.tpl": "render/test_exposure.py render/test_network_policy.py render/test_objects.py",
    "_group.tpl": "render/test_group.py contract/test_messages.py",
    "_image.tpl": "render/test_pod.py render/test_subchart.py",
    "_lifecycle.tpl": "render/test_lifecycle.py render/test_pod.py render/test_prestop.py render/test_objects.py",
    "_metrics.tpl": "render/test_observability.py render/test_scaling_and_metrics.py",
    "_model.tpl": "render/test_sources.py render/test_pod.py render/test_helm_test.py render/test_exposure.py",
    "_names.tpl": "render/test_objects.py render/test_subchart.py render/test_observability.py",
    "_overlay.tpl": "render/test_pod_spec.py",
    "_pod.tpl": "render/test_pod.py render/test_pod_spec.py render/test_lifecycle.py render/test_sources.py",
    "_resources.tpl": "render/test_pod.py render/test_storage.py contract/test_messages.py render/test_pod_spec.py",
    "_security.tpl": "render/test_api_keys.py render/test_exposure.py render/test_observability.py",
    "_test.tpl": "render/test_helm_test.py",
    "adapter-config.yaml": "render/test_scaling_and_metrics.py render/test_observability.py",
    "checks.yaml": "contract/test_messages.py",
    "configmap.yaml": "render/test_lifecycle.py render/test_pod.py",
    "dashboard.yaml": "render/test_observability.py",
    "deployment.yaml": "render/test_scaling_and_metrics.py render/test_pod.py render/test_autoscaler_switch.py",
    "extra-objects.yaml": "render/test_objects.py",
    "horizontalpodautoscaler.yaml": "render/test_scaling_and_metrics.py",
    "httproute.yaml": "render/test_exposure.py",
    "inferencepool.yaml": "render/test_exposure.py",
    "ingress.yaml": "render/test_exposure.py",
    "leaderworkerset.yaml": "render/test_group.py",
    "monitors.yaml": "render/test_scaling_and_metrics.py render/test_observability.py",
    "networkpolicy.yaml": "render/test_network_policy.py",
    "persistentvolumeclaims.yaml": "render/test_storage.py",
    "poddisruptionbudget.yaml": "render/test_objects.py",
    "rules.yaml": "render/test_observability.py",
    "scaledobject.yaml": "render/test_scaling_and_metrics.py",
    "scrape-config.yaml": "render/test_observability.py",
    "service.yaml": "render/test_objects.py render/test_exposure.py",
    "serviceaccount.yaml": "render/test_objects.py",
    "test-pod.yaml": "render/test_helm_test.py",
}

#: Seen by nobody; seen by Helm, by an invariant, by a test; no template any more.
ALIVE, HELM, INVARIANT, TEST, STILLBORN = "alive", "helm", "invariant", "test", "stillborn"


def run() -> None:
    """Try mutants, tell the score by template, and fail for those that survive without a reason."""
    tools.put_on_path("helm")
    os.environ["HARNESS_CACHE"] = str(CACHE / "renders")
    missing = {path.name for path in (CHART / "templates").iterdir()} ^ TESTS.keys()
    if missing:
        raise UserError(f"scripts/mutation.py doesn't say which tests are about {', '.join(sorted(missing))}.")
    chosen = _sample(_all())
    reach = Reach(CHART)
    sets = value_sets()
    reached = {item.name: reach.of(Case(item.name, item.path)) for item in sets}
    kept = Path(CACHE / "mutation.json")
    results: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for index, mutant in enumerate(chosen, 1):
        key = f"{digest(CHART / 'templates' / mutant.file)} {mutant}"
        if results.get(key, ALIVE) == ALIVE:  # a test may see now what none saw before
            near = [item for item in sets if _meets(mutant, reach.branches, reached[item.name])]
            results[key] = _try(mutant, near)
            kept.write_text(json.dumps(results), encoding="utf-8")
        say(f"{index}/{len(chosen)} {results[key]:9} {mutant}")
    outcome = {mutant: results[f"{digest(CHART / 'templates' / mutant.file)} {mutant}"] for mutant in chosen}
    _tell(outcome)


def _all() -> list[Mutant]:
    defaults = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return [
        mutant
        for path in sorted((CHART / "templates").iterdir())
        for mutant in mutants(path.name, path.read_text(encoding="utf-8"), defaults)
        if os.environ.get("ONLY", "") in path.name
    ]


def _sample(every: list[Mutant]) -> list[Mutant]:
    size = os.environ.get("SAMPLE") or str(len(every))
    if not size.isdigit():
        raise UserError(f"SAMPLE is {size}: write a number of mutants, as SAMPLE=100.")
    return random.Random(0).sample(every, min(int(size), len(every)))  # noqa: S311


def _meets(mutant: Mutant, branches: list[Branch], reached: set[Branch]) -> bool:
    """Whether a value set reaches the helper or template of a mutant."""
    of_helper = {branch for branch in branches if (branch.file, branch.helper) == (mutant.file, mutant.helper)}
    return not of_helper or bool(of_helper & reached)


def _try(mutant: Mutant, near: list[ValueSet]) -> str:
    """Return who sees a mutant: the sets that reach it are asked first, as they cost least."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        chart = Path(shutil.copytree(CHART, Path(folder) / CHART.name))
        path = chart / "templates" / mutant.file
        path.write_text(mutant.applied(path.read_text(encoding="utf-8")), encoding="utf-8")
        for item in near[:4]:
            try:
                subject = Subject(item.values(), (item.path,), chart)
                changed = subject.render().text != helm.render(item.path).text
                if changed and any(check.findings(subject) for check in CHECKS.values()):
                    return INVARIANT
            except helm.HelmError as error:
                return STILLBORN if "parse error at" in error.text else HELM
            except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError):
                return INVARIANT  # what the checks can't even read
        return TEST if _tests_fail(mutant, chart) else ALIVE


def _tests_fail(mutant: Mutant, chart: Path) -> bool:
    files = [f"tests/{name}" for name in TESTS[mutant.file].split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *files]
    environment = os.environ | {"HARNESS_CHART": str(chart)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise UserError(f"pytest can't run for the mutant {mutant}:\n{done.stdout[-2000:]}")
    return done.returncode == 1


def _tell(outcome: dict[Mutant, str]) -> None:
    reasons: dict[str, str] = yaml.safe_load(SURVIVORS.read_text(encoding="utf-8")) or {}
    by_file: dict[str, list[str]] = defaultdict(list)
    for mutant, seen in outcome.items():
        if seen != STILLBORN:
            by_file[mutant.file].append(seen)
    for file, fates in sorted(by_file.items()):
        dead = sum(item != ALIVE for item in fates)
        print(f"{file:32} {dead:4} of {len(fates):4}  {dead / len(fates):6.1%}")
    every = [item for fates in by_file.values() for item in fates]
    dead = sum(item != ALIVE for item in every)
    print(f"{'all':32} {dead:4} of {len(every):4}  {dead / max(1, len(every)):6.1%}")
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
