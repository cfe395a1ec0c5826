{{- /* vllm.sources: The model and its adapters, as a JSON list of maps: key (path in the values), name (of its volume), uri,
revision, credentials, scheme and rest of the URI, folder (where a volume of it is mounted), fetched (where an init container
puts an adapter), and path, as vLLM is given it. */ -}}
{{- define "vllm.sources" -}}
{{- $model := dict "key" "model" "name" "model" "folder" "/model" "fetched" "" -}}
{{- $sources := list (merge $model (pick .Values.model "uri" "revision" "credentials")) -}}
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
{{- toRawJson $sources -}}
{{- end -}}

{{- /* vllm.sourceVolumes: Volumes that hold the model and its adapters, as a JSON map of name to volume. */ -}}
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

{{- /* vllm.sourceMounts: The server's mounts of these volumes, as a JSON map of path to mount. */ -}}
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

{{- /* vllm.credentialsEnv: Environment by which a program authenticates to a source, as a JSON map of name to {valueFrom} or
text. Takes an item of vllm.sources. */ -}}
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

{{- /* vllm.sourceContainers: Init containers that bring the model and its adapters into the pod, as a JSON map of name to
container. */ -}}
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
  {{- /* An adapter without credentials uses the model's, which the environment has, too. */ -}}
  {{- $owner := .credentials | empty | ternary (first $sources) . -}}
  {{- if and (eq .scheme "gs") (eq $owner.scheme "gs") $owner.credentials -}}
  {{- $folder := printf "/etc/vllm/google/%s" $owner.name -}}
  {{- $mounts = append $mounts (dict "name" (printf "%s-key" $owner.name) "mountPath" $folder "readOnly" true) -}}
  {{- end -}}
  {{- $env := merge (include "vllm.credentialsEnv" . | fromJson) (include "vllm.fetchEnv" $ | fromJson) -}}
  {{- $container := dict
    "image" (include "vllm.image" $)
    "imagePullPolicy" $.Values.image.pullPolicy
    "command" (include "vllm.programCommand" (list $ "fetch.py" (list .uri (.revision | default "") .fetched)) | fromJsonArray)
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
