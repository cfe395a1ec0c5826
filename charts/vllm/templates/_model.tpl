{{- /* vllm.modelImage: the image reference of an oci:// model; empty for another source. */ -}}
{{- define "vllm.modelImage" -}}
{{- if hasPrefix "oci://" .Values.model.uri -}}
{{- trimPrefix "oci://" .Values.model.uri -}}
{{- end -}}
{{- end -}}

{{- /* vllm.modelPath: the model as vLLM is told it: a name on Hugging Face, or a folder. */ -}}
{{- define "vllm.modelPath" -}}
{{- if include "vllm.modelImage" . -}}
/model
{{- else -}}
{{- trimPrefix "hf://" .Values.model.uri -}}
{{- end -}}
{{- end -}}

{{- /* vllm.modelName: the name that clients ask for. */ -}}
{{- define "vllm.modelName" -}}
{{- if .Values.model.name -}}
{{- .Values.model.name -}}
{{- else if include "vllm.modelImage" . -}}
{{- include "vllm.modelImage" . | splitList "@" | first | base | splitList ":" | first -}}
{{- else -}}
{{- include "vllm.modelPath" . -}}
{{- end -}}
{{- end -}}
