{{- /* vllm.autoscaler: the name of the autoscaler that owns the number of replicas, hpa or keda; empty without one. */ -}}
{{- define "vllm.autoscaler" -}}
{{- range $name := list "keda" "hpa" -}}
  {{- if (index $.Values.autoscaling $name).enabled -}}
  {{- $name -}}
  {{- break -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.replicas: the number of servers to write into the Deployment; empty where an autoscaler starts with a new one. Helm makes it 1 where a number that it wrote is missing from the next manifest, so where a Deployment runs already its own count is written over every switch of an autoscaler and while there is one; only no servers at all are not kept, as an HPA would leave them at that. */ -}}
{{- define "vllm.replicas" -}}
{{- $autoscaler := include "vllm.autoscaler" . -}}
{{- $given := .Values.replicas -}}
{{- with $autoscaler -}}
{{- $given = (index $.Values.autoscaling .).minReplicas -}}
{{- end -}}
{{- $running := lookup "apps/v1" "Deployment" .Release.Namespace (include "vllm.fullname" .) -}}
{{- $before := index (($running.metadata).annotations | default dict) "vllm/autoscaler" -}}
{{- if and $running (or $autoscaler $before) -}}
{{- $running.spec.replicas | int64 | default (int64 $given) -}}
{{- else if not $autoscaler -}}
{{- include "vllm.scalar" $given -}}
{{- end -}}
{{- end -}}

{{- /* vllm.maxReplicas: the largest number of servers that this release may have. */ -}}
{{- define "vllm.maxReplicas" -}}
{{- with include "vllm.autoscaler" . -}}
{{- (index $.Values.autoscaling .).maxReplicas | int64 -}}
{{- else -}}
{{- .Values.replicas | int64 -}}
{{- end -}}
{{- end -}}

{{- /* vllm.queueQuery: the PromQL query for the requests that wait in all servers of the release. */ -}}
{{- define "vllm.queueQuery" -}}
sum(vllm:num_requests_waiting{namespace="{{ .Release.Namespace }}",pod=~"{{ include "vllm.fullname" . }}-[a-z0-9]+-[a-z0-9]+"})
{{- end -}}
