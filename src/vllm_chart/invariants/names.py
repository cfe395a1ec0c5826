"""Checks that Kubernetes takes every name and every label of an object.

Helm takes release names that Kubernetes does not take everywhere: with dots, or with a digit in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_chart.render.findings import Finding
from vllm_chart.render.objects import TEMPLATES, Manifest, Objects, Step

#: Longest name that fits a label, which some objects' names become.
LONGEST = 63

#: Longest name of what makes a StatefulSet for each of up to a thousand groups: its pods get a label of that name, the
#: number of the group, and a hash of up to ten digits.
LONGEST_GROUP = LONGEST - len("-999") - len("-0123456789")

_DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")

#: Kinds whose name is a DNS label (RFC 1035); newer minors take a digit in front, the oldest doesn't.
_DNS_LABEL_KINDS = {"Service", "LeaderWorkerSet"}


def findings(objects: Objects) -> list[Finding]:
    """Every name and label value that an API server refuses, or that is too long to become a label."""
    return [finding for manifest in objects for finding in _of(manifest)]


def _of(manifest: Manifest) -> Iterator[Finding]:
    label = manifest.kind in _DNS_LABEL_KINDS
    longest = LONGEST_GROUP if manifest.kind == "LeaderWorkerSet" else LONGEST
    pattern, words = (_DNS_LABEL, "DNS label (RFC 1035)") if label else (_DNS_SUBDOMAIN, "DNS name (RFC 1123)")
    if not pattern.fullmatch(manifest.name) or len(manifest.name) > longest:
        yield Finding(manifest, ("metadata", "name"), f"is no {words} of {longest} characters")
    paths: list[tuple[Step, ...]] = [("metadata",)]
    paths += [(*path, "metadata") for path in TEMPLATES.get(manifest.kind, {}) if path]
    for path in paths:
        for key, value in manifest.at(*path).get("labels", {}).items():
            if not _LABEL_VALUE.fullmatch(value) or len(value) > LONGEST:
                yield Finding(manifest, (*path, "labels", key), f"{value} is no value of a label")
