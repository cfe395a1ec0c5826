{{- /* vllm.accelerator: what files/data/accelerators.yaml says of accelerator.type, as JSON. Kept in .accelerator, as reading the file takes 0.5 ms. */ -}}
{{- define "vllm.accelerator" -}}
{{- if not .accelerator -}}
{{- $types := .Files.Get "files/data/accelerators.yaml" | fromYaml -}}
{{- $_ := omit (index $types .Values.accelerator.type) "gpus" "docs" | toRawJson | set . "accelerator" -}}
{{- end -}}
{{- .accelerator -}}
{{- end -}}

{{- /* vllm.resourceName: the extended resource that the pod asks for; empty without devices. */ -}}
{{- define "vllm.resourceName" -}}
{{- .Values.accelerator.resourceName | default (include "vllm.accelerator" . | fromJson).resource -}}
{{- end -}}

{{- /* vllm.parallelismSum: the arithmetic behind the number of devices per pod, as a text to show. */ -}}
{{- define "vllm.parallelismSum" -}}
{{- with .Values.parallelism -}}
tensor {{ .tensor }} × pipeline {{ .pipeline }} × data {{ .data }}
{{- end -}}
{{- with index (.Values.engine.args | default dict) "prefill-context-parallel-size" }} × prefill-context {{ . }}{{ end -}}
{{- if include "vllm.group" . }} / nodes {{ include "vllm.nodes" . }}{{ end -}}
{{- end -}}

{{- /* vllm.workers: the number of vLLM's worker processes in each pod, one for each device; a product that the nodes don't divide is refused. */ -}}
{{- define "vllm.workers" -}}
{{- div (include "vllm.worldSize" . | int64) (include "vllm.nodes" . | int64) | max 1 -}}
{{- end -}}

{{- /* vllm.worldSize: the number of vLLM's worker processes of a server, the product of the parallel sizes. */ -}}
{{- define "vllm.worldSize" -}}
{{- $prefill := index (.Values.engine.args | default dict) "prefill-context-parallel-size" | default 1 | int64 -}}
{{- with .Values.parallelism -}}
{{- mul .tensor .pipeline .data $prefill -}}
{{- end -}}
{{- end -}}

{{- /* vllm.devices: the number of devices that each pod asks for; 0 without devices. */ -}}
{{- define "vllm.devices" -}}
{{- if include "vllm.resourceName" . -}}
{{- .Values.accelerator.perPod | int64 | default (include "vllm.workers" . | int64) -}}
{{- else -}}
0
{{- end -}}
{{- end -}}
