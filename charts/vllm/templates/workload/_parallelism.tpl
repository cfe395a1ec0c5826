{{- /* vllm.workers: Number of vLLM's worker processes in each pod, one for each device. The check multiNode rejects a number of
processes that the nodes do not divide. */ -}}
{{- define "vllm.workers" -}}
{{- div (include "vllm.worldSize" . | int64) (include "vllm.nodes" . | int64) | max 1 -}}
{{- end -}}

{{- /* vllm.worldSize: Number of vLLM's worker processes of a replica, the product of the parallel sizes. */ -}}
{{- define "vllm.worldSize" -}}
{{- $prefill := index (.Values.engine.args | default dict) "prefill-context-parallel-size" | default 1 | int64 -}}
{{- with .Values.parallelism -}}
{{- mul .tensor .pipeline .data $prefill -}}
{{- end -}}
{{- end -}}

{{- /* vllm.parallelismSum: Calculation of the number of devices of each pod, as a text to show. */ -}}
{{- define "vllm.parallelismSum" -}}
{{- with .Values.parallelism -}}
tensor {{ .tensor }} × pipeline {{ .pipeline }} × data {{ .data }}
{{- end -}}
{{- with index (.Values.engine.args | default dict) "prefill-context-parallel-size" }} × prefill-context {{ . }}{{ end -}}
{{- if include "vllm.group" . }} / nodes {{ include "vllm.nodes" . }}{{ end -}}
{{- end -}}
