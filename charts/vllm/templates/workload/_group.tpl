{{- /* vllm.group: "true" if a replica is a group of several pods, a leader and its workers, run by LeaderWorkerSet. */ -}}
{{- define "vllm.group" -}}
{{- if gt (int64 .Values.parallelism.nodes) 1 -}}
true
{{- end -}}
{{- end -}}

{{- /* vllm.nodes: Number of pods of each replica. */ -}}
{{- define "vllm.nodes" -}}
{{- .Values.parallelism.nodes | int64 | max 1 -}}
{{- end -}}

{{- /* vllm.workerTemplate: Metadata and spec of the worker pods of a group, as a JSON map. A worker has no API server, so
its values lack the keys that only an API server uses. Its context has what Helm gives to every template and nothing else, so
that no result that was computed from the leader's values reaches it. */ -}}
{{- define "vllm.workerTemplate" -}}
{{- $values := deepCopy .Values -}}
{{- $_ := set $values.server "apiKey" (dict "keys" dict) -}}
{{- $_ := set $values.server "tls" dict -}}
{{- $_ := set $values.engine "args" (omit ($values.engine.args | default dict) "api-server-count" "enable-ssl-refresh") -}}
{{- $_ := set $values.metrics "scrapeAnnotations" (dict "enabled" false) -}}
{{- $context := pick . "Chart" "Release" "Capabilities" "Files" "Template" -}}
{{- include "vllm.podTemplate" (merge (dict "Values" $values "worker" true) $context) -}}
{{- end -}}

{{- /* vllm.membersPort: Port of the leader to which its workers stay connected: vLLM's --master-port, or that of Ray's head. */ -}}
{{- define "vllm.membersPort" -}}
{{- eq .Values.distributed.backend "ray" | ternary 6379 29501 -}}
{{- end -}}

{{- /* vllm.rendezvousPort: Port of the leader at which the pods of a group wait for each other before vLLM starts. */ -}}
{{- define "vllm.rendezvousPort" -}}
{{- eq .Values.distributed.backend "ray" | ternary (include "vllm.membersPort" .) "29502" -}}
{{- end -}}

{{- /* vllm.groupArgs: Arguments that give a pod its place in its group, as a JSON list; empty without a group. Kubernetes
expands $(…), and LeaderWorkerSet sets LWS_*. The leader is given its IP address, because it opens ports on it. */ -}}
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

{{- /* vllm.groupCommand: Command that starts vLLM when all pods of the group are up, as a JSON list. The arguments of vLLM
follow it. */ -}}
{{- define "vllm.groupCommand" -}}
{{- $program := printf "%s/vllm_group.py" (include "vllm.lifecycleFolder" .) -}}
{{- with .Values.distributed -}}
{{- list "python3" "-I" $program .backend (include "vllm.scalar" .joinTimeoutSeconds) (include "vllm.rendezvousPort" $) | toRawJson -}}
{{- end -}}
{{- end -}}
