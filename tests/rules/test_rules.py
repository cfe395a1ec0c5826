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

from scripts.generate import dashboard
from vllm_chart.chart import app_version
from vllm_chart.invariants import promql
from vllm_chart.render import go_yaml, helm

HERE = Path(__file__).parent
CASES: dict[str, Any] = go_yaml.load((HERE / "cases.yaml").read_text(encoding="utf-8"))
RECORDS: dict[str, Any] = go_yaml.load((HERE / "records.yaml").read_text(encoding="utf-8"))
PARTS = [
    (name, kind, index)
    for name, case in CASES.items()
    for kind in ("fires", "silent")
    for index in range(len(case[kind]))
]
READINGS = [(name, index) for name, cases in RECORDS.items() for index in range(len(cases))]

#: Two servers and a group, as a scrape, kube-state-metrics and the DCGM exporter label them.
LABELS = {
    "$one": 'namespace="models",pod="test-7d9f8b6c54-aaaaa"',
    "$two": 'namespace="models",pod="test-7d9f8b6c54-bbbbb"',
    "$deployment": 'namespace="models",deployment="test",job="kube-state-metrics"',
    "$leader": 'namespace="models",pod="test-0"',
    "$worker": 'namespace="models",pod="test-0-1"',
    "$statefulset": 'namespace="models",statefulset="test",job="kube-state-metrics"',
}
GROUP = {"parallelism": {"nodes": 2, "tensor": 2}}


def alerts(group: bool = False) -> dict[str, list[dict[str, Any]]]:
    """The alert rules by name, as the chart renders them with everything on."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _, rule in promql.rules(_rendered(group)):
        if "alert" in rule:
            found.setdefault(rule["alert"], []).append(rule)
    return found


def _rendered(group: bool) -> Any:
    values = {"metrics": {"rules": {"enabled": True, "dcgm": True, "kind": "ConfigMap"}}}
    return helm.render(values | (GROUP if group else {})).objects


@pytest.fixture(scope="session")
def rule_files(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The rules as a file of Prometheus, and those of a group."""
    folder = tmp_path_factory.mktemp("rules")
    files = {False: folder / "rules.yaml", True: folder / "group.yaml"}
    for group, path in files.items():
        text = _rendered(group).one("ConfigMap", "test-rules").at("data", "test.yaml")
        path.write_text(text, encoding="utf-8")
    return files


def promtool(*arguments: str | Path) -> tuple[int, str]:
    """Exit code of promtool and all that it prints."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("group", [False, True])
def test_prometheus_takes_the_rules(group: bool, rule_files: dict[bool, Path]) -> None:
    code, text = promtool("check", "rules", "--lint=all", "--lint-fatal", rule_files[group])
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


def test_firing_cases_cover_each_severity_of_an_alert() -> None:
    for name, case in CASES.items():
        expected = {alert.get("severity") for part in case["fires"] for alert in part["alerts"]}
        assert expected in ({rule["labels"]["severity"] for rule in alerts()[name]}, {None}), name


@pytest.mark.parametrize(("name", "kind", "index"), PARTS, ids=[f"{n}-{k}-{i}" for n, k, i in PARTS])
def test_an_alert_fires_when_it_must_and_is_silent_when_it_must_not(
    name: str, kind: str, index: int, rule_files: dict[bool, Path], tmp_path: Path
) -> None:
    case = CASES[name][kind][index]
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(unit_test(name, case, rule_files)), encoding="utf-8")
    code, text = promtool("test", "rules", path)
    assert code == 0, f"{case.get('why', 'it must fire')}\n{text}"


@pytest.mark.parametrize(("name", "index"), READINGS, ids=[f"{n}-{i}" for n, i in READINGS])
def test_what_is_recorded_has_the_value_that_it_must_have(
    name: str, index: int, rule_files: dict[bool, Path], tmp_path: Path
) -> None:
    case = RECORDS[name][index]
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(reading(name, case, rule_files)), encoding="utf-8")
    code, text = promtool("test", "rules", path)
    assert code == 0, f"{case['why']}\n{text}"


def test_every_record_that_no_alert_reads_has_cases() -> None:
    records = {rule["record"]: rule for _, rule in promql.rules(_rendered(False)) if "record" in rule}
    read = {
        selector.name for rules in alerts().values() for rule in rules for selector in promql.selectors(rule["expr"])
    }
    assert records.keys() - read <= RECORDS.keys() <= records.keys()


@pytest.mark.parametrize("status", ["4xx", "5xx"])
def test_the_dashboards_share_of_errors_is_0_while_no_request_has_failed(status: str, tmp_path: Path) -> None:
    chosen = {"namespace": "models", "pod": "(test-7d9f8b6c54-aaaaa|test-7d9f8b6c54-bbbbb)"}
    query = dashboard.filled(dashboard.share(status), chosen)
    up, good, bad = ("up{$one}", *(f'http_requests_total{{$one,status="{s}"}}' for s in ("2xx", status)))
    for series, values in (
        ({up: "1x30"}, [0]),
        ({up: "1x30", good: "0+60x30"}, [0]),
        ({up: "1x30", good: "0+45x30", bad: "0+15x30"}, [0.25]),
        ({up: "0+0x30"}, []),
    ):
        asked = {"expr": query, "eval_time": "15m", "exp_samples": [{"labels": "{}", "value": v} for v in values]}
        path = tmp_path / "test.yaml"
        path.write_text(yaml.safe_dump(scenario(series, "30s", promql_expr_test=[asked])), encoding="utf-8")
        code, text = promtool("test", "rules", path)
        assert code == 0, text


def test_a_unit_test_fails_where_the_alert_does_otherwise(rule_files: dict[bool, Path], tmp_path: Path) -> None:
    case = CASES["VllmKvCacheFull"]["fires"][0]
    for wrong in ({**case, "alerts": []}, {**case, "alerts": [{**case["alerts"][0], "value": "94%"}]}):
        path = tmp_path / "test.yaml"
        path.write_text(yaml.safe_dump(unit_test("VllmKvCacheFull", wrong, rule_files)), encoding="utf-8")
        assert promtool("test", "rules", path)[0] != 0


def unit_test(name: str, case: dict[str, Any], rule_files: dict[bool, Path]) -> dict[str, Any]:
    """Return a file for `promtool test rules`, with what the rules themselves say of an alert."""
    group = case.get("group", False)
    rules = {rule["labels"]["severity"]: rule for rule in alerts(group)[name]}
    expected = [
        expected_alert(rules[alert.get("severity", next(iter(rules)))], alert) for alert in case.get("alerts", [])
    ]
    asked = {"eval_time": case["at"], "alertname": name, "exp_alerts": expected}
    return scenario(case["series"], case.get("every", "1m"), rule_files[group], alert_rule_test=[asked])


def reading(name: str, case: dict[str, Any], rule_files: dict[bool, Path]) -> dict[str, Any]:
    """Return a file for `promtool test rules` that asks what is recorded."""
    expected = []
    for sample in case["is"]:
        labels = {"namespace": "models", "release": "test", **sample.get("labels", {})}
        inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
        expected.append({"labels": f"{name}{{{inside}}}", "value": sample["value"]})
    asked = {"expr": name, "eval_time": case["at"], "exp_samples": expected}
    return scenario(case["series"], "1m", rule_files[case.get("group", False)], promql_expr_test=[asked])


def scenario(series: dict[str, str], every: str, *rule_files: Path, **asked: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a file for `promtool test rules`: series as they are scraped, rules, and what is asked of both."""
    given = [{"series": filled(name), "values": values} for name, values in series.items()]
    return {
        "rule_files": [str(path) for path in rule_files],
        "evaluation_interval": every,
        "tests": [{"interval": every, "input_series": given, **asked}],
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
    parts = [part for case in CASES.values() for part in (*case["fires"], *case["silent"])]
    for part in [*parts, *(part for cases in RECORDS.values() for part in cases)]:
        for series in part["series"]:
            assert not promql.problems(filled(series), known), json.dumps(part)


@pytest.mark.parametrize("file", ["cases.yaml", "records.yaml"])
def test_no_value_is_read_as_a_hexadecimal_number(file: str) -> None:
    text = (HERE / file).read_text(encoding="utf-8")
    assert not re.findall(r": .*(?<![+\d])0x\d.*", re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
