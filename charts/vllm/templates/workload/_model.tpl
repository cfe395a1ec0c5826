{{- /* vllm.sources: the model and its adapters, as a JSON list of maps: key (where it stands in the values), name (of its volume), uri, revision, credentials, scheme and rest of the URI, folder (where a volume of it is mounted), and path, as vLLM is told it. Kept in .sources. */ -}}
{{- define "vllm.sources" -}}
{{- if not .sources -}}
{{- $sources := list (merge (dict "key" "model" "name" "model" "folder" "/model" "fetched" "") (pick .Values.model "uri" "revision" "credentials")) -}}
{{- range $name, $adapter := .Values.model.lora.adapters -}}
  {{- if $adapter -}}
  {{- $place := dict "key" (printf "model.lora.adapters.%s" $name) "name" (printf "adapter-%s" $name) "adapter" $name -}}
  {{- $folders := dict "folder" (printf "/adapters/%s" $name) "fetched" (printf "/fetched/%s" $name) -}}
  {{- $sources = append $sources (merge $place $folders (pick $adapter "uri" "revision" "credentials")) -}}
  {{- end -}}
{{- end -}}
{{- range $sources -}}
  {{- $parts := splitn "://" 2 .uri -}}
  {{- $rest := $parts._1 | default "" -}}
  {{- $path := .folder -}}
  {{- if eq $parts._0 "pvc" -}}
  {{- $path = regexReplaceAll "^[^/]*" $rest .folder | trimSuffix "/" -}}
  {{- else if eq $parts._0 "file" -}}
  {{- $path = $rest -}}
  {{- else if ne $parts._0 "oci" -}}
  {{- $path = .fetched | default (eq $parts._0 "hf" | ternary $rest .uri) -}}
  {{- end -}}
  {{- $_ := merge . (dict "scheme" $parts._0 "rest" $rest "path" $path) -}}
{{- end -}}
{{- $_ := toRawJson $sources | set . "sources" -}}
{{- end -}}
{{- .sources -}}
{{- end -}}

{{- /* vllm.modelPath: the model as vLLM is told it: a name on Hugging Face, a folder, or a place in object storage. */ -}}
{{- define "vllm.modelPath" -}}
{{- (include "vllm.sources" . | fromJsonArray | first).path -}}
{{- end -}}

{{- /* vllm.modelName: the name that clients ask for. */ -}}
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

{{- /* vllm.modelNames: that name and the others of the model, as a JSON list. */ -}}
{{- define "vllm.modelNames" -}}
{{- prepend (.Values.model.aliases | default list) (include "vllm.modelName" .) | toRawJson -}}
{{- end -}}

{{- /* vllm.usesHub: "true" where the model or an adapter comes from Hugging Face. */ -}}
{{- define "vllm.usesHub" -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
  {{- if eq .scheme "hf" -}}
  true
  {{- break -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.sourceVolumes: the volumes from which the model and its adapters come, as a JSON map of name to volume. */ -}}
{{- define "vllm.sourceVolumes" -}}
{{- $volumes := dict -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
  {{- if and (eq .scheme "oci") $.Values.model.copyFrom -}}
  {{- $_ := set $volumes .name (dict "emptyDir" dict) -}}
  {{- else if eq .scheme "oci" -}}
  {{- $_ := set $volumes .name (dict "image" (dict "reference" .rest "pullPolicy" $.Values.image.pullPolicy)) -}}
  {{- else if eq .scheme "pvc" -}}
  {{- $_ := set $volumes .name (dict "persistentVolumeClaim" (dict "claimName" (splitList "/" .rest | first) "readOnly" true)) -}}
  {{- else if and .adapter (ne .scheme "file") -}}
  {{- $_ := set $volumes "fetched" (dict "emptyDir" dict) -}}
  {{- end -}}
  {{- if and (eq .scheme "gs") .credentials -}}
  {{- $_ := set $volumes (printf "%s-key" .name) (dict "secret" (dict "secretName" .credentials.existingSecret)) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}

{{- /* vllm.sourceMounts: the server's mounts of those volumes, as a JSON map of path to mount. */ -}}
{{- define "vllm.sourceMounts" -}}
{{- $mounts := dict -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
  {{- if has .scheme (list "oci" "pvc") -}}
  {{- $_ := set $mounts .folder (dict "name" .name "readOnly" true) -}}
  {{- else if and .adapter (ne .scheme "file") -}}
  {{- $_ := set $mounts "/fetched" (dict "name" "fetched" "readOnly" true) -}}
  {{- else if and (eq .scheme "gs") .credentials -}}
  {{- $_ := set $mounts "/etc/vllm/google/model" (dict "name" "model-key" "readOnly" true) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $mounts -}}
{{- end -}}

{{- /* vllm.credentialsEnv: the environment by which a program proves to a source who it is, as a JSON map of name to {valueFrom} or text. Takes an item of vllm.sources. */ -}}
{{- define "vllm.credentialsEnv" -}}
{{- $env := dict -}}
{{- with .credentials -}}
  {{- if eq $.scheme "gs" -}}
  {{- $_ := set $env "GOOGLE_APPLICATION_CREDENTIALS" (printf "/etc/vllm/google/%s/%s" $.name .key) -}}
  {{- else if eq $.scheme "s3" -}}
  {{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" -}}
  {{- $_ := set $env $name (dict "existingSecret" $.credentials.existingSecret "key" $name | include "vllm.secretEnv" | fromJson) -}}
  {{- end -}}
  {{- else if eq $.scheme "hf" -}}
  {{- $_ := set $env "HF_TOKEN" (include "vllm.secretEnv" . | fromJson) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $env -}}
{{- end -}}

{{- /* vllm.sourceContainers: the containers that bring the model and its adapters into the pod before the server starts, as a JSON map of name to container. */ -}}
{{- define "vllm.sourceContainers" -}}
{{- $containers := dict -}}
{{- $sources := include "vllm.sources" . | fromJsonArray -}}
{{- range $sources -}}
  {{- if and (eq .scheme "oci") $.Values.model.copyFrom -}}
  {{- $target := dict "name" .name "mountPath" "/target" -}}
  {{- $_ := set $containers (printf "copy-%s" .name) (dict
    "image" .rest
    "imagePullPolicy" $.Values.image.pullPolicy
    "command" (list "cp" "-r" (printf "%s/." $.Values.model.copyFrom) "/target")
    "resources" (include "vllm.initResources" $ | fromJson)
    "volumeMounts" (list $target)
  ) -}}
  {{- else if or (and .adapter (has .scheme (list "hf" "s3" "gs"))) (and (eq .scheme "hf") (ne $.Values.cache.model.type "emptyDir")) -}}
  {{- $mounts := list
    (dict "name" "tmp" "mountPath" "/tmp")
    (dict "name" "home" "mountPath" "/home/vllm")
    (dict "name" "model-cache" "mountPath" "/cache/model")
  -}}
  {{- if .adapter -}}
  {{- $mounts = append $mounts (dict "name" "fetched" "mountPath" "/fetched") -}}
  {{- end -}}
  {{- /* Without credentials of its own an adapter has the model's, as the environment has them, too. */ -}}
  {{- $owner := .credentials | empty | ternary (first $sources) . -}}
  {{- if and (eq .scheme "gs") (eq $owner.scheme "gs") $owner.credentials -}}
  {{- $mounts = append $mounts (dict "name" (printf "%s-key" $owner.name) "mountPath" (printf "/etc/vllm/google/%s" $owner.name) "readOnly" true) -}}
  {{- end -}}
  {{- $env := merge (include "vllm.credentialsEnv" . | fromJson) (include "vllm.fetchEnv" $ | fromJson) -}}
  {{- $container := dict
    "image" (include "vllm.image" $)
    "imagePullPolicy" $.Values.image.pullPolicy
    "command" (list "python3" "-I" "-c" ($.Files.Get "files/programs/fetch.py") .uri (.revision | default "") .fetched)
    "env" (include "vllm.envList" $env | fromJsonArray)
    "resources" (include "vllm.initResources" $ | fromJson)
    "terminationMessagePolicy" "FallbackToLogsOnError"
    "volumeMounts" $mounts
  -}}
  {{- with $.Values.engine.envFrom -}}
  {{- $_ := set $container "envFrom" . -}}
  {{- end -}}
  {{- $_ := set $containers (printf "fetch-%s" .name) $container -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $containers -}}
{{- end -}}

{{- /* vllm.modelKind: what the model does: chat, completion, embedding, scoring, reranking or classification. */ -}}
{{- define "vllm.modelKind" -}}
{{- $args := .Values.engine.args | default dict -}}
{{- if .Values.model.kind -}}
{{- .Values.model.kind -}}
{{- else if eq "classify" (index $args "convert" | default "" | toString) -}}
classification
{{- else if or (eq "pooling" (index $args "runner" | default "" | toString)) (eq "embed" (index $args "convert" | default "" | toString)) -}}
embedding
{{- else -}}
chat
{{- end -}}
{{- end -}}

{{- /* vllm.firstRequest: a first request for the kind of model, as a JSON map of path, body, and streams where the answer can come in pieces. */ -}}
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

{{- /* vllm.requestPath: the path of a first request. */ -}}
{{- define "vllm.requestPath" -}}
{{- (include "vllm.firstRequest" . | fromJson).path -}}
{{- end -}}

{{- /* vllm.request: the body of a first request as JSON. */ -}}
{{- define "vllm.request" -}}
{{- (include "vllm.firstRequest" . | fromJson).body | toRawJson -}}
{{- end -}}
