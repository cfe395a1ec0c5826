"""What a subject of the manifests becomes: values of the chart, and what the report says of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vllm_chart import values_file
from vllm_chart.migrate.manifests import Body
from vllm_chart.values_file import Values

#: Titles of the report's sections, in this order.
HEADS = {
    "chart": "The chart does this itself",
    "changed": "Carried over in another form",
    "lost": "Not carried over",
    "todo": "Before you install",
}

_VERDICTS = {
    "chart": "by the chart",
    "changed": "other form, see below",
    "lost": "dropped, see below",
    "todo": "see below",
}

#: Environment variables whose value is a secret, as in the chart's check literalSecrets.
SECRET_NAME = re.compile(r"(^|_)(TOKEN|PASSWORD|SECRET|API_KEY|ACCESS_KEY)$")
#: A secret by its form, wherever it stands.
SECRET = re.compile(r"\b(hf_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{8,})")


@dataclass
class Part:
    """What one subject of the manifests becomes.

    Attributes:
        values: what differs from the chart's defaults.
        comments: sentences above top-level keys of the values file.
        explained: verdicts for the rows of the comparison, by subject.
        notes: sentences of the report, by section.
        mounts: paths of the server's mounts that a key of the chart replaces.
        secrets: texts that neither the file nor the report may contain.
    """

    values: Values = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)
    explained: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=lambda: {head: [] for head in HEADS})
    mounts: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)

    def add(self, other: Part) -> None:
        """Add what another subject becomes; where both set one value, the other's counts."""
        _merge_values(self.values, other.values)
        for key, sentences in other.comments.items():
            self.comments.setdefault(key, []).extend(sentences)
        self.explained |= other.explained
        for head, notes in other.notes.items():
            self.notes[head] += notes
        self.mounts |= other.mounts
        self.secrets |= other.secrets

    def put(self, *path_and_value: Any) -> None:
        """Set a value; the last argument is the value, those before it the path."""
        *path, value = path_and_value
        values_file.put(self.values, path, value)

    def comment(self, key: str, text: str) -> None:
        """Add a sentence above a top-level key of the values file."""
        self.comments.setdefault(key, []).append(text)

    def note(self, head: str, subject: str, text: str) -> None:
        """Report what became of a subject."""
        self.explained[subject] = _VERDICTS[head]
        self.notes[head].append(f"{subject}: {text}")

    def secret(self, name: str, item: Body | None, literal: str = "") -> dict[str, str]:
        """Return a reference to the Secret that holds a key; for one in plain text, report how to create the Secret.

        Args:
            name: the Secret's name if there is none yet.
            item: the variable that holds the key, if one does.
            literal: the key itself, if it stands in the command.
        """
        source = ((item or {}).get("valueFrom") or {}).get("secretKeyRef")
        if source:
            return {"existingSecret": source["name"], "key": source["key"]}
        self.secrets |= {text for text in (literal, str((item or {}).get("value") or "")) if len(text) > 7}
        self.note(
            "todo",
            f"Secret {name}",
            f"`kubectl create secret generic {name} --from-file=key=/dev/stdin`, for what stands there openly",
        )
        return {"existingSecret": name, "key": "key"}

    def secret_variable(self, server_name: str, variable: Body) -> dict[str, Any]:
        """Return what a variable in plain text is read from once its secret is in a Secret."""
        reference = self.secret(f"{server_name}-{variable['name'].lower().replace('_', '-')}", variable)
        return {"secretKeyRef": {"name": reference["existingSecret"], "key": reference["key"]}}


class Migration(Part):
    """What all manifests of a server become."""

    def hidden(self, text: str) -> str:
        """Return a text without the secrets that the manifests hold in plain text."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return SECRET.sub("***", text)


def merge(parts: Iterable[Part]) -> Migration:
    """Return what the parts make together; where two set one value, the later one counts."""
    whole = Migration()
    for part in parts:
        whole.add(part)
    return whole


def _merge_values(into: Values, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge_values(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


def holds_secret(name: str, text: str) -> bool:
    """Return whether a variable holds a secret in plain text, by its name or by the form of its text."""
    return bool(text) and bool(SECRET_NAME.search(name) or SECRET.search(text))
