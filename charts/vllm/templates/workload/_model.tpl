{{- /* vllm.modelPath: The model as vLLM is given it: a name on Hugging Face, a folder, or a location in object storage. */ -}}
{{- define "vllm.modelPath" -}}
{{- (include "vllm.sources" . | fromJsonArray | first).path -}}
{{- end -}}

{{- /* vllm.modelName: Name of the model in the API. */ -}}
{{- define "vllm.modelName" -}}
{{- with include "vllm.sources" . | fromJsonArray | first -}}
{{- if $.Values.model.name -}}
{{- $.Values.model.name -}}
{{- else if eq .scheme "hf" -}}
{{- .rest -}}
{{- else if eq .scheme "oci" -}}
{{- .rest | splitList "@" | first | base | splitList ":" | first -}}
{{- else -}}
{{- base .rest -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.modelNames: Name and aliases of the model, as a JSON list. */ -}}
{{- define "vllm.modelNames" -}}
{{- prepend (.Values.model.aliases | default list) (include "vllm.modelName" .) | toRawJson -}}
{{- end -}}

{{- /* vllm.modelKind: Task of the model: chat, completion, embedding, scoring, reranking or classification. */ -}}
{{- define "vllm.modelKind" -}}
{{- $args := .Values.engine.args | default dict -}}
{{- if .Values.model.kind -}}
{{- .Values.model.kind -}}
{{- else if eq "classify" (index $args "convert") -}}
classification
{{- else if or (eq "pooling" (index $args "runner")) (eq "embed" (index $args "convert")) -}}
embedding
{{- else -}}
chat
{{- end -}}
{{- end -}}

{{- /* vllm.usesHub: "true" if the model or an adapter comes from Hugging Face. */ -}}
{{- define "vllm.usesHub" -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
  {{- if eq .scheme "hf" -}}
  true
  {{- break -}}
  {{- end -}}
{{- end -}}
{{- end -}}
