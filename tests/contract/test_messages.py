"""What a user reads after a mistake says what is wrong, where, and what to write instead."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.templates import template_files
from tests.contract.conftest import Refuse
from vllm_chart.chart import CHART, app_version
from vllm_chart.render import helm

MINOR = app_version().rpartition(".")[0]

KEDA = {"enabled": True, "serverAddress": "http://prometheus:9090"}

#: A server of two nodes.
GROUP = {"parallelism": {"nodes": 2, "tensor": 2}}

#: Arguments of a server that does all that the chart promises.
ARGS = ["/m", "--middleware=vllm_lifecycle.Lifecycle", "--shutdown-timeout=120"]

#: A server with one key.
KEYED = {"apiKey": {"keys": {"main": {"existingSecret": "s", "key": "k"}}}}


def adapter(name: str, **source: Any) -> dict[str, Any]:
    """Values with one adapter."""
    return {"model": {"lora": {"adapters": {name: source}}}}


#: A mistake for each check, and words that the message must hold.
CHECKS: dict[str, list[tuple[dict[str, Any], tuple[str, ...]]]] = {
    "modelUri": [
        ({"model": {"uri": "https://a.example/b"}}, ("model.uri", "https://a.example/b", "hf://", "oci://", "pvc://")),
        ({"model": {"uri": "hf://a/b@main"}}, ("model.uri", "model.revision")),
        ({"model": {"uri": "pvc://claim/../other"}}, ("model.uri", "pvc://claim/folder")),
        ({"model": {"uri": "s3://bucket"}}, ("model.uri", "s3://bucket/folder")),
        ({"model": {"uri": "file://models"}}, ("model.uri", "file:///folder")),
        (adapter("sql", uri="team/sql"), ("model.lora.adapters.sql.uri", "team/sql", "hf://")),
    ],
    "modelTag": [
        ({"model": {"uri": "oci://r.example:5000/m"}}, ("oci://r.example:5000/m", "tag")),
        ({"model": {"uri": "oci://r.example/m:latest"}}, ("tag other than latest",)),
        (adapter("sql", uri="oci://r.example/sql"), ("model.lora.adapters.sql.uri", "tag")),
    ],
    "modelSource": [
        ({"model": {"uri": "oci://r.example/m:1", "revision": "main"}}, ("model.revision", "model.uri")),
        (
            {"model": {"uri": "oci://r.example/m:1", "credentials": {"existingSecret": "s", "key": "k"}}},
            ("model.credentials", "imagePullSecrets"),
        ),
        (
            {"model": {"uri": "s3://a/b", "credentials": {"existingSecret": "s", "key": "k"}}},
            (
                "model.credentials.key",
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the Secret: name the values so, and leave the key out.",
            ),
        ),
        ({"model": {"uri": "gs://a/b", "credentials": {"existingSecret": "s"}}}, ("model.credentials.key", "key file")),
        ({"model": {"credentials": {"existingSecret": "s"}}}, ("model.credentials.key", "the token")),
        (
            adapter("sql", uri="pvc://c/sql", credentials={"existingSecret": "s", "key": "k"}),
            ("model.lora.adapters.sql.credentials", "is mounted"),
        ),
        (adapter("sql", uri="s3://a/sql", revision="main"), ("model.lora.adapters.sql.revision", "only hf://")),
        ({"model": {"copyFrom": "/models"}}, ("model.copyFrom is", "nothing comes by oci://")),
    ],
    "adapterName": [
        (
            {"model": {"name": "sql", "lora": {"adapters": {"sql": {"uri": "hf://team/sql"}}}}},
            ("model.lora.adapters.sql has the name of the model", "change model.name"),
        ),
        (
            {"model": {"aliases": ["a", "sql"], "lora": {"adapters": {"sql": {"uri": "hf://team/sql"}}}}},
            ("model.lora.adapters.sql has the name of the model", "change model.aliases"),
        ),
    ],
    "imageTag": [
        (
            {"image": {"tag": "latest"}},
            ("docker.io/vllm/vllm-openai:latest", "leave image.tag out, or set it to a version. [check"),
        ),
        ({"podSpec": {"containers": [{"name": "vllm", "image": "mine:latest"}]}}, ("image is mine:latest",)),
        ({"podSpec": {"containers": [{"name": "vllm", "image": "r.example:5000/mine"}]}}, ("r.example:5000/mine",)),
        ({"image": {"tag": "9.8.7"}}, ("image.tag is 9.8.7", "set image.tag to v9.8.7. [check")),
        ({"image": {"tag": "0.30.0"}}, ("image.tag is 0.30.0", "set image.tag to v0.30.0. [check")),
    ],
    "imageVolume": [
        ({"model": {"uri": "oci://r.example/m:1"}}, ("1.34.2", "ImageVolume", "1.35", "model.copyFrom")),
        (adapter("sql", uri="oci://r.example/sql:1"), ("model.lora.adapters.sql.uri",)),
    ],
    "runtimeLora": [
        ({"model": {"lora": {"runtimeUpdates": True}}}, ("model.lora.runtimeUpdates", "set server.apiKey.keys")),
        ({"engine": {"env": {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": True}}}, ("set server.apiKey.keys",)),
        ({"engine": {"env": {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}}}, ("set server.apiKey.keys",)),
        (
            {"model": {"lora": {"runtimeUpdates": True}}, "server": KEYED, "parallelism": {"data": 2}},
            ("2 API servers", "engine.args.api-server-count to 1"),
        ),
    ],
    "multiNode": [
        (
            {"parallelism": {"nodes": 2, "tensor": 3}},
            ("parallelism.nodes is 2", "the 3 devices", "tensor 3 \u00d7 pipeline 1 \u00d7 data 1 / nodes 2"),
        ),
        ({"parallelism": {"nodes": 6, "tensor": 3, "data": 4}}, ("parallelism.data is 4", "parallelism.nodes 6")),
        (
            {"parallelism": {"nodes": 2, "data": 2}, "distributed": {"backend": "ray"}},
            ("parallelism.data is 2", "distributed.backend to mp", "replicas to 2"),
        ),
        (
            {
                "parallelism": {"nodes": 2, "tensor": 2},
                "engine": {"args": {"distributed-executor-backend": "ray"}},
            },
            ("engine.args.distributed-executor-backend is ray", "set distributed.backend"),
        ),
    ],
    "groupStrategy": [
        ({**GROUP, "strategy": {"type": "Recreate"}}, ("strategy.type is Recreate", "leave strategy out")),
        (
            {**GROUP, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
            ("strategy.rollingUpdate.maxUnavailable is 0", "set it to 1, or replicas to 2"),
        ),
    ],
    "leaderWorkerSet": [(GROUP, ("parallelism.nodes is 2", "kubectl apply", "set parallelism.nodes to 1"))],
    "accelerator": [
        ({"accelerator": {"type": "cpu", "perPod": 2}}, ("accelerator.perPod is 2", "cpu")),
        ({"accelerator": {"type": "gaudi"}}, ("accelerator.type is gaudi", "set image.repository")),
        ({"accelerator": {"type": "cpu", "resourceName": "a/b"}}, ("accelerator.resourceName is a/b", "cpu")),
    ],
    "acceleratorCount": [
        (
            {"parallelism": {"tensor": 2, "data": 2}, "resources": {"limits": {"nvidia.com/gpu": 2}}},
            ("resources.limits asks for 2 nvidia.com/gpu", "tensor 2 \u00d7 pipeline 1 \u00d7 data 2", "uses 4"),
        ),
        (
            {"accelerator": {"perPod": 3}, "resources": {"requests": {"nvidia.com/gpu": 2}}},
            ("resources.requests asks for 2", "accelerator.perPod 3"),
        ),
    ],
    "deviceClaims": [
        (
            {"resources": {"claims": [{"name": "a"}]}, "podSpec": {"resourceClaims": [{"name": "b"}]}},
            ("resources.claims names a, which the pod does not have", "add it to podSpec.resourceClaims"),
        ),
    ],
    "quantization": [
        (
            {"accelerator": {"type": "cpu"}, "engine": {"args": {"quantization": "fp8"}}},
            ("engine.args.quantization is fp8", "accelerator.type cpu", "awq"),
        ),
        (
            {"accelerator": {"type": "cpu"}, "engine": {"args": {"quantization": "gptq", "dtype": "float32"}}},
            ("engine.args.dtype is float32", "write bfloat16"),
        ),
        (
            {"accelerator": {"type": "amd"}, "engine": {"args": {"quantization": "gptq_marlin"}}},
            ("engine.args.quantization is gptq_marlin", "accelerator.type amd", "gptq"),
        ),
    ],
    "hostMemory": [
        (
            {
                "parallelism": {"tensor": 2},
                "engine": {"args": {"cpu-offload-gb": 8}},
                "resources": {"limits": {"memory": "16Gi"}},
            },
            ("resources.limits.memory is 16Gi", "23Gi", "cpu-offload-gb 8 \u00d7 2 devices", "2 for /dev/shm"),
        ),
        (
            {"engine": {"args": {"kv-offloading-size": 64}}, "resources": {"limits": {"memory": 68719476736}}},
            ("resources.limits.memory is 68719476736", "68Gi", "kv-offloading-size 64"),
        ),
        ({"resources": {"limits": {"memory": "512Mi"}}}, ("resources.limits.memory is 512Mi", "4Gi")),
        (
            {
                "accelerator": {"type": "cpu"},
                "engine": {"env": {"VLLM_CPU_KVCACHE_SPACE": "40"}},
                "resources": {"limits": {"memory": "32Gi"}},
            },
            ("resources.limits.memory is 32Gi", "44Gi", "VLLM_CPU_KVCACHE_SPACE 40"),
        ),
    ],
    "gracePeriod": [
        (
            {"podSpec": {"terminationGracePeriodSeconds": 30}, "drain": {"delaySeconds": 5, "timeoutSeconds": 60}},
            ("podSpec.terminationGracePeriodSeconds is 30", "up to 65 s", "leave it out"),
        ),
        (
            {**GROUP, "distributed": {"workerPodSpec": {"terminationGracePeriodSeconds": 40}}},
            ("podSpec of a group has terminationGracePeriodSeconds 40", "up to 135 s"),
        ),
        (
            {"podSpec": {"terminationGracePeriodSeconds": None}},
            ("terminationGracePeriodSeconds is null, for which Kubernetes takes 30, but the drain takes up to 135 s",),
        ),
    ],
    "podSpec": [
        (
            {"server": KEYED, "podSpec": {"containers": [{"name": "vllm", "args": ["/m", "--max-model-len=4096"]}]}},
            (
                "podSpec.containers has args for vllm without --config /etc/vllm/config/server.yaml, "
                "--shutdown-timeout=120, --middleware=vllm_lifecycle.Lifecycle, and",
                "leave args out and set engine.args or engine.extraArgs",
            ),
        ),
        (
            {
                "server": {"rootPath": "/llm", "maxConcurrentRequests": 4, "tls": {"existingSecret": "tls"}},
                "podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--root-path", "/llm"]}]},
            },
            ("without --max-num-queued-reqs=4, --ssl-certfile=/etc/vllm/tls/tls.crt, --ssl-keyfile=",),
        ),
        (
            {"server": KEYED, "podSpec": {"containers": [{"name": "vllm", "command": ["sh", "-c", "vllm serve m"]}]}},
            ("podSpec.containers has a command for vllm", "end the command with the words vllm serve, e.g."),
        ),
        (
            {
                **GROUP,
                "distributed": {"leaderPodSpec": {"containers": [{"name": "vllm", "command": ["vllm", "serve"]}]}},
            },
            (
                "distributed.leaderPodSpec.containers has a command",
                "the words python3 -I /etc/vllm-lifecycle/vllm_group.py mp 600 29502, e.g.",
            ),
        ),
        (
            {**GROUP, "distributed": {"workerPodSpec": {"containers": [{"name": "vllm", "args": ["/m"]}]}}},
            ("distributed.workerPodSpec.containers has args for vllm without --nnodes=2, --node-rank=$",),
        ),
        (
            {**GROUP, "podSpec": {"containers": [{"name": "vllm", "command": None}]}},
            ("podSpec.containers has a command",),
        ),
        *(
            ({"podSpec": {"containers": [{"name": "vllm", "lifecycle": lifecycle}]}}, ("the preStop hook of vllm",))
            for lifecycle in (
                None,
                {"preStop": None},
                {"preStop": {"exec": {"command": ["sleep", "5"]}}},
                {"preStop": {"exec": None, "sleep": {"seconds": 5}}},
            )
        ),
    ],
    "serverFiles": [
        *(
            (
                values,
                (f"{place} or a mount", "/etc/vllm-lifecycle, which is the chart's middleware", "leave the volume"),
            )
            for place, values in (
                ("extraVolumes.lifecycle", {"extraVolumes": {"lifecycle": {"emptyDir": {}}}}),
                ("extraVolumes.lifecycle", {"extraVolumes": {"lifecycle": None}}),
                ("podSpec.volumes", {"extraVolumeMounts": {"/etc/vllm-lifecycle": None}, "extraVolumes": None}),
                ("podSpec.volumes", {"extraVolumeMounts": {"/etc/vllm-lifecycle/": {"name": "home"}}}),
                (
                    "podSpec.volumes",
                    {"extraVolumeMounts": {"/etc/vllm-lifecycle/settings.json": {"name": "home", "subPath": "a"}}},
                ),
                (
                    "podSpec.volumes",
                    {**GROUP, "podSpec": {"volumes": [{"name": "lifecycle", "configMap": {"name": "mine"}}]}},
                ),
            )
        ),
        *(
            ({"server": KEYED, **values}, ("/etc/vllm/config, which is its list of API keys", "volume server-config"))
            for values in (
                {"extraVolumes": {"server-config": {"configMap": {"name": "mine"}}}},
                {"extraVolumeMounts": {"/etc/vllm/config/server.yaml": {"name": "home", "subPath": "server.yaml"}}},
                {"extraVolumeMounts": {"/etc/vllm/config": {"name": "home"}}},
                {"podSpec": {"volumes": [{"name": "server-config", "emptyDir": None, "secret": {"secretName": "s"}}]}},
            )
        ),
        *(
            ({"server": KEYED, **values}, ("initContainers.api-keys is removed or has another command", "leave it to"))
            for values in (
                {"initContainers": {"api-keys": None}},
                {"initContainers": {"api-keys": {"command": ["true"]}}},
                {"podSpec": {"initContainers": [{"name": "api-keys", "command": ["true"]}]}},
                {"podSpec": {"initContainers": None}},
            )
        ),
        *(
            ({"server": KEYED, **values}, (f"{place}.api-keys removes or replaces the volume", "leave it to the chart"))
            for place, values in (
                ("extraVolumes", {"extraVolumes": {"api-keys": {"emptyDir": {}}}}),
                ("extraVolumes", {"extraVolumes": {"api-keys": None}}),
                (
                    "podSpec.volumes",
                    {"podSpec": {"volumes": [{"name": "api-keys", "projected": None, "secret": {"secretName": "s"}}]}},
                ),
                (
                    "podSpec.volumes",
                    {
                        "extraVolumes": None,
                        "podSpec": {"volumes": [{"name": "api-keys", "projected": {"defaultMode": 256}}]},
                    },
                ),
            )
        ),
    ],
    "pythonPath": [
        ({"engine": {"env": {"PYTHONPATH": None}}}, ("has PYTHONPATH unset or from elsewhere", "in engine.env")),
        (
            {"podSpec": {"containers": [{"name": "vllm", "env": [{"name": "PYTHONPATH", "value": "/x"}]}]}},
            ("has PYTHONPATH /x", "leave it out of podSpec"),
        ),
    ],
    "volumeSource": [
        (
            {"podSpec": {"volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "a"}}]}},
            ("Volume home", "emptyDir, persistentVolumeClaim", "emptyDir: null"),
        )
    ],
    "cache": [
        ({"cache": {"model": {"type": "existing"}}}, ("cache.model.type is existing", "set cache.model.claimName")),
        ({"cache": {"compile": {"type": "claim"}}}, ("cache.compile.type is claim", "set cache.compile.size")),
        ({"cache": {"model": {"claimName": "a"}}}, ("cache.model.claimName is a", "set the type to existing")),
        (
            {
                "model": {"uri": "oci://r.example/m:1"},
                "cache": {"model": {"type": "existing", "claimName": "a"}},
            },
            ("cache.model.type is existing", "leave cache.model out"),
        ),
    ],
    "claimAccess": [
        (
            {"replicas": 2, "cache": {"compile": {"type": "claim", "size": "5Gi"}}},
            (
                "may be 2 replicas",
                "cache.compile is ReadWriteOnce",
                "set cache.compile.accessModes to [ReadWriteMany] with a storage class that has it, or "
                "cache.compile.type to emptyDir. [check",
            ),
        ),
        (
            {**GROUP, "cache": {"model": {"type": "claim", "size": "5Gi"}}},
            ("may be 1 replicas of 2 pods", "cache.model is ReadWriteOnce"),
        ),
        (
            {
                "autoscaling": {"hpa": {"enabled": True, "maxReplicas": 3}},
                "cache": {"model": {"type": "claim", "size": "5Gi"}},
            },
            ("may be 3 replicas", "cache.model is ReadWriteOnce"),
        ),
    ],
    "metricsOnce": [
        (
            {"metrics": {"podMonitor": {"enabled": True}, "scrapeAnnotations": {"enabled": True}}},
            ("metrics.podMonitor and metrics.scrapeAnnotations", "leave one enabled"),
        )
    ],
    "objectives": [
        (
            {"metrics": {"rules": {"enabled": True, "kubeStateMetrics": False, "timeToFirstToken": {"seconds": 3}}}},
            ("metrics.rules.timeToFirstToken.seconds is 3", "1, 2.5, 5,", "choose one of these"),
        ),
        (
            {
                "metrics": {"rules": {"enabled": True}},
                "engine": {"args": {"custom-histogram-buckets": {"inter_token_latency": [0.2, 1]}}},
            },
            ("metrics.rules.interTokenLatency.seconds is 0.1", "up to 0.2, 1: choose"),
        ),
        (
            {"metrics": {"rules": {"enabled": True, "interTokenLatency": {"objective": 0.9}}}},
            ("metrics.rules.interTokenLatency.objective is 0.9", "could never fire", "0.94 or more"),
        ),
    ],
    "autoscalers": [
        (
            {"autoscaling": {"hpa": {"enabled": True}, "keda": KEDA}},
            ("autoscaling.hpa and autoscaling.keda are both enabled", "leave one enabled"),
        )
    ],
    "autoscalingRange": [
        (
            {"autoscaling": {"hpa": {"enabled": True, "minReplicas": 3}}},
            ("autoscaling.hpa.maxReplicas is 2", "minReplicas 3"),
        )
    ],
    "kedaServer": [({"autoscaling": {"keda": {"enabled": True}}}, ("set autoscaling.keda.serverAddress",))],
    "kedaQuery": [
        (
            {"autoscaling": {"keda": {**KEDA, "query": "max(vllm:gpu_cache_usage_perc)"}}},
            ("autoscaling.keda.query reads vllm:gpu_cache_usage_perc", "write vllm:kv_cache_usage_perc"),
        ),
        (
            {"autoscaling": {"keda": {**KEDA, "query": "vllm:num_request_waiting + vllm:num_requests_waiting"}}},
            ("vllm:num_request_waiting, which vLLM does not have", "a name that /metrics lists"),
        ),
        (
            {"autoscaling": {"keda": {**KEDA, "query": 'sum(release:vllm_request_waiting:sum{release="x"})'}}},
            (
                "reads release:vllm_request_waiting:sum, which metrics.rules does not",
                "release:vllm_requests_waiting:sum",
            ),
        ),
        (
            {"autoscaling": {"keda": {**KEDA, "query": "avg(release:vllm_gpu_utilization:avg)"}}},  # without rules.dcgm
            ("reads release:vllm_gpu_utilization:avg, which metrics.rules does not",),
        ),
    ],
    "hpaTarget": [
        (
            {"autoscaling": {"hpa": {"enabled": True, "metric": "cpu"}}},
            ("autoscaling.hpa.metric is cpu", "set resources.requests.cpu"),
        ),
        (
            {
                "autoscaling": {"hpa": {"enabled": True, "metric": "cpu", "targetPerReplica": 0.8}},
                "resources": {"requests": {"cpu": 4}},
            },
            ("autoscaling.hpa.targetPerReplica is 0.8", "write 80"),
        ),
        (
            {"autoscaling": {"hpa": {"enabled": True, "metric": "kvCache", "targetPerReplica": 80}}},
            ("autoscaling.hpa.targetPerReplica is 80", "write 0.8"),
        ),
    ],
    "scaleToZero": [
        ({"autoscaling": {"keda": {**KEDA, "minReplicas": 0}}}, ("minReplicas is 0", "autoscaling.keda.query")),
        (
            {"autoscaling": {"keda": {**KEDA, "minReplicas": 0, "query": "sum(vllm:num_requests_running)"}}},
            ("minReplicas is 0",),
        ),
        *(
            ({"autoscaling": {"keda": {**KEDA, "minReplicas": 0, "query": query}}}, ("minReplicas is 0", "a gateway"))
            for query in (
                'sum(release:vllm_requests_waiting:sum{release="test"})',
                'sum(rate(http_requests_total{namespace="models",pod=~"test-[a-z0-9]+-[a-z0-9]{5}"}[1m]))',
                "sum(rate(http_requests_total{pod =~ 'other-.*|test-\\\\w+-\\\\w+'}[1m]))",
            )
        ),
        (
            {
                **GROUP,
                "autoscaling": {"keda": {**KEDA, "minReplicas": 0, "query": 'sum(http_requests_total{pod=~"test-0"})'}},
            },
            ("minReplicas is 0",),
        ),
    ],
    "missingApi": [
        ({"autoscaling": {"keda": KEDA}}, ("autoscaling.keda.enabled", "keda.sh/v1alpha1", "install KEDA")),
        ({"metrics": {"serviceMonitor": {"enabled": True}}}, ("metrics.serviceMonitor", "Prometheus Operator")),
        ({"metrics": {"rules": {"enabled": True}}}, ("metrics.rules.enabled is true", "Prometheus Operator")),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}, ("httpRoute.enabled", "the Gateway API")),
        (
            {"inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}}},
            ("inferencePool.enabled", "Gateway API Inference Extension"),
        ),
    ],
    "engineArgs": [
        ({"engine": {"args": {"port": "(set by the chart: set server.port)"}}}, ("engine.args.port", "server.port")),
        (
            {"engine": {"args": {"swap-space": "(no longer a flag of vLLM: leave it out, or set kv-offloading-size)"}}},
            ("engine.args.swap-space", "kv-offloading-size"),
        ),
        (
            {"engine": {"args": {"max_len": "(write flags with dashes, e.g. max-model-len)"}}},
            ("engine.args.max_len is no flag",),
        ),
        (
            {
                "engine": {
                    "args": {
                        "foo": f"(no such flag in vLLM {MINOR}; check the spelling, or pass it in engine.extraArgs)",
                    }
                }
            },
            ("engine.args.foo is no flag",),
        ),
    ],
    "extraArgs": [
        ({"engine": {"extraArgs": [argument]}}, (f'engine.extraArgs has "{argument}"', remedy))
        for argument, remedy in [
            ("--port=1", "set server.port"),
            ("--po", "set server.port"),
            ("--tensor_parallel_size=2", "set parallelism.tensor"),
            ("-tp=2", "set parallelism.tensor"),
            ("--no-enable-lora", "set model.lora.adapters"),
            ("-tp", "set parallelism.tensor"),
            ("-n2", "set parallelism.nodes"),
            ("--api-key", "server.apiKey.keys"),
            ("--config=/a.yaml", "write the flags in engine.args"),
            ("--lora-modules", "set model.lora.adapters"),
            ("--root_path=/a", "set server.rootPath"),
        ]
    ],
    "serverPort": [
        (
            {"podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--port=9"]}]}},
            ("--port=9 among the server's arguments", "on 8000", "set server.port"),
        ),
        (
            {"podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--port", "80"]}]}},
            ("--port 80 among", "on 8000"),
        ),
        (
            {"podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--port=9000"]}]}},
            ("--port=9000 among", "set server.port instead. [check"),
        ),
    ],
    "literalSecrets": [
        (
            {"podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--api-key", "sk-1"]}]}},
            ("args of container vllm: --api-key holds a secret", "set server.apiKey.keys"),
        ),
        (
            {"podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--hf-token=hf_1"]}]}},
            ("--hf-token holds a secret", "set model.credentials"),
        ),
        ({"engine": {"env": {"HF_TOKEN": "hf_x"}}}, ("engine.env.HF_TOKEN", "model.credentials")),
        (
            {"initContainers": {"get": {"image": "a:1", "env": [{"name": "GIT_TOKEN", "value": "x"}]}}},
            ("env of container get: GIT_TOKEN holds a secret", "secretKeyRef"),
        ),
        (
            {
                "engine": {"env": None},
                "podSpec": {"containers": [{"name": "vllm", "env": [{"name": "HF_TOKEN", "value": "hf_x"}]}]},
            },
            ("env of container vllm: HF_TOKEN holds a secret", "set model.credentials. [check"),
        ),
        ({"engine": {"env": {"VLLM_API_KEY": "x"}}}, ("engine.env.VLLM_API_KEY", "server.apiKey.keys")),
        ({"engine": {"env": {"AWS_SECRET_ACCESS_KEY": "x"}}}, ("engine.env.AWS_SECRET_ACCESS_KEY", "secretKeyRef")),
    ],
    "serviceType": [({"service": {"type": "NodePort"}}, ("service.type is NodePort", "/invocations", "ClusterIP"))],
    "nodePort": [
        ({"service": {"nodePort": 30080}}, ("service.nodePort is 30080", "to NodePort, or leave the port out. [check"))
    ],
    "rootPath": [
        *(
            (
                {"server": {"rootPath": root}},
                (f"server.rootPath is {root}, which overlaps with {path}, so", "e.g. /llm"),
            )
            for root, path in (
                ("/v", "/v1 and /v2"),
                ("/v1", "/v1"),
                ("/v1/c", "/v1"),
                ("/v2", "/v2"),
                ("/inference", "/inference"),
                ("/c", "/cohere"),
                ("/a", "/adapters"),
                ("/adapters/late", "/adapters"),
            )
        ),
        ({"server": {"rootPath": "/health"}}, ("server.rootPath is /health, which probes", "path, e.g. /llm. [check")),
        ({"server": {"rootPath": "/metrics"}}, ("server.rootPath is /metrics, which probes",)),
        (
            {"podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--root-path=/v"]}]}},
            ("podSpec.containers has the root path /v", "use none: set server.rootPath"),
        ),
        (
            {
                "server": {"rootPath": None},
                "podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--root-path=/v"]}]},
            },
            ("podSpec.containers has the root path /v", "use none: set server.rootPath"),
        ),
        (
            {
                "server": {"rootPath": "/llm"},
                "podSpec": {"containers": [{"name": "vllm", "args": [*ARGS, "--root-path=/llm", "--root_path", "/v"]}]},
            },
            ("podSpec.containers has the root path /v", "use /llm: set server.rootPath"),
        ),
    ],
    "exposedPaths": [
        *(
            ({"server": {"exposedPaths": ["/v1", path]}}, (f"server.exposedPaths has {path}", "leave it out"))
            for path in ("/invocations", "/tokenize", "/scale_elastic_ep", "/metrics", "/adapters", "/v1x", "/docs")
        ),
        (
            {"model": {"kind": "classification"}, "ingress": {"enabled": True}, "server": KEYED},
            ("server.exposedPaths has /classify, which no API key guards", "[/v1]"),
        ),
    ],
    "httpRoute": [({"httpRoute": {"enabled": True}}, ("no Gateway is named", "set httpRoute.parentRefs"))],
    "inferencePool": [
        ({"inferencePool": {"enabled": True}}, ("no endpoint picker", "set inferencePool.endpointPicker.name")),
        (
            {
                "inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}},
                "server": {"tls": {"existingSecret": "tls"}},
            },
            ("plain HTTP", "leave server.tls out"),
        ),
    ],
}
EXAMPLES = [(name, values, words) for name, examples in CHECKS.items() for values, words in examples]

#: What a live cluster looks like to a render, one of an older version and one without custom resources.
LIVE = {
    "imageVolume": {"options": ("--api-versions", "apiregistration.k8s.io/v1"), "kube_version": "1.34.2"},
    "missingApi": {"options": ("--api-versions", "apiregistration.k8s.io/v1")},
    "leaderWorkerSet": {"options": ("--api-versions", "apiregistration.k8s.io/v1")},
}


def test_every_check_has_an_example() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in template_files(CHART).values())
    defined = set(re.findall(r'define "vllm\.check\.(\w+)"', text))
    missing, unknown = sorted(defined - CHECKS.keys()), sorted(CHECKS.keys() - defined)
    assert not missing, f"add to CHECKS in tests/contract/test_messages.py an example of: {missing}"
    assert not unknown, f"define vllm.check.NAME in charts/vllm/templates/checks, or remove its examples: {unknown}"


@pytest.mark.parametrize(
    ("name", "values", "words"), EXAMPLES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(EXAMPLES)]
)
def test_a_check_refuses_with_its_remedy_and_its_name(
    name: str, values: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(helm.HelmError) as failure:
        helm.render(values, **LIVE.get(name, {}))  # type: ignore[arg-type]
    text = failure.value.text
    for word in (*words, f"[check {name}]"):
        assert word in text
    assert text.count("[check ") == 1
    assert "\n " not in text, "a message that spans lines in its template is one line here"


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["vllm", "serve"]},
        {"command": ["numactl", "--interleave=all", "/usr/local/bin/vllm", "serve"]},
        {"command": ["sh", "-c", 'exec "$@"', "sh", "vllm", "serve"]},
        {"command": ["vllm", "serve", "/m"], "args": ARGS[1:]},
        {"args": ["/m", "--middleware", "vllm_lifecycle.Lifecycle", "--shutdown-timeout", "120"]},
        {"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}},
        {"volumeMounts": [{"name": "lifecycle", "mountPath": "/etc/vllm-lifecycle", "readOnly": True}]},
    ],
)
def test_pod_spec_that_keeps_what_other_keys_need_is_accepted(container: dict[str, Any]) -> None:
    helm.render({"podSpec": {"containers": [{"name": "vllm", **container}]}})


def test_program_in_front_of_a_group_is_accepted() -> None:
    command = ["python3", "-I", "/etc/vllm-lifecycle/vllm_group.py", "mp", "600", "29502"]
    container = {"name": "vllm", "command": ["numactl", "--interleave=all", *command]}
    helm.render({**GROUP, "podSpec": {"containers": [container]}})


@pytest.mark.parametrize("root", ["", "/llm", "/v10", "/inference-prod", "/coherent", "/a1", "/healthy", "/llm/v1"])
def test_root_path_that_overlaps_with_no_route_is_accepted(root: str) -> None:
    helm.render({"server": {"rootPath": root}})


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_can_be_switched_off(name: str) -> None:
    values, _ = CHECKS[name][0]
    if name == "engineArgs":
        values = {"engine": {"args": {"foo": CHECKS[name][3][0]["engine"]["args"]["foo"]}}}
    helm.render({**values, "checks": {"disabled": {name: True}}}, **LIVE.get(name, {}))  # type: ignore[arg-type]


def test_a_check_named_false_stays_on() -> None:
    with pytest.raises(helm.HelmError, match=r"\[check serviceType\]"):
        helm.render({"service": {"type": "NodePort"}, "checks": {"disabled": {"serviceType": False}}})


def test_all_failing_checks_speak_at_once() -> None:
    with pytest.raises(helm.HelmError) as failure:
        helm.render({"model": {"uri": "x"}, "service": {"type": "NodePort"}})
    assert failure.value.text.count("[check ") == 2


def test_rules_in_a_config_map_need_no_operator() -> None:
    helm.render({"metrics": {"rules": {"enabled": True, "kind": "ConfigMap"}}}, **LIVE["missingApi"])  # type: ignore[arg-type]


@pytest.mark.every_helm
@pytest.mark.parametrize("objective", [0, 1, 99, -0.5])
@pytest.mark.parametrize("of", ["timeToFirstToken", "interTokenLatency"])
def test_an_objective_that_is_no_share_is_answered_with_one(of: str, objective: float, refuse: Refuse) -> None:
    complaints = refuse({"metrics": {"rules": {of: {"objective": objective}}}})
    assert "(write a share, e.g. 0.99)" in complaints.about(("metrics", "rules", of, "objective"))


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(vllm:iteration_tokens_total_sum[1m])) / sum(rate(vllm:iteration_tokens_total_count[1m]))",
        "sum(rate(vllm:spec_decode_num_drafts_total[1m]))",
        "max(vllm:lora_requests_info)",
        "sum(rate(gateway_requests_total[1m]))",
        "max(release:vllm_time_to_first_token_slow:ratio_rate5m) + max(release:vllm_requests_waiting:sum)",
    ],
)
def test_a_query_may_read_all_that_vllm_has_and_what_others_have(query: str) -> None:
    helm.render({"autoscaling": {"keda": {**KEDA, "query": query}}})


@pytest.mark.parametrize(
    "query",
    [
        'sum(rate(http_requests_total{job="gateway",pod=~"gateway-.*"}[1m]))',
        'sum(rate(envoy_requests{exported_pod=~"test-.*",pod=~"envoy-[a-z0-9]+"}[1m]))',
        'sum(queue_length{backend="vllm:8000"}) or vector(0)',
    ],
)
def test_a_query_of_what_others_count_may_start_the_first_server(query: str) -> None:
    helm.render({"autoscaling": {"keda": {**KEDA, "query": query, "minReplicas": 0}}})


def test_image_volumes_are_not_refused_offline_nor_on_a_new_cluster() -> None:
    values = {"model": {"uri": "oci://r.example/m:1"}}
    helm.render(values, kube_version="1.31.0")
    helm.render(values, options=("--api-versions", "apiregistration.k8s.io/v1"), kube_version="1.35.0-gke.100")


@pytest.mark.parametrize(
    ("offload", "memory"),
    [(8, "16Gi"), ("8", 17179869184), (8, "12Gi"), (0.5, "4.5Gi"), (0, "4096Mi"), (8, "13G"), (8, "13e9"), (8, "1E")],
)
def test_weights_offloaded_from_one_device_fit_into_the_memory_limit(offload: float | str, memory: str | int) -> None:
    values = {"engine": {"args": {"cpu-offload-gb": offload}}, "resources": {"limits": {"memory": memory}}}
    helm.render(values)


@pytest.mark.parametrize(
    "memory",
    [4294967295, "4294967.295k", "4294.967295M", "4.294967295G", "4194303.999Ki", "4095.999999Mi", "3.99999Gi"],
)
def test_memory_limit_a_byte_below_the_need_is_rejected_in_every_unit(memory: str | int) -> None:
    with pytest.raises(helm.HelmError, match=r"needs 4Gi .*\[check hostMemory\]"):
        helm.render({"resources": {"limits": {"memory": memory}}})


@pytest.mark.parametrize(("memory", "size"), [("1T", 10**12), ("1P", 10**15)])
def test_memory_limit_half_a_byte_below_the_need_is_rejected_in_large_units(memory: str, size: int) -> None:
    offload = (size + 0.5) / 2**30 - 4
    with pytest.raises(helm.HelmError, match=r"\[check hostMemory\]"):
        helm.render({"engine": {"args": {"cpu-offload-gb": offload}}, "resources": {"limits": {"memory": memory}}})


def test_memory_limit_with_an_exponent_is_read_whole() -> None:
    helm.render({"resources": {"limits": {"memory": "1e10"}}})


def test_variable_from_a_secret_does_not_turn_on_runtime_updates_of_adapters() -> None:
    source = {"valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    helm.render({"engine": {"env": {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": source}}})


def test_what_is_nought_is_no_part_of_the_sum_however_it_is_written() -> None:
    flags = {"cpu-offload-gb": "0", "kv-offloading-size": "0"}
    with pytest.raises(helm.HelmError, match=r"\[check hostMemory\]") as failure:
        helm.render({"engine": {"args": flags}, "resources": {"limits": {"memory": "512Mi"}}})
    assert "offload" not in failure.value.text


def test_a_flag_takes_numbers_as_a_values_file_and_as_set_gives_them() -> None:
    right = {"gpu-memory-utilization": [0.9, "0.9"], "max-num-seqs": [8, "8"], "max-model-len": [-1, "32k", "auto"]}
    for turn in range(3):
        helm.render({"engine": {"args": {flag: forms[turn % len(forms)] for flag, forms in right.items()}}})
