{{- /* vllm.maxUnavailablePods: Number or percentage of pods that may be unavailable by evictions. The eviction of one pod stops
its whole group, so for groups each replica but one counts with all of its pods. */ -}}
{{- define "vllm.maxUnavailablePods" -}}
{{- with .Values.podDisruptionBudget.maxUnavailable -}}
{{- if and (include "vllm.group" $) (not (kindIs "string" .)) -}}
{{- mul (sub . 1) (include "vllm.nodes" $ | int64) | add 1 -}}
{{- else -}}
{{- include "vllm.scalar" . -}}
{{- end -}}
{{- else -}}
0
{{- end -}}
{{- end -}}
