"""What an invariant reports: one sentence for each thing that is wrong, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vllm_chart.render.objects import Manifest, Step


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an object."""

    manifest: Manifest
    path: tuple[Step, ...]
    text: str

    def __str__(self) -> str:
        path = ".".join(map(str, self.path)) or "the object"
        return f"{self.manifest} ({self.manifest.source}) at {path}: {self.text}"


def report(findings: Iterable[Finding], command: Sequence[str] | str) -> str:
    """Return a text of all findings and of the command that shows them again; empty where there are none."""
    lines = [f"  {finding}" for finding in findings]
    if not lines:
        return ""
    again = command if isinstance(command, str) else " ".join(command)
    return "\n".join(["", *lines, f"  see it with: {again}"])
