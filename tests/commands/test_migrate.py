"""`make migrate`: manifests become values that say the same, and everything that they can't say is told."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lib.command_line import vllm_chart
from vllm_chart import values_file
from vllm_chart.chart import CHART, DATA, app_version
from vllm_chart.check import checker
from vllm_chart.check.checker import Problem
from vllm_chart.errors import InputError
from vllm_chart.invariants import vllm_arguments
from vllm_chart.migrate import command as migrate_command
from vllm_chart.migrate import convert, manifests, report, vllm_command
from vllm_chart.migrate.part import Migration
from vllm_chart.render import go_yaml

MANIFESTS = Path(__file__).parent / "manifests"
NAMES = sorted(path.stem for path in MANIFESTS.glob("*.yaml") if not path.stem.endswith(".expected"))
VERSION = app_version()
OPENAI = "vllm.entrypoints.openai.api_server"


@functools.cache
def migrated(name: str) -> tuple[Migration, list[report.Row], Sequence[Problem]]:
    path = MANIFESTS / f"{name}.yaml"
    objects = manifests.read_objects([path])
    return convert.migrate(objects, manifests.only_server(objects, [path]))


def deployment(**container: Any) -> dict[str, Any]:
    """A Deployment called llm with one container."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "llm"},
        "spec": {
            "selector": {"matchLabels": {"app": "llm"}},
            "template": {
                "metadata": {"labels": {"app": "llm"}},
                "spec": {
                    "containers": [
                        {
                            "name": "vllm",
                            "image": f"vllm/vllm-openai:v{VERSION}",
                            "resources": {"limits": {"cpu": 4, "memory": "16Gi", "nvidia.com/gpu": 1}},
                            **container,
                        }
                    ]
                },
            },
        },
    }


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8000}]
    whole = {"selector": {"app": "llm"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "llm"}, "spec": whole}


def of(*objects: dict[str, Any]) -> tuple[Migration, list[report.Row], Sequence[Problem]]:
    bodies = [{"spec": {}, **body} for body in objects]
    return convert.migrate(list(bodies), manifests.only_server(list(bodies), [Path("a.yaml")]))


@pytest.mark.parametrize("name", NAMES)
def test_manifests_become_the_values_that_a_person_would_write(name: str) -> None:
    expected = go_yaml.load((MANIFESTS / f"{name}.expected.yaml").read_text(encoding="utf-8"))
    assert migrated(name)[0].values == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_takes_the_values_and_says_what_the_manifests_said(name: str) -> None:
    _, rows, problems = migrated(name)
    assert not problems
    assert [row for row in rows if row.open] == []
    same = {row.subject for row in rows if row.before == row.after}
    assert {"container port", "Service type", "Service port", "Service target", "replicas"} <= same
    assert {"limits.nvidia.com/gpu"} <= same


@pytest.mark.parametrize("name", NAMES)
def test_make_check_finds_nothing_in_the_file(name: str, tmp_path: Path, terminal: Any) -> None:
    target = tmp_path / "values.yaml"
    terminal(str(MANIFESTS / f"{name}.yaml"), str(target))
    assert checker.check([target]).problems == ()


def test_a_difference_that_nothing_accounts_for_is_shown_as_one() -> None:
    before, after = {"model": "a/b", "--seed": "1", "--swap-space": "4"}, {"model": "a/b", "--seed": "2"}
    rows = report.rows(before, after, {"--swap-space": "dropped, see below"})
    assert [row.subject for row in rows if row.open] == ["--seed"]
    lines = report.table(rows).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["same", "DIFFERS", "below"]


@pytest.mark.parametrize(
    ("name", "subject", "words"),
    [
        ("single-gpu-old", "--swap-space", "kv-offloading-size"),
        ("single-gpu-old", "--quantization-param-path", "kv-cache-dtype"),
        ("single-gpu-old", "--max-concurrent-requests", "server.maxConcurrentRequests is 100"),
        ("single-gpu-old", "--enable-chunked-prefill", 'refuses the word "true"'),
        ("single-gpu-old", "--host", "every address"),
        ("single-gpu-old", "--api-key", "server.apiKey.keys"),
        ("single-gpu-old", "env VLLM_USE_V1", "one engine only"),
        ("single-gpu-old", "env API_KEY", "part of the command"),
        ("single-gpu-old", "readinessProbe, livenessProbe", "yours gave up after 150 s"),
        ("single-gpu-old", "postStart", "warmup"),
        ("single-gpu-old", "Ingress vllm.example.com", "server.rootPath"),
        ("single-gpu-old", "autoscaling metric", "prometheus-adapter"),
        ("single-gpu", "preStop", "20 s"),
        ("single-gpu", "/root/.cache/huggingface", "claim hf-cache is cache.model"),
        ("two-gpus-old", "limits.memory", "cpu-offload-gb 8"),
        ("two-gpus-old", "command", "pip install hf_transfer"),
        ("two-gpus-old", "--num-scheduler-steps", "leave it out"),
        ("two-gpus-old", "Service type", "every path of vLLM"),
        ("two-gpus", "Secret llama-api-key", "kubectl create secret"),
        ("two-gpus", "env VLLM_ATTENTION_BACKEND", "attention-backend"),
        ("two-gpus", "ConfigMap llama-templates", "no"),
    ],
)
def test_what_changed_is_told_with_the_reason(name: str, subject: str, words: str) -> None:
    notes = [note for notes in migrated(name)[0].notes.values() for note in notes]
    assert [note for note in notes if note.startswith(f"{subject}: ") and words in note]


#: Values of owned flags that are no number.
FITTING = {
    "lora-modules": "sql=team/sql",
    "otlp-traces-endpoint": "http://collector:4317",
    "log-level": "ERROR",
    "root-path": "/llm",
    "revision": "main",
    "task": "embed",
    "speculative-model": "a/draft",
}


@pytest.mark.parametrize("which", ["owned", "removed"])
def test_every_flag_that_the_chart_sets_or_vllm_lost_is_spoken_of(which: str) -> None:
    names = set(go_yaml.load((DATA / "flags.yaml").read_text(encoding="utf-8"))[which])
    flags = {name: vllm_arguments.parser(VERSION).flag(f"--{name}") for name in sorted(names)}
    switches = {name for name, flag in flags.items() if flag and flag.nargs == 0}
    words = [f"--{name}" if name in switches else f"--{name}={FITTING.get(name, '7')}" for name in flags]
    migration, rows, _ = of(deployment(args=["a/b", *words]))
    assert names - {row.subject.removeprefix("--") for row in rows} <= {"config"}  # a file that isn't at hand
    assert [row.subject for row in rows if row.open] == []
    assert not names & migration.values.get("engine", {}).get("args", {}).keys()


# -- spellings of the command


SPELLINGS: dict[str, dict[str, Any]] = {
    "the image's own entrypoint": {"args": ["a/b", "--max-model-len", "4096", "--enforce-eager"]},
    "the old entrypoint": {"args": ["--model", "a/b", "--max-model-len=4096", "--enforce-eager"]},
    "vllm serve": {"command": ["vllm", "serve"], "args": ["a/b", "--max-model-len=4096", "--enforce-eager"]},
    "all of it in args": {"args": ["vllm", "serve", "a/b", "--max-model-len=4096", "--enforce-eager"]},
    "with a path": {"command": ["/opt/venv/bin/vllm", "serve", "a/b", "--max-model-len=4096", "--enforce-eager"]},
    "--model of vllm serve": {"command": ["vllm", "serve", "--model=a/b", "--max-model-len=4096", "--enforce-eager"]},
    "the module": {"command": ["python3", "-m", OPENAI, "--model=a/b", "--max-model-len=4096", "--enforce-eager"]},
    "the module, unbuffered": {
        "command": ["python", "-u", "-m", OPENAI],
        "args": ["--model", "a/b", "--max-model-len", "4096", "--enforce-eager"],
    },
    "the command line's module": {
        "command": ["python3", "-m", "vllm.entrypoints.cli.main", "serve", "a/b", "--max-model-len=4096"],
        "args": ["--enforce-eager"],
    },
    "underscores": {"args": ["a/b", "--max_model_len=4096", "--enforce_eager"]},
    "a beginning of a flag": {"args": ["a/b", "--max-model=4096", "--enforce-e"]},
    "a shell": {"command": ["sh", "-c", "vllm serve a/b --max-model-len 4096 --enforce-eager"]},
    "a shell with flags": {
        "command": ["/bin/bash", "-lc"],
        "args": ["exec vllm serve a/b --max-model-len=4096 --enforce-eager"],
    },
    "a script": {
        "command": [
            "bash",
            "-ec",
            "set -x\nvllm serve \\\n  a/b \\\n  --max-model-len=4096 --enforce-eager > /dev/null\n",
        ]
    },
    "variables of a shell": {
        "command": ["sh", "-c", "LEN=4096 vllm serve ${MODEL} --max-model-len $LEN --enforce-eager"],
        "env": [{"name": "MODEL", "value": "a/b"}],
    },
    "variables of Kubernetes": {
        "args": ["$(MODEL)", "--max-model-len=$(LEN)", "--enforce-eager"],
        "env": [{"name": "MODEL", "value": "a/b"}, {"name": "LEN", "value": "4096"}],
    },
    "a word behind a switch": {"args": ["a/b", "--max-model-len=4096", "--enforce-eager", "True"]},
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_every_spelling_of_the_command_is_read(how: str) -> None:
    start = vllm_command.read({"image": "vllm/vllm-openai:v0.9", **SPELLINGS[how]}, VERSION)
    assert start is not None
    assert (start.model, start.flags, start.absent) == ("a/b", {"max-model-len": 4096, "enforce-eager": True}, {})


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["-tp", "2", "-pp=1"], {"tensor-parallel-size": 2, "pipeline-parallel-size": 1}),
        (["--no-enable-prefix-caching"], {"enable-prefix-caching": False}),
        (["--enable-prefix-caching=false"], {"enable-prefix-caching": False}),
        (["--served-model-name", "a", "b", "--seed", "1"], {"served-model-name": ["a", "b"], "seed": 1}),
        (["--middleware=a.b", "--middleware", "c.d"], {"middleware": ["a.b", "c.d"]}),
        (["--speculative-config.method", "ngram"], {"speculative-config": {"method": "ngram"}}),
        (["--hf-overrides", '{"a": 1}'], {"hf-overrides": {"a": 1}}),
        (["--max-model-len", "32k"], {"max-model-len": "32k"}),
        (["--gpu-memory-utilization", "0.90"], {"gpu-memory-utilization": 0.9}),
        (["--tokenizer-revision", "1.0"], {"tokenizer-revision": "1.0"}),
        (["--seed", "1", "--seed", "2"], {"seed": 2}),
        (["--allowed-origins", '["https://a.example"]'], {"allowed-origins": ["https://a.example"]}),
    ],
)
def test_a_flag_is_read_as_vllm_reads_it(words: list[str], flags: dict[str, Any]) -> None:
    start = vllm_command.read({"image": "vllm/vllm-openai", "args": ["a/b", *words]}, VERSION)
    assert start is not None
    assert start.flags == flags


@pytest.mark.parametrize(
    "container",
    [
        {"image": "nginx:1.27"},
        {"image": "vllm/vllm-openai", "command": ["sleep", "1"]},
        {"image": "vllm/vllm-openai", "command": ["vllm", "bench", "serve"]},
        {"image": "x", "command": ["python3", "-m", "http.server"]},
        {"image": "x", "command": ["sh", "-c", "ray start --head"]},
    ],
)
def test_another_program_is_no_server(container: dict[str, Any]) -> None:
    assert vllm_command.read(container, VERSION) is None


# -- secrets


def test_no_secret_of_the_manifests_reaches_the_file_or_the_terminal(tmp_path: Path, terminal: Any) -> None:
    text = (MANIFESTS / "two-gpus.yaml").read_text(encoding="utf-8")
    secrets = ("hf_abcdefghijklmnop", "sk-very-secret-key", "not-for-anyones-eyes")
    assert all(secret in text for secret in secrets)
    target = tmp_path / "new.yaml"
    code, output = terminal(str(MANIFESTS / "two-gpus.yaml"), str(target))
    assert code == 0
    for secret in secrets:
        assert secret not in target.read_text(encoding="utf-8") + output
    assert "existingSecret: llama-api-key" in target.read_text(encoding="utf-8")


def test_a_secret_in_a_script_is_not_shown() -> None:
    script = "huggingface-cli login --token hf_abcdefghijkl && vllm serve a/b --api-key $KEY"
    migration, rows, problems = of(
        deployment(command=["sh", "-c", script], env=[{"name": "KEY", "value": "my-own-key-of-old"}])
    )
    done = migrate_command.Migrated(Path("values.yaml"), CHART, migration, rows, problems)
    shown = "\n".join(migrate_command.lines(done))
    assert "login --token ***" in shown
    assert "my-own-key-of-old" not in shown
    assert migration.values["server"]["apiKey"]["keys"]["main"] == {"existingSecret": "llm-api-key", "key": "key"}


# -- parts beside the article's


def test_flags_of_a_config_file_are_read_from_its_configmap() -> None:
    config = {"model": "a/b", "max-model-len": 4096, "enable-prefix-caching": False}
    config |= {"served-model-name": ["first", "second"]}
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"v.yaml": yaml.dump(config)},
    }
    server = deployment(
        command=["vllm", "serve", "--config", "/etc/c/v.yaml", "--max-model-len=8192"],
        volumeMounts=[{"name": "c", "mountPath": "/etc/c"}],
    )
    server["spec"]["template"]["spec"]["volumes"] = [{"name": "c", "configMap": {"name": "c"}}]
    values = of(server, settings)[0].values
    assert values["model"] == {"uri": "hf://a/b", "name": "first", "aliases": ["second"]}
    assert values["engine"] == {"args": {"max-model-len": 8192, "enable-prefix-caching": False}}
    assert "extraVolumes" not in values


def test_a_variable_whose_value_is_elsewhere_stays_where_a_flag_names_it() -> None:
    source = {"configMapKeyRef": {"name": "sizes", "key": "len"}}
    server = deployment(args=["a/b", "--max-model-len=$(LEN)"], env=[{"name": "LEN", "valueFrom": source}])
    engine = of(server)[0].values["engine"]
    assert engine == {"args": {"max-model-len": "$(LEN)"}, "env": {"LEN": {"valueFrom": source}}}


@pytest.mark.parametrize(
    ("volume", "mount", "path", "uri", "kept"),
    [
        ({"persistentVolumeClaim": {"claimName": "c"}}, {"mountPath": "/m"}, "/m/llama", "pvc://c/llama", False),
        ({"persistentVolumeClaim": {"claimName": "c"}}, {"mountPath": "/m", "subPath": "a"}, "/m", "pvc://c/a", False),
        ({"image": {"reference": "r.example/m:1"}}, {"mountPath": "/m"}, "/m", "oci://r.example/m:1", False),
        ({"hostPath": {"path": "/srv"}}, {"mountPath": "/m"}, "/m/llama", "file:///m/llama", True),
        ({"nfs": {"server": "n", "path": "/"}}, {"mountPath": "/m"}, "/m/llama", "file:///m/llama", True),
        ({}, {}, "/opt/llama", "file:///opt/llama", False),
        ({}, {}, "s3://bucket/llama", "s3://bucket/llama", False),
    ],
)
def test_a_model_is_found_where_its_volume_has_it(
    volume: dict[str, Any], mount: dict[str, str], path: str, uri: str, kept: bool
) -> None:
    server = deployment(args=[path], volumeMounts=[{"name": "v", **mount}] if mount else [])
    server["spec"]["template"]["spec"]["volumes"] = [{"name": "v", **volume}] if volume else []
    migration, rows, _ = of(server)
    assert migration.values["model"]["uri"] == uri
    assert ("extraVolumes" in migration.values) is kept
    assert not [row for row in rows if row.open]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ({"type": "Pods", "pods": {"metric": {"name": "vllm:num_requests_running"}, "target": {"averageValue": "20"}}},
         {"metric": "running", "metricType": "Pods", "targetPerReplica": 20}),
        ({"type": "Pods", "pods": {"metric": {"name": "vllm_kv_cache_usage"}, "target": {"averageValue": "800m"}}},
         {"metric": "kvCache", "metricType": "Pods", "targetPerReplica": 0.8}),
        ({"type": "External", "external": {"metricName": "queue_size", "targetAverageValue": 5}},
         {"metric": "waiting", "metricType": "External", "targetPerReplica": 5}),
        ({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 60}}},
         {"metric": "cpu", "targetPerReplica": 60}),
    ],
)  # fmt: skip
def test_an_hpa_follows_what_it_followed(metric: dict[str, Any], expected: dict[str, Any]) -> None:
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "llm"}, "maxReplicas": 3, "metrics": [metric]},
    }
    server = deployment(args=["a/b"])
    server["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] = {"cpu": 4}
    migration, rows, problems = of(server, service(), scaler)
    assert migration.values["autoscaling"]["hpa"] == {"enabled": True, "minReplicas": 1, "maxReplicas": 3, **expected}
    assert not problems
    assert not [row for row in rows if row.open]


@pytest.mark.parametrize(
    ("asked", "devices", "expected"),
    [
        ({"amd.com/gpu": 1}, "1", {"type": "amd"}),
        ({"nvidia.com/mig-3g.40gb": 1}, "1", {"resourceName": "nvidia.com/mig-3g.40gb"}),
        ({"nvidia.com/gpu": 2}, "2", {"perPod": 2}),
    ],
)
def test_devices_stay_what_they_are(asked: dict[str, int], devices: str, expected: dict[str, Any]) -> None:
    migration, rows, _ = of(deployment(args=["a/b"], resources={"limits": {"memory": "16Gi", **asked}}))
    assert migration.values["accelerator"] == expected
    assert [row.after for row in rows if row.subject.startswith("limits.") and "/" in row.subject] == [devices]


def test_a_server_without_devices_runs_on_cpu_where_its_image_does() -> None:
    image = f"vllm/vllm-openai-cpu:v{VERSION}"
    migration, _, problems = of(deployment(args=["a/b"], image=image, resources={"limits": {"memory": "16Gi"}}))
    assert migration.values["accelerator"] == {"type": "cpu"}
    assert not problems


def test_what_is_null_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    source = tmp_path / "d.yaml"
    source.write_text(yaml.dump(deployment(args=["a/b"], env=[None], lifecycle=None, ports=None)))
    assert manifests.read_objects([source]) == [{"spec": {}, **deployment(args=["a/b"], env=[])}]


def test_another_image_keeps_its_name() -> None:
    for image, expected in (
        ("r.example/team/vllm:v1", {"registry": "r.example", "repository": "team/vllm", "tag": "v1"}),
        ("team/vllm:latest", {"registry": "docker.io", "repository": "team/vllm"}),
    ):
        assert of(deployment(args=["a/b"], command=["vllm", "serve"], image=image))[0].values["image"] == expected


def test_what_the_chart_has_no_place_for_is_told() -> None:
    server = deployment(args=["a/b", "--no-such-flag", "x"])
    server["spec"]["template"]["spec"] |= {"hostIPC": True}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": {}}
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "unused"}}
    migration, rows, _ = of(server, service(ports=[{"port": 80}, {"port": 9000}]), policy, other)
    lost = " ".join(migration.notes["lost"])
    for words in ("--no-such-flag", "hostIPC", "Service port 9000", "NetworkPolicy p", "Secret unused"):
        assert words in lost
    assert not [row for row in rows if row.open]


def test_what_the_chart_refuses_is_told_and_the_command_fails(tmp_path: Path, terminal: Any) -> None:
    source, target = tmp_path / "d.yaml", tmp_path / "v.yaml"
    source.write_text(yaml.dump(deployment(args=["../model"])))
    code, output = terminal(str(source), str(target))
    assert code == 1
    assert 'model.uri — is "hf://../model" — write hf://' in output
    assert "[check modelUri]" in output
    (problem,) = checker.check([target]).problems
    assert f"  {problem}\n" in output


# -- the file and the command


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command with manifests and a target; gives the exit code, and all that was printed."""

    def call(source: str, target: str) -> tuple[int, str]:
        code, out, errors = vllm_chart(capsys, "migrate", *source.split(","), "--to", target)
        return code, out + errors

    return call


@pytest.mark.parametrize("name", NAMES)
def test_the_file_holds_the_values_and_only_those(name: str, tmp_path: Path, terminal: Any) -> None:
    target = tmp_path / "values.yaml"
    code, output = terminal(str(MANIFESTS / f"{name}.yaml"), str(target))
    assert code == 0
    assert output.endswith(f"wrote {target}; install it with `helm install NAME charts/vllm --values {target}`\n")
    text = target.read_text(encoding="utf-8")
    assert go_yaml.load(text) == migrated(name)[0].values
    assert re.match(r"# yaml-language-server: \$schema=\S+/charts/vllm/editor\.schema\.json\n", text)
    assert max(map(len, text.splitlines()[1:])) <= 120


def test_text_that_helm_would_read_as_something_else_is_quoted() -> None:
    values = {
        "podLabels": {"a": "1e3", "b": "yes", "c": "0o14", "d": "22:22", "e": "plain", "f": "# no", "g": "a\nb\n"}
    }
    text = values_file.to_text(values, "head", {}, Path("values.yaml"))
    assert go_yaml.load(text) == values
    assert "e: plain" in text


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path, terminal: Any) -> None:
    target = tmp_path / "values.yaml"
    target.write_text("mine: true\n")
    code, output = terminal(str(MANIFESTS / "single-gpu.yaml"), str(target))
    assert code == 2
    assert f"{target}: file exists. Name another file with --to" in output
    assert target.read_text() == "mine: true\n"


NGINX = yaml.dump({**deployment(image="nginx:1.27")})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "d.yaml: no such file. Name an existing manifest."),
        ("a: [", "is no YAML"),
        ("a: 1\na: 2\n", "is no YAML: key given twice: a"),
        ("hello", "holds no manifest: each document needs kind and metadata.name"),
        ("", "d.yaml: empty. Name a manifest with content."),
        (NGINX, "runs no vLLM: there is Deployment/llm, but no Deployment whose container starts `vllm serve`"),
        (yaml.dump(service()), "runs no vLLM: there is Service/llm"),
        ("kind: Deployment\nmetadata: {name: a}\nspec: {}\n", "Deployment/a has no spec.template.spec.containers"),
        ("kind: DaemonSet\nmetadata: {name: a}\nspec: {}\n", "DaemonSet/a has no spec.template.spec.containers"),
        (
            "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [null]}}}\n",
            "Deployment/a has no spec.template.spec.containers",
        ),
        (
            f"{yaml.dump(deployment(args=['a/b']))}---\n{yaml.dump(deployment(args=['c/d']))}",
            "runs 2 servers (llm, llm), and one release serves one model: give one at a time",
        ),
    ],
)
def test_bad_manifests_are_refused_in_one_sentence(text: str | None, words: str, tmp_path: Path, terminal: Any) -> None:
    source = tmp_path / "d.yaml"
    if text is not None:
        source.write_text(text)
    code, output = terminal(str(source), str(tmp_path / "values.yaml"))
    assert code == 2
    assert words in output
    assert len(output.strip().splitlines()) == 1
    assert not (tmp_path / "values.yaml").exists()


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"args": ["a/b", "--tensor-parallel-size=$(TP)"]}, "--tensor-parallel-size is $(TP), which is no number here"),
        (
            {"args": ["a/b"], "resources": {"limits": {"nvidia.com/gpu": "two"}}},
            "nvidia.com/gpu of container vllm is two: write a whole number",
        ),
        ({"env": {"A": "b"}}, "Kubernetes refuses Deployment/llm at spec.template.spec.containers.0.env: {'A'"),
        ({"livenessProbe": {"initialDelaySeconds": "1m"}}, "livenessProbe.initialDelaySeconds: '1m' is not of type"),
        (
            {"command": ["sh", "-c", "vllm serve 'a/b"]},
            "d.yaml: cannot be carried over (ValueError: No closing quotation)",
        ),
    ],
)
def test_a_server_that_nothing_can_be_made_of_is_told(
    container: dict[str, Any], words: str, tmp_path: Path, terminal: Any
) -> None:
    source = tmp_path / "d.yaml"
    source.write_text(yaml.dump(deployment(**container)))
    code, output = terminal(str(source), str(tmp_path / "values.yaml"))
    assert code == 2
    assert words in output
    assert len(output.strip().splitlines()) == 1


def test_manifests_without_a_server_are_rejected() -> None:
    with pytest.raises(InputError, match="runs no vLLM"):
        manifests.only_server([], [Path("a.yaml")])
