"""Finds the part of a user's values that is behind a finding: the one without which the finding is gone.

Each render of changed values is asked about all findings at once, so that many cost little more than one. Of many parts
those are taken away together whose number has a certain binary digit: a finding is gone where its own part is among
them. What the finding names comes first, and then what lies below each part that was found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from vllm_chart.invariants.registry import INSPECTION_ERRORS, INVARIANTS, Subject
from vllm_chart.render.findings import Finding
from vllm_chart.render.helm import HelmError
from vllm_chart.render.objects import Step

#: Keys and, in lists, numbers that lead to a part of values.
ValuesPath = tuple[Step, ...]

#: Changed values that may be rendered at most; each takes 0.1 s of CPU.
LIMIT = 48

#: Parts up to which each is taken away alone, which costs no more than halves and one try after that.
FEW = 10

#: What an object of a user's own can't lack.
NEEDED = ("apiVersion", "kind", "metadata")


def plain(finding: Finding) -> Finding:
    """Return a finding without the version of Kubernetes or the release name that it was made with."""
    return replace(finding, text=finding.text.partition(" (Kubernetes ")[0].partition(" (release ")[0])


class Found(NamedTuple):
    """What stays of a finding when values change: the check, the object or its template, and where and what it is."""

    check: str
    where: str
    path: ValuesPath
    text: str

    @classmethod
    def of(cls, check: str, finding: Finding) -> Found:
        """Return what stays of a check's finding; the names of the chart's own objects may change."""
        manifest = finding.manifest
        return cls(check, manifest.source if manifest.of_chart else str(manifest), finding.path, plain(finding).text)


@dataclass(frozen=True, eq=False)
class _Question:
    """Which of these parts of the values is behind each of these findings?"""

    findings: Sequence[Found]
    parts: Sequence[ValuesPath]

    def alone(self) -> list[set[ValuesPath]]:
        """Each part."""
        return [{part} for part in self.parts]

    def together(self) -> list[set[ValuesPath]]:
        """Sets of parts such that each part is in others than the rest."""
        if len(self.parts) <= FEW:
            return self.alone()
        digits = range((len(self.parts) - 1).bit_length())
        numbered = list(enumerate(self.parts))
        return [{part for number, part in numbered if number >> digit & 1 == bit} for digit in digits for bit in (0, 1)]


class Attribution:
    """Answers for the findings that checks have about one subject."""

    def __init__(self, subject: Subject, findings: Collection[Found], left_out: Mapping[str, frozenset[str]]) -> None:
        """Take the findings, and the kinds that each check had to leave out for them, as `Invariant.of` gives them."""
        self._subject, self._left_out = subject, left_out
        self._every = sorted(findings, key=str)  # so that the renders which LIMIT leaves are always the same
        self._known: dict[frozenset[ValuesPath], tuple[set[Found], bool]] = {}

    def paths(self) -> dict[Found, ValuesPath]:
        """Return the path to what is behind each finding; none for those behind which there isn't one part."""
        values = self._subject.values
        whole = _Question(self._every, [(key,) for key in values])
        (gone,) = self._gone({whole: set(whole.parts)}).values() if self._every else (set(),)
        asking = [one for one in self._every if one in gone]
        found = self._answers([_Question(asking, _suspects(values, gone))])
        while asking:
            below: dict[ValuesPath, list[Found]] = {}
            for one in asking:
                below.setdefault(found.get(one, ()), []).append(one)
            questions = [_Question(group, _children(values, path)) for path, group in below.items()]
            answers = self._answers(questions, thoroughly=True)
            found |= answers
            asking = list(answers)
        return found

    def _answers(self, questions: Sequence[_Question], *, thoroughly: bool = False) -> dict[Found, ValuesPath]:
        """Return the answers to questions about different parts; thoroughly is one part after the other, if need be."""
        found: dict[Found, ValuesPath] = {}
        for question, sets, gone in self._tried({question: question.together() for question in questions}):
            for one in question.findings:
                patterns = {part: [part in removed for removed in sets] for part in question.parts}
                seen = [one in lost for lost in gone]
                if parts := [part for part, pattern in patterns.items() if pattern == seen]:
                    found[one] = parts[0]
        if thoroughly:
            unsure = [replace(one, findings=[item for item in one.findings if item not in found]) for one in questions]
            for question, sets, gone in self._tried({one: one.alone() for one in unsure if one.findings}):
                for (part,), lost in reversed(list(zip(sets, gone, strict=True))):
                    found |= {one: part for one in question.findings if one in lost}
        return found

    def _tried(
        self, sets: Mapping[_Question, list[set[ValuesPath]]]
    ) -> Iterator[tuple[_Question, list[set[ValuesPath]], list[set[Found]]]]:
        """Take away the first set of every question together, the second of every question, and so on.

        Yields each question, its sets, and the findings that were gone without each.
        """
        longest = max(map(len, sets.values()), default=0)
        rounds = [
            {question: removed[index] for question, removed in sets.items() if index < len(removed)}
            for index in range(longest)
        ]
        with ThreadPoolExecutor(max_workers=2) as pool:
            for removed in rounds[: LIMIT - len(self._known)]:
                pool.submit(self._render, removed)  # which is kept
        gone = [self._gone(removed) for removed in rounds]
        for question, given in sets.items():
            yield question, given, [lost[question] for lost in gone[: len(given)]]

    def _render(self, removed: Mapping[_Question, set[ValuesPath]]) -> None:
        with contextlib.suppress(HelmError):
            self._subject_without(set().union(*removed.values())).render()

    def _subject_without(self, removed: Collection[ValuesPath]) -> Subject:
        return self._subject.having(_without(self._subject.values, removed))

    def _gone(self, removed: Mapping[_Question, set[ValuesPath]]) -> dict[_Question, set[Found]]:
        """Return what is gone without some parts, for each question; those that Helm refuses are asked apart."""
        gone, refused = self._rendered(set().union(*removed.values()))
        if refused and len(removed) > 1:
            items, middle = list(removed.items()), len(removed) // 2
            return self._gone(dict(items[:middle])) | self._gone(dict(items[middle:]))
        return dict.fromkeys(removed, gone)

    def _rendered(self, removed: Collection[ValuesPath]) -> tuple[set[Found], bool]:
        """Return what is gone without some parts, and whether there is something that nobody can tell."""
        key = frozenset(removed)
        if key not in self._known:
            if len(self._known) >= LIMIT:
                return set(), False
            self._known[key] = self._look(key)
        return self._known[key]

    def _look(self, removed: frozenset[ValuesPath]) -> tuple[set[Found], bool]:
        subject = self._subject_without(removed)
        gone: set[Found] = set()
        refused = False
        for check in dict.fromkeys(one.check for one in self._every):
            try:
                findings, kinds = INVARIANTS[check].of(subject)
                left = {Found.of(check, finding) for finding in findings}
            except (HelmError, *INSPECTION_ERRORS):
                kinds, left = frozenset("?"), set()
            if not kinds <= self._left_out[check]:
                refused = True
                continue
            gone |= {one for one in self._every if one.check == check} - left
        return gone, refused


def _suspects(values: Mapping[str, Any], findings: Collection[Found]) -> list[ValuesPath]:
    """Return the parts that findings name, or whose text they quote: one for each, and none inside another."""
    paths = {path for one in findings if (path := _suspect(values, one))}
    return sorted(path for path in paths if not any(path[:depth] in paths for depth in range(1, len(path))))


def _suspect(values: Mapping[str, Any], found: Found) -> ValuesPath:
    last = str(found.path[-1]) if found.path else ""
    scores: dict[ValuesPath, int] = {}
    for path, value in _parts(values):
        quoted = isinstance(value, str) and len(value) > 1 and value in found.text
        scores[path] = 2 * quoted + (str(path[-1]) == last)
    likely = max(scores, key=lambda path: (scores[path], -len(path)), default=())
    return likely if scores.get(likely) else ()


def _parts(value: Any, path: ValuesPath = ()) -> Iterator[tuple[ValuesPath, Any]]:
    """What can be taken away, with the path to it."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        if path[:1] == ("extraObjects",) and len(path) == 2 and step in NEEDED:
            continue
        yield (*path, step), inner
        yield from _parts(inner, (*path, step))


def _children(values: Any, path: ValuesPath) -> list[ValuesPath]:
    """Return the parts right below a path."""
    for step in path:
        values = values[step]
    return [inner for inner, _ in _parts(values, path) if len(inner) == len(path) + 1]


def _without(value: Any, removed: Collection[ValuesPath], path: ValuesPath = ()) -> Any:
    """Return values that lack some of their parts."""
    if isinstance(value, Mapping):
        kept = {step: inner for step, inner in value.items() if (*path, step) not in removed}
        return {step: _without(inner, removed, (*path, step)) for step, inner in kept.items()}
    if isinstance(value, list):
        places = [(*path, index) for index in range(len(value))]
        return [_without(inner, removed, at) for inner, at in zip(value, places, strict=True) if at not in removed]
    return value
