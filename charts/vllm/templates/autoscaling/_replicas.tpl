{{- /* vllm.autoscaler: Name of the autoscaler that sets the number of replicas, hpa or keda; empty without one. */ -}}
{{- define "vllm.autoscaler" -}}
{{- range $name := list "keda" "hpa" -}}
  {{- if (index $.Values.autoscaling $name).enabled -}}
  {{- $name -}}
  {{- break -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.replicas: Field replicas of the workload. Empty if an autoscaler sets it from the start. Helm resets a field to its
default of 1 if an upgrade omits it. So while an autoscaler is enabled, and at the upgrade that disables it, the current number
of a running workload is kept; except for 0, from which an HPA never scales up. A cluster that lacks the API cannot be asked;
the check leaderWorkerSet reports that. */ -}}
{{- define "vllm.replicas" -}}
{{- $autoscaler := include "vllm.autoscaler" . -}}
{{- $given := .Values.replicas -}}
{{- with $autoscaler -}}
{{- $given = (index $.Values.autoscaling .).minReplicas -}}
{{- end -}}
{{- $workload := include "vllm.workload" . | fromJson -}}
{{- $running := dict -}}
{{- if .Capabilities.APIVersions.Has $workload.apiVersion -}}
{{- $running = lookup $workload.apiVersion $workload.kind .Release.Namespace $workload.name -}}
{{- end -}}
{{- $before := index (($running.metadata).annotations | default dict) "vllm/autoscaler" -}}
{{- if and $running (or $autoscaler $before) -}}
{{- $running.spec.replicas | int64 | default (int64 $given) -}}
{{- else if not $autoscaler -}}
{{- include "vllm.scalar" $given -}}
{{- end -}}
{{- end -}}

{{- /* vllm.minReplicas: Smallest number of replicas of this release. */ -}}
{{- define "vllm.minReplicas" -}}
{{- with include "vllm.autoscaler" . -}}
{{- (index $.Values.autoscaling .).minReplicas | int64 -}}
{{- else -}}
{{- .Values.replicas | int64 -}}
{{- end -}}
{{- end -}}

{{- /* vllm.maxReplicas: Largest number of replicas of this release. */ -}}
{{- define "vllm.maxReplicas" -}}
{{- with include "vllm.autoscaler" . -}}
{{- (index $.Values.autoscaling .).maxReplicas | int64 -}}
{{- else -}}
{{- .Values.replicas | int64 -}}
{{- end -}}
{{- end -}}
