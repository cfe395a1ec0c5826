"""Tries mutants of the templates with the tests that are about them: what `make mutation` starts for each core.

The tests are collected once, and each mutant is tried in a fork. What a test renders, and which branches that reaches,
is noted first, with the chart as it is: tests that don't reach a mutant can't see it. Of the rest, those named after
its helper come first, then those about its template; of each, first those that reach most of the helper and least
besides. Renders that don't reach it are taken from the cache. The schema is asked once, as no template changes its
answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from ci.common import ROOT, digest
from scripts.mutation.branches import Branch, Case, Reach, around
from scripts.mutation.mutants import Mutant, mutants
from scripts.templates import template_files
from scripts.value_sets import ValueSet, value_sets
from vllm_chart.cache import CACHE
from vllm_chart.chart import CHART
from vllm_chart.invariants.registry import INVARIANTS, Subject
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.helm import Render
from vllm_chart.render.objects import Objects

#: Seen by nobody; seen by Helm, by an invariant, by a test; no template any more.
ALIVE, HELM, INVARIANT, TEST, STILLBORN = "alive", "helm", "invariant", "test", "stillborn"
_OUTCOMES = (ALIVE, HELM, INVARIANT, TEST, STILLBORN)

#: The tests that are about a template, which come first.
TESTS = {
    "NOTES.txt": (
        "render/test_objects.py render/test_scaling_and_metrics.py render/test_exposure.py render/test_group.py"
    ),
    "_functions.tpl": "render/test_observability.py render/test_pod.py render/test_objects.py",
    "_names.tpl": "render/test_objects.py render/test_subchart.py render/test_observability.py",
    "_test.tpl": "render/test_helm_test.py render/test_exposure.py",
    "autoscaling/_hpa.tpl": "render/test_scaling_and_metrics.py render/test_observability.py",
    "autoscaling/_keda.tpl": "render/test_scaling_and_metrics.py",
    "autoscaling/_replicas.tpl": "render/test_autoscaler_switch.py render/test_scaling_and_metrics.py",
    "autoscaling/adapter-configmap.yaml": "render/test_scaling_and_metrics.py render/test_observability.py",
    "autoscaling/horizontalpodautoscaler.yaml": "render/test_scaling_and_metrics.py",
    "autoscaling/scaledobject.yaml": "render/test_scaling_and_metrics.py",
    "checks/_accelerator.tpl": "contract/test_messages.py",
    "checks/_arguments.tpl": "contract/test_messages.py",
    "checks/_autoscaling.tpl": "contract/test_messages.py",
    "checks/_checks.tpl": "contract/test_null.py contract/test_messages.py",
    "checks/_cluster.tpl": "contract/test_messages.py",
    "checks/_group.tpl": "contract/test_messages.py",
    "checks/_image.tpl": "contract/test_messages.py",
    "checks/_model.tpl": "contract/test_messages.py",
    "checks/_network.tpl": "contract/test_messages.py",
    "checks/_observability.tpl": "contract/test_messages.py",
    "checks/_pod.tpl": "contract/test_messages.py",
    "checks/_storage.tpl": "contract/test_messages.py",
    "checks/checks.yaml": "contract/test_messages.py",
    "extra-objects.yaml": "render/test_objects.py",
    "network/_ingress.tpl": "render/test_exposure.py",
    "network/_networkpolicy.tpl": "render/test_network_policy.py",
    "network/_routes.tpl": "render/test_exposure.py render/test_objects.py",
    "network/_service.tpl": "render/test_exposure.py render/test_objects.py",
    "network/httproute.yaml": "render/test_exposure.py",
    "network/inferencepool.yaml": "render/test_exposure.py",
    "network/ingress.yaml": "render/test_exposure.py",
    "network/networkpolicy.yaml": "render/test_network_policy.py",
    "network/service.yaml": "render/test_objects.py render/test_exposure.py",
    "observability/_dashboard.tpl": "render/test_observability.py",
    "observability/_metrics.tpl": "render/test_observability.py render/test_scaling_and_metrics.py",
    "observability/_monitors.tpl": (
        "render/test_exposure.py render/test_observability.py render/test_scaling_and_metrics.py"
    ),
    "observability/_rules.tpl": "render/test_observability.py",
    "observability/dashboard-configmap.yaml": "render/test_observability.py",
    "observability/podmonitor.yaml": "render/test_scaling_and_metrics.py render/test_observability.py",
    "observability/prometheusrule.yaml": "render/test_observability.py",
    "observability/rules-configmap.yaml": "render/test_observability.py",
    "observability/scrape-configmap.yaml": "render/test_observability.py",
    "observability/servicemonitor.yaml": "render/test_scaling_and_metrics.py render/test_observability.py",
    "test-pod.yaml": "render/test_helm_test.py render/test_exposure.py render/test_objects.py",
    "workload/_accelerator.tpl": "render/test_pod.py contract/test_messages.py render/test_objects.py",
    "workload/_api-keys.tpl": "render/test_api_keys.py",
    "workload/_args.tpl": "render/test_pod.py contract/test_flags.py render/test_api_keys.py render/test_sources.py",
    "workload/_cache.tpl": "render/test_storage.py render/test_pod.py render/test_sources.py",
    "workload/_env.tpl": (
        "render/test_pod.py render/test_sources.py render/test_api_keys.py render/test_lifecycle.py "
        "render/test_observability.py"
    ),
    "workload/_first-request.tpl": "render/test_helm_test.py render/test_lifecycle.py render/test_exposure.py",
    "workload/_group.tpl": "render/test_group.py contract/test_messages.py",
    "workload/_image.tpl": "render/test_pod.py render/test_subchart.py",
    "workload/_init-containers.tpl": "render/test_sources.py render/test_api_keys.py render/test_pod_spec.py",
    "workload/_lifecycle.tpl": "render/test_lifecycle.py render/test_prestop.py render/test_pod.py",
    "workload/_memory.tpl": "contract/test_messages.py render/test_pod.py",
    "workload/_model.tpl": "render/test_exposure.py render/test_sources.py render/test_pod.py",
    "workload/_overlay.tpl": "render/test_pod_spec.py",
    "workload/_parallelism.tpl": "render/test_pod.py contract/test_messages.py render/test_group.py",
    "workload/_pod-metadata.tpl": (
        "render/test_pod.py render/test_objects.py render/test_observability.py render/test_storage.py"
    ),
    "workload/_pod.tpl": "render/test_pod.py render/test_pod_spec.py render/test_lifecycle.py render/test_sources.py",
    "workload/_poddisruptionbudget.tpl": "render/test_objects.py render/test_group.py",
    "workload/_probes.tpl": "render/test_pod.py render/test_lifecycle.py render/test_group.py",
    "workload/_programs.tpl": "render/test_lifecycle.py render/test_pod.py",
    "workload/_resources.tpl": "render/test_pod.py render/test_pod_spec.py contract/test_messages.py",
    "workload/_rollout.tpl": "render/test_pod.py render/test_objects.py render/test_group.py",
    "workload/_security-context.tpl": "render/test_pod.py render/test_pod_spec.py",
    "workload/_sources.tpl": "render/test_sources.py render/test_pod.py",
    "workload/_tls.tpl": "render/test_exposure.py",
    "workload/_volumes.tpl": "render/test_pod.py render/test_storage.py",
    "workload/_workload.tpl": (
        "render/test_group.py render/test_scaling_and_metrics.py render/test_autoscaler_switch.py"
    ),
    "workload/deployment.yaml": (
        "render/test_scaling_and_metrics.py render/test_pod.py render/test_autoscaler_switch.py"
    ),
    "workload/files-configmap.yaml": "render/test_pod.py render/test_lifecycle.py",
    "workload/leaderworkerset.yaml": "render/test_group.py",
    "workload/lifecycle-configmap.yaml": "render/test_lifecycle.py render/test_pod.py",
    "workload/persistentvolumeclaims.yaml": "render/test_storage.py",
    "workload/poddisruptionbudget.yaml": "render/test_objects.py",
    "workload/serviceaccount.yaml": "render/test_objects.py",
}

#: Those of every template: all that render, and what null does to values.
EVERY = [f"render/{path.name}" for path in sorted((ROOT / "tests" / "render").glob("test_*.py"))]
EVERY.append("contract/test_null.py")

#: Tests in which a mutant is looked for; the nearest come first.
MOST = 120

#: Value sets that are tried before the tests, as the statements about any values cost least.
SETS = 4

#: Seconds after which a mutant counts as seen, as a script in it does not end; none takes a tenth of that.
LONGEST = 1800

#: Options of `helm template` that `helm lint` accepts, too. Lint has its own name of a release, in place of this one.
_RELEASE = "test"
_SAME = ("--values", "--set", "--set-json", "--set-string")

Steps = tuple[str, ...]


def every_mutant() -> list[Mutant]:
    """Return every mutant of the chart's templates."""
    defaults = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return [
        mutant
        for name, path in template_files(CHART).items()
        for mutant in mutants(name, path.read_text(encoding="utf-8"), defaults)
    ]


def key(mutant: Mutant) -> str:
    """The name of a mutant of a template as it is today."""
    return f"{digest(CHART / 'templates' / mutant.file)} {mutant}"


class Renderer:
    """Helm that stays (ci/go_modules/renderer), so that a render does not have to start it."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=helm._environment()
        )

    @classmethod
    def named(cls) -> Renderer | None:
        """Return the renderer that $RENDERER names, if it does."""
        program = os.environ.get("RENDERER")
        return cls(Path(program)) if program else None

    def call(self, arguments: Sequence[str], stdin: str = "") -> str:
        """Do what helm.call does."""
        to, answers = self._process.stdin, self._process.stdout
        assert to
        assert answers
        to.write(json.dumps({"arguments": arguments, "stdin": stdin}) + "\n")
        to.flush()
        answer = json.loads(answers.readline())
        if answer["failed"] or answer["errors"].strip():
            raise helm.HelmError(answer["errors"] or answer["output"], helm._shown(arguments, stdin))
        return str(answer["output"])

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


class Calls:
    """What the tests render, by the digest of a call, and the branches that it reaches, by their numbers.

    A call that the schema refuses reaches none; `None` stands for those of which nobody can tell what they reach.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self.numbers = {branch: number for number, branch in enumerate(reach.branches)}
        self._render = helm._render
        self._original = helm.chart_hash(CHART)
        self.of_item: list[str] = []
        self.known: dict[str, list[int] | None] = {}

    def note(self, arguments: Steps, stdin: str, name: str) -> Render:
        """Render as helm.render does, and note what that reaches."""
        call = self._call(arguments, stdin, name)
        self.of_item.append(call)
        try:
            return self._render(arguments, stdin, name)
        except helm.HelmError as error:
            if "values don't meet the specifications of the schema" in error.text:
                self.known[call] = []
            raise
        finally:
            if call not in self.known:
                self.known[call] = self._reached(arguments, stdin, call)

    def _reached(self, arguments: Steps, stdin: str, call: str) -> list[int] | None:
        # template RELEASE CHART --namespace NAMESPACE …
        options = arguments[5:]
        words = [word for word in options if word.startswith("--") and word != "--kube-version"]
        if arguments[1:3] != (_RELEASE, str(CHART)) or not set(words) <= set(_SAME):
            return None
        return sorted(self.numbers[branch] for branch in self._reach.of_options(options, stdin, call))

    def _call(self, arguments: Steps, stdin: str, name: str) -> str:
        words = (name[: -len(self._original)], stdin, "" if arguments[2] == str(CHART) else "another chart")
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]

    def mutated(self, branch: Branch | None) -> Callable[[Steps, str, str], Render]:
        """Return a function that renders a mutant in a branch, in place of helm.render's own."""
        made: dict[tuple[Steps, str, str], Render | helm.HelmError] = {}
        cache = os.environ.pop("VLLM_CHART_RENDERS")
        ask = renderer.call if (renderer := Renderer.named()) else helm.call

        def render(arguments: Steps, stdin: str, name: str) -> Render:
            call = self._call(arguments, stdin, name)
            reached = self.known.get(call)
            if arguments[:3] == ("template", "test", str(CHART)) and reached is not None:
                if not reached or (branch is not None and self.numbers[branch] not in reached):
                    with _environment(VLLM_CHART_RENDERS=cache):
                        return self._render(arguments, stdin, name[: -len(self._original)] + self._original)
                arguments = (*arguments, "--skip-schema-validation")
            if (arguments, stdin, name) not in made:
                try:
                    text = ask(arguments, stdin)
                    made[arguments, stdin, name] = Render(text, Objects.parse(text), helm._shown(arguments, stdin))
                except helm.HelmError as error:
                    made[arguments, stdin, name] = error
            outcome = made[arguments, stdin, name]
            if isinstance(outcome, helm.HelmError):
                raise outcome
            return outcome

        return render


@contextlib.contextmanager
def _environment(**given: str) -> Iterator[None]:
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            del os.environ[name]


class Trials:
    """A plugin of pytest that runs its tests on mutants, and writes the outcome of each as a line of JSON."""

    def __init__(self, chosen: Sequence[Mutant], outcomes: int) -> None:
        self._chosen, self._outcomes = chosen, outcomes
        self._reach = Reach(CHART)
        self._calls = Calls(self._reach)
        self._of_item: dict[str, list[str]] = {}
        self._sets = {item: self._reach.of(Case(item.name, item.path)) for item in value_sets()}
        self._texts = {item: helm.render(item.path).text for item in self._sets}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Note what each test renders, and try each mutant."""
        by_file: dict[Path, list[pytest.Item]] = {}
        for item in session.items:
            by_file.setdefault(item.path, []).append(item)
        library = digest(CHART, ROOT / "src", ROOT / "tests" / "conftest.py", ROOT / "tests" / "lib", Path(__file__))
        files = list(by_file)
        random.shuffle(files)  # so that several processes share the work
        for file in files:
            items = by_file[file]
            self._note(CACHE / "renders" / f"calls-{digest(library, file)}.json", file, items)
        for mutant in self._chosen:
            self._write({"mutant": key(mutant), "outcome": self._try(mutant, by_file)})
        return True

    def _write(self, message: Mapping[str, str]) -> None:
        os.write(self._outcomes, f"{json.dumps(message)}\n".encode())

    # -- what tests render

    def _note(self, kept: Path, file: Path, items: list[pytest.Item]) -> None:
        if not kept.exists():
            self._write({"says": f"what {file.name} renders …"})
            _in_fork(lambda: self._noted(kept, items), longest=0)
        if not kept.exists():
            self._write({"error": f"The tests in {file.name} fail on the unchanged chart, too. Fix them first."})
            os._exit(1)
        noted = json.loads(kept.read_text(encoding="utf-8"))
        self._of_item |= noted["items"]
        self._calls.known |= noted["calls"]

    def _noted(self, kept: Path, items: list[pytest.Item]) -> int:
        of_item = {}
        helm._render = self._calls.note  # type: ignore[assignment]
        self._calls.known = {}
        for item in items:
            self._calls.of_item = []
            # with no next one every fixture is made anew, and notes its renders
            if not _passes(item, None):
                return 1
            of_item[item.nodeid] = self._calls.of_item
        kept.write_text(json.dumps({"items": of_item, "calls": self._calls.known}), encoding="utf-8")
        return 0

    # -- one mutant

    def _try(self, mutant: Mutant, by_file: Mapping[Path, list[pytest.Item]]) -> str:
        branch = around(self._reach.branches, mutant.file, mutant.start)
        near = [ROOT / "tests" / name for name in TESTS[mutant.file].split()]
        every = [item for items in by_file.values() for item in items]
        name = branch.helper if branch else ""
        helper = {
            number for one, number in self._calls.numbers.items() if (one.file, one.helper) == (mutant.file, name)
        }
        notes = mutant.file == "NOTES.txt"
        distances = [(self._distance(item, branch, helper, near, notes=notes), item) for item in every]
        # an example of a check is called like it
        word = name.rpartition(".")[2]
        able = sorted(
            ((far, item) for far, item in distances if far is not None),
            key=lambda pair: (word not in pair[1].nodeid, pair[0]),
        )
        items = [item for _, item in able[:MOST]]
        path = CHART / "templates" / mutant.file
        text = path.read_text(encoding="utf-8")
        try:
            path.write_text(mutant.applied(text), encoding="utf-8")
            return _OUTCOMES[_in_fork(lambda: _OUTCOMES.index(self._outcome(branch, items)))]
        finally:
            path.write_text(text, encoding="utf-8")

    def _distance(
        self, item: pytest.Item, branch: Branch | None, helper: set[int], near: list[Path], *, notes: bool
    ) -> tuple[int, int, int] | None:
        """How far a test is from a branch: by its file, and by what its renders reach of the helper and of the rest.

        None if the test can't see it. `helm template` renders no notes: only a copy of the chart shows them.
        """
        place = int(item.path not in near)
        reached = [self._calls.known[call] for call in self._of_item[item.nodeid]]
        reached = [None for one in reached if one is None] if notes else reached
        if not self._of_item[item.nodeid]:
            return None if place else (0, 0, 0)  # it may read the template itself
        able = [one for one in reached if one is None or branch is None or self._calls.numbers[branch] in one]
        size = len(self._calls.numbers)
        ways = [(place, -len(helper.intersection(one or ())), size if one is None else len(one)) for one in able]
        return min(ways, default=None)

    def _outcome(self, branch: Branch | None, items: list[pytest.Item]) -> str:
        """Return who sees a mutant: the statements about any values, or the tests."""
        helm._render = self._calls.mutated(branch)  # type: ignore[assignment]
        for item in self._near(branch):
            subject = Subject(item.values(), (item.path,))
            try:
                if subject.render().text != self._texts[item] and any(
                    invariant.findings(subject) for invariant in INVARIANTS.values()
                ):
                    return INVARIANT
            except helm.HelmError as error:
                return STILLBORN if "parse error at" in error.text else HELM
            except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError):
                return INVARIANT  # what the checks can't even read
        following = [*items[1:], None]
        return ALIVE if all(map(_passes, items, following)) else TEST

    def _near(self, branch: Branch | None) -> list[ValueSet]:
        return [item for item, reached in self._sets.items() if branch is None or branch in reached][:SETS]


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    from _pytest import runner  # noqa: PLC0415

    return not any(report.failed for report in runner.runtestprotocol(item, log=False, nextitem=following))


def _in_fork(work: Callable[[], int], longest: int = LONGEST) -> int:
    """Return the number that a function returns in a fork, or that of TEST where it does not end."""
    child = os.fork()
    if child == 0:
        code = _OUTCOMES.index(TEST)
        try:
            signal.alarm(longest)
            code = work()
        finally:
            os._exit(code)  # no clean-up of the parent's folders
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else _OUTCOMES.index(TEST)


def try_mutants(listed: Path) -> NoReturn:
    """Try the mutants whose names a file lists; what comes of each is written to standard output."""
    wanted = json.loads(listed.read_text(encoding="utf-8"))
    every = {str(mutant): mutant for mutant in every_mutant()}
    outcomes, log = os.dup(1), os.open(listed.with_suffix(".log"), os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)  # what tests and pytest print
    chosen = [every[name] for name in wanted]
    names = [name for mutant in chosen for name in TESTS[mutant.file].split()]
    files = dict.fromkeys(f"tests/{name}" for name in (*names, *EVERY))
    options = ["-q", "--helm=pinned", "-p", "no:cacheprovider", "-p", "no:xdist"]
    sys.exit(pytest.main([*options, *files], plugins=[Trials(chosen, outcomes)]))


if __name__ == "__main__":
    try_mutants(Path(sys.argv[1]))
