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

{{- /* vllm.pooling: "true" where the model turns text into vectors and can't chat. */ -}}
{{- define "vllm.pooling" -}}
{{- $args := .Values.engine.args | default dict -}}
{{- if eq "pooling" (index $args "runner" | default "" | toString) -}}
true
{{- end -}}
{{- end -}}

{{- /* vllm.requestPath: the path of a first request. */ -}}
{{- define "vllm.requestPath" -}}
{{- if include "vllm.pooling" . }}/v1/embeddings{{ else }}/v1/chat/completions{{ end -}}
{{- end -}}

{{- /* vllm.request: the body of a first request as JSON. */ -}}
{{- define "vllm.request" -}}
{{- $question := "What is the capital of France?" -}}
{{- $request := dict "model" (include "vllm.modelName" .) -}}
{{- if include "vllm.pooling" . -}}
{{- $_ := set $request "input" $question -}}
{{- else -}}
{{- $_ := set $request "messages" (list (dict "role" "user" "content" $question)) -}}
{{- $_ := set $request "max_tokens" 32 -}}
{{- end -}}
{{- toRawJson $request -}}
{{- end -}}
