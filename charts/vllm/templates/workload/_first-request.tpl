{{- /* vllm.firstRequest: Example request for the model's task, as a JSON map of path, body, and streams if the answer can be
streamed. */ -}}
{{- define "vllm.firstRequest" -}}
{{- $question := "What is the capital of France?" -}}
{{- $answers := list "Paris is the capital of France." "Bread is made of flour." -}}
{{- $requests := dict
  "chat" (dict
    "path" "/v1/chat/completions"
    "body" (dict "messages" (list (dict "role" "user" "content" $question)) "max_tokens" 32)
    "streams" true
  )
  "completion" (dict
    "path" "/v1/completions"
    "body" (dict "prompt" "The capital of France is" "max_tokens" 32)
    "streams" true
  )
  "embedding" (dict "path" "/v1/embeddings" "body" (dict "input" $question))
  "scoring" (dict "path" "/v1/score" "body" (dict "queries" $question "documents" $answers))
  "reranking" (dict "path" "/v1/rerank" "body" (dict "query" $question "documents" $answers))
  "classification" (dict "path" "/classify" "body" (dict "input" $question))
-}}
{{- $request := index $requests (include "vllm.modelKind" .) -}}
{{- $_ := set $request.body "model" (include "vllm.modelName" .) -}}
{{- toRawJson $request -}}
{{- end -}}

{{- /* vllm.requestPath: Path of the example request. */ -}}
{{- define "vllm.requestPath" -}}
{{- (include "vllm.firstRequest" . | fromJson).path -}}
{{- end -}}

{{- /* vllm.request: Body of the example request, as JSON. */ -}}
{{- define "vllm.request" -}}
{{- (include "vllm.firstRequest" . | fromJson).body | toRawJson -}}
{{- end -}}
