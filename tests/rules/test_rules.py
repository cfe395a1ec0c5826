"""Prometheus' own promtool takes the scrape configuration and the rules, and alerts fire when they must and only then.

`make test-rules` runs it, with promtool.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import go_yaml, helm, promql

from scripts.common import app_version

CASES: dict[str, Any] = go_yaml.load((Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"))
PARTS = [
    (name, kind, index)
    for name, case in CASES.items()
    for kind in ("fires", "silent")
    for index in range(len(case[kind]))
]

#: Two servers, as a scrape and kube-state-metrics label them.
LABELS = {
    "$one": 'namespace="models",pod="test-7d9f8b6c54-aaaaa"',
    "$two": 'namespace="models",pod="test-7d9f8b6c54-bbbbb"',
    "$deployment": 'namespace="models",deployment="test",job="kube-state-metrics"',
}


def alerts() -> dict[str, list[dict[str, Any]]]:
    """The alert rules by name, as the chart renders them with everything on."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _, rule in promql.rules(_rendered()):
        if "alert" in rule:
            found.setdefault(rule["alert"], []).append(rule)
    return found


def _rendered() -> Any:
    return helm.render({"metrics": {"rules": {"enabled": True, "dcgm": True, "kind": "ConfigMap"}}}).objects


@pytest.fixture(scope="session")
def rule_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as a file of Prometheus."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(_rendered().one("ConfigMap", "test-rules").at("data", "test.yaml"), encoding="utf-8")
    return path


def promtool(*arguments: str | Path) -> tuple[int, str]:
    """Exit code of promtool and all that it prints."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_prometheus_takes_the_rules(rule_file: Path) -> None:
    code, text = promtool("check", "rules", "--lint=all", "--lint-fatal", rule_file)
    assert code == 0, text
    assert "rules found" in text


@pytest.mark.parametrize("tls", [{}, {"existingSecret": "tls"}, {"existingSecret": "tls", "caKey": "ca.crt"}])
def test_prometheus_takes_the_scrape_configuration(tls: dict[str, str], tmp_path: Path) -> None:
    values = {"metrics": {"scrapeConfig": {"enabled": True, "interval": "15s"}}, "server": {"tls": tls}}
    path = tmp_path / "prometheus.yaml"
    text = helm.render(values).objects.one("ConfigMap", "test-scrape-config").at("data", "test.yaml")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    # Debian's build knows no discovery of pods
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["models"]}}]
    path.write_text(yaml.safe_dump({"scrape_configs": [job]}), encoding="utf-8")
    code, said = promtool("check", "config", "--syntax-only", path)
    assert code == 0, said


def test_every_alert_has_cases_in_which_it_fires_and_in_which_it_is_silent() -> None:
    assert set(CASES) == set(alerts())
    for name, case in CASES.items():
        assert case["fires"], name
        assert case["silent"], name
        expected = {alert.get("severity") for part in case["fires"] for alert in part["alerts"]}
        assert expected in ({rule["labels"]["severity"] for rule in alerts()[name]}, {None}), name


@pytest.mark.parametrize(("name", "kind", "index"), PARTS, ids=[f"{n}-{k}-{i}" for n, k, i in PARTS])
def test_an_alert_fires_when_it_must_and_is_silent_when_it_must_not(
    name: str, kind: str, index: int, rule_file: Path, tmp_path: Path
) -> None:
    case = CASES[name][kind][index]
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(unit_test(name, case, rule_file)), encoding="utf-8")
    code, text = promtool("test", "rules", path)
    assert code == 0, f"{case.get('why', 'it must fire')}\n{text}"


def test_a_unit_test_fails_where_the_alert_does_otherwise(rule_file: Path, tmp_path: Path) -> None:
    case = CASES["VllmKvCacheFull"]["fires"][0]
    for wrong in ({**case, "alerts": []}, {**case, "alerts": [{**case["alerts"][0], "value": "94%"}]}):
        path = tmp_path / "test.yaml"
        path.write_text(yaml.safe_dump(unit_test("VllmKvCacheFull", wrong, rule_file)), encoding="utf-8")
        assert promtool("test", "rules", path)[0] != 0


def unit_test(name: str, case: dict[str, Any], rule_file: Path) -> dict[str, Any]:
    """Return a file for `promtool test rules`, with what the rules themselves say of an alert."""
    every = case.get("every", "1m")
    rules = {rule["labels"]["severity"]: rule for rule in alerts()[name]}
    expected = [
        expected_alert(rules[alert.get("severity", next(iter(rules)))], alert) for alert in case.get("alerts", [])
    ]
    return {
        "rule_files": [str(rule_file)],
        "evaluation_interval": every,
        "tests": [
            {
                "interval": every,
                "input_series": [
                    {"series": filled(series), "values": values} for series, values in case["series"].items()
                ],
                "alert_rule_test": [{"eval_time": case["at"], "alertname": name, "exp_alerts": expected}],
            }
        ],
    }


def expected_alert(rule: dict[str, Any], alert: dict[str, Any]) -> dict[str, Any]:
    """Return one alert as promtool expects it: labels and annotations of the rule, with the case's own filled in."""
    labels = {**alert.get("labels", {}), **rule["labels"]}
    annotations = dict(rule["annotations"])
    text = annotations["description"]
    for label, value in labels.items():
        text = text.replace(f"{{{{ $labels.{label} }}}}", value)
    for form in ("{{ $value }}", "{{ $value | humanize }}", "{{ $value | humanizePercentage }}"):
        text = text.replace(form, str(alert.get("value")))
    return {"exp_labels": labels, "exp_annotations": {**annotations, "description": text}}


def filled(series: str) -> str:
    """Return a series with the labels that its placeholders stand for."""
    for name, labels in LABELS.items():
        series = series.replace(name, labels)
    return series


def test_the_cases_use_only_series_that_exist() -> None:
    known = promql.known_metrics(app_version())
    for case in CASES.values():
        for part in (*case["fires"], *case["silent"]):
            for series in part["series"]:
                assert not promql.problems(filled(series), known), json.dumps(part)


def test_no_value_is_read_as_a_hexadecimal_number() -> None:
    text = (Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8")
    assert not re.findall(r": .*(?<![+\d])0x\d.*", re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
