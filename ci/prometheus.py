"""Asks a Prometheus."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import httpx

from vllm_chart.errors import UserError


@dataclass(frozen=True)
class Series:
    """One series of an answer.

    Attributes:
        labels: its labels, the name as `__name__`.
        points: seconds since 1970 and values, oldest first.
    """

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]

    def has_data(self) -> bool:
        """Return whether any value is a number."""
        return any(math.isfinite(value) for _, value in self.points)


class Prometheus:
    """Prometheus' HTTP API.

    Args:
        url: without a path.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **parameters: str | float) -> Any:
        """The `data` of an answer; raises UserError with Prometheus' own words where it refuses."""
        answer = httpx.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=30).json()
        if answer["status"] != "success":
            raise UserError(f"Prometheus refuses {parameters or path}: {answer['error']}")
        return answer["data"]

    def query(self, expression: str) -> list[Series]:
        """The series of an expression now, each with one point."""
        found = self.ask("query", query=expression)["result"]
        return [Series(item["metric"], ((float(item["value"][0]), float(item["value"][1])),)) for item in found]

    def value(self, expression: str) -> float:
        """The value of an expression that has one series at most; not a number where it has none."""
        values = [series.value for series in self.query(expression)]
        assert len(values) <= 1, f"{len(values)} series: {expression}"
        return values[0] if values else math.nan

    def query_range(self, expression: str, seconds: float, step: float = 5) -> list[Series]:
        """The series of an expression over the last seconds."""
        now = time.time()
        found = self.ask("query_range", query=expression, start=now - seconds, end=now, step=step)["result"]
        return [Series(item["metric"], tuple((float(t), float(v)) for t, v in item["values"])) for item in found]
