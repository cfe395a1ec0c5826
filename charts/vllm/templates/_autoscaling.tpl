{{- /* vllm.autoscaler: the name of the autoscaler that owns the number of replicas, hpa or keda; empty without one. */ -}}
{{- define "vllm.autoscaler" -}}
{{- range $name := list "keda" "hpa" -}}
  {{- if (index $.Values.autoscaling $name).enabled -}}
  {{- $name -}}
  {{- break -}}
  {{- end -}}
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
