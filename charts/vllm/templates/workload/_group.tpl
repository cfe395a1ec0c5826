{{- /* vllm.group: "true" where a server spreads over several pods, a leader and its workers, which LeaderWorkerSet keeps together. */ -}}
{{- define "vllm.group" -}}
{{- if gt (int64 .Values.parallelism.nodes) 1 -}}
true
{{- end -}}
{{- end -}}

{{- /* vllm.workloadName: the name of what makes the pods. A LeaderWorkerSet's is shorter: it becomes a label of the pods with the number of the group and a hash behind it. */ -}}
{{- define "vllm.workloadName" -}}
{{- include "vllm.shorten" (list (include "vllm.fullname" .) (empty (include "vllm.group" .) | ternary 63 48)) -}}
{{- end -}}

{{- /* vllm.workload: apiVersion, kind and name of what makes the pods, as a JSON map. */ -}}
{{- define "vllm.workload" -}}
{{- $workload := dict "apiVersion" "apps/v1" "kind" "Deployment" -}}
{{- if include "vllm.group" . -}}
{{- $workload = dict "apiVersion" "leaderworkerset.x-k8s.io/v1" "kind" "LeaderWorkerSet" -}}
{{- end -}}
{{- set $workload "name" (include "vllm.workloadName" .) | toRawJson -}}
{{- end -}}

{{- /* vllm.servingLabels: the labels by which requests, scrapes and autoscalers find the pods with an API server: in a group, its leader alone. LeaderWorkerSet gives a leader the last of them. */ -}}
{{- define "vllm.servingLabels" -}}
{{- include "vllm.selectorLabels" . }}
{{- if include "vllm.group" . }}
leaderworkerset.sigs.k8s.io/worker-index: "0"
{{- end -}}
{{- end -}}

{{- /* vllm.nodes: the number of pods that each server has. */ -}}
{{- define "vllm.nodes" -}}
{{- .Values.parallelism.nodes | int64 | max 1 -}}
{{- end -}}

{{- /* vllm.membersPort: the port of the leader to which its workers stay connected: vLLM's --master-port, or that of Ray's head. */ -}}
{{- define "vllm.membersPort" -}}
{{- eq .Values.distributed.backend "ray" | ternary 6379 29501 -}}
{{- end -}}

{{- /* vllm.meetingPort: the port of the leader at which the pods of a group meet before vLLM starts. */ -}}
{{- define "vllm.meetingPort" -}}
{{- eq .Values.distributed.backend "ray" | ternary (include "vllm.membersPort" .) "29502" -}}
{{- end -}}

{{- /* vllm.groupArgs: the arguments that tell a pod its place in its group, as a JSON list; empty for one pod. Kubernetes fills in $(…), LeaderWorkerSet sets LWS_*. The leader goes by its address, as it opens ports there. */ -}}
{{- define "vllm.groupArgs" -}}
{{- $args := list -}}
{{- if and (include "vllm.group" .) (eq .Values.distributed.backend "ray") -}}
{{- $args = list "--distributed-executor-backend=ray" -}}
{{- else if include "vllm.group" . -}}
{{- $args = list
  (include "vllm.nodes" . | printf "--nnodes=%s")
  (empty .worker | ternary "--node-rank=0" "--node-rank=$(LWS_WORKER_INDEX)")
  (empty .worker | ternary "--master-addr=$(VLLM_HOST_IP)" "--master-addr=$(LWS_LEADER_ADDRESS)")
  (include "vllm.membersPort" . | printf "--master-port=%s")
-}}
{{- if .worker -}}
{{- $args = append $args "--headless" -}}
{{- end -}}
{{- end -}}
{{- toRawJson $args -}}
{{- end -}}

{{- /* vllm.groupCommand: the command that starts vLLM when all pods of the group are there, as a JSON list; vLLM's arguments follow it. */ -}}
{{- define "vllm.groupCommand" -}}
{{- $program := printf "%s/vllm_group.py" (include "vllm.lifecycleFolder" .) -}}
{{- with .Values.distributed -}}
{{- list "python3" "-I" $program .backend (include "vllm.scalar" .joinTimeoutSeconds) (include "vllm.meetingPort" $) | toRawJson -}}
{{- end -}}
{{- end -}}

{{- /* vllm.startSeconds: the seconds in which a server must be ready: in a group its pods wait for each other first. */ -}}
{{- define "vllm.startSeconds" -}}
{{- add .Values.startup.timeoutSeconds (empty (include "vllm.group" .) | ternary 0 .Values.distributed.joinTimeoutSeconds) -}}
{{- end -}}

{{- /* vllm.worker: nothing; puts into .asWorker what a template gets of which a worker is asked. That has no API server, and its values are without what only that has use for. */ -}}
{{- define "vllm.worker" -}}
{{- if not .asWorker -}}
{{- $values := deepCopy .Values -}}
{{- $_ := set $values.server "apiKey" (dict "keys" dict) -}}
{{- $_ := set $values.server "tls" dict -}}
{{- $_ := set $values.engine "args" (omit ($values.engine.args | default dict) "api-server-count" "enable-ssl-refresh") -}}
{{- $_ := set $values.metrics "scrapeAnnotations" (dict "enabled" false) -}}
{{- $_ := set . "asWorker" (omit . "Values" "pod") -}}
{{- $_ := set .asWorker "Values" $values -}}
{{- $_ := set .asWorker "worker" true -}}
{{- end -}}
{{- end -}}

{{- /* vllm.groupRollout: how many groups a rollout of the LeaderWorkerSet takes and adds, as a JSON map: one group goes before its successor comes, unless the user gives it room. */ -}}
{{- define "vllm.groupRollout" -}}
{{- $rolling := dict "maxSurge" 0 "maxUnavailable" 1 -}}
{{- include "vllm.overlay" (dict "base" $rolling "over" (.Values.strategy.rollingUpdate | default dict)) -}}
{{- toRawJson $rolling -}}
{{- end -}}
