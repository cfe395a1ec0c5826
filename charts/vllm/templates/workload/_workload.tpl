{{- /* vllm.workload: apiVersion, kind and name of the Deployment or LeaderWorkerSet, as a JSON map. */ -}}
{{- define "vllm.workload" -}}
{{- $workload := dict "apiVersion" "apps/v1" "kind" "Deployment" -}}
{{- if include "vllm.group" . -}}
{{- $workload = dict "apiVersion" "leaderworkerset.x-k8s.io/v1" "kind" "LeaderWorkerSet" -}}
{{- end -}}
{{- set $workload "name" (include "vllm.workloadName" .) | toRawJson -}}
{{- end -}}

{{- /* vllm.workloadName: Name of the Deployment or LeaderWorkerSet. That of a LeaderWorkerSet is shorter, because it becomes a
label of the pods with the number of the group and a hash appended. */ -}}
{{- define "vllm.workloadName" -}}
{{- include "vllm.shorten" (list (include "vllm.fullname" .) (empty (include "vllm.group" .) | ternary 63 48)) -}}
{{- end -}}

{{- /* vllm.workloadAnnotations: Annotations of the Deployment or LeaderWorkerSet, as a JSON map: the autoscaler that sets its
replicas, and for a LeaderWorkerSet that a group is recreated only after all of its pods were up once, and where a group may
run. */ -}}
{{- define "vllm.workloadAnnotations" -}}
{{- $annotations := dict -}}
{{- with include "vllm.autoscaler" . -}}
{{- $_ := set $annotations "vllm/autoscaler" . -}}
{{- end -}}
{{- if include "vllm.group" . -}}
{{- $_ := set $annotations "leaderworkerset.sigs.k8s.io/experimental-recreate-group-after-start" "true" -}}
{{- with .Values.distributed.exclusiveTopology -}}
{{- $_ := set $annotations "leaderworkerset.sigs.k8s.io/exclusive-topology" . -}}
{{- end -}}
{{- end -}}
{{- toRawJson $annotations -}}
{{- end -}}

{{- /* vllm.servingLabels: Labels by which Services, monitors and autoscalers select the pods with an API server, as YAML. In a
group, that is the leader, to which LeaderWorkerSet gives the index 0. */ -}}
{{- define "vllm.servingLabels" -}}
{{- include "vllm.selectorLabels" . }}
{{- if include "vllm.group" . }}
leaderworkerset.sigs.k8s.io/worker-index: "0"
{{- end -}}
{{- end -}}
