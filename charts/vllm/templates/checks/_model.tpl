{{- /* vllm.check.modelUri: Each model and adapter URI has a supported form. */ -}}
{{- define "vllm.check.modelUri" -}}
{{- $forms := list
  "hf://[\\w.-]+(/[\\w.-]+)?"
  "oci://[^/:@\\s]+[^\\s]*"
  "pvc://[a-z0-9.-]+(/[^\\s/,]+)*/?"
  "(s3|gs)://[^/\\s]+/[^\\s]+"
  "file://(/[^\\s/,]+)+/?"
-}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- if or (not (regexMatch (printf "^(%s)$" (join "|" $forms)) .uri)) (regexMatch "/\\.\\.?(/|$)" .uri) -}}
{{ .key }}.uri is "{{ .uri }}": write hf://organisation/name (a branch or commit belongs in {{ .key }}.revision),
  oci://registry/repository:tag, pvc://claim/folder, s3://bucket/folder, gs://bucket/folder or file:///folder.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.modelTag: Each oci:// model has a tag other than latest, or a digest. */ -}}
{{- define "vllm.check.modelTag" -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- if and (eq .scheme "oci") (or (not (regexMatch "[:@]" (base .rest))) (hasSuffix ":latest" .rest)) -}}
{{ .key }}.uri is "{{ .uri }}", which may name another model tomorrow: end it with a tag other than latest, or with @sha256:….
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.modelSource: Credentials, revision and model.copyFrom are set only for the kinds of URI that they apply to. */ -}}
{{- define "vllm.check.modelSource" -}}
{{- $oci := false -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- $source := . -}}
{{- $oci = or $oci (eq .scheme "oci") -}}
{{- $remedies := dict
  "oci" "is pulled like an image: set imagePullSecrets"
  "pvc" "is mounted: leave them out"
  "file" "is in the image: leave them out"
-}}
{{- with .revision -}}
{{- if ne $source.scheme "hf" -}}
{{ $source.key }}.revision is "{{ . }}", but only hf:// has revisions: put what names this one into {{ $source.key }}.uri, as
  a tag, a digest or a folder.
{{ end -}}
{{- end -}}
{{- with .credentials -}}
{{- with index $remedies $source.scheme -}}
{{ $source.key }}.credentials names Secret "{{ $source.credentials.existingSecret }}", but what comes by
  {{ $source.scheme }}:// {{ . }}.
{{ end -}}
{{- if and .key (eq $source.scheme "s3") -}}
{{ $source.key }}.credentials.key is "{{ .key }}", but s3:// takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the Secret:
  name the values so, and leave the key out.
{{ end -}}
{{- if and (not .key) (has $source.scheme (list "hf" "gs")) -}}
{{ $source.key }}.credentials names Secret "{{ .existingSecret }}" without a key: set {{ $source.key }}.credentials.key to the
  one that holds {{ eq $source.scheme "hf" | ternary "the token" "the key file of Google" }}.
{{ end -}}
{{- end -}}
{{- end -}}
{{- with .Values.model.copyFrom -}}
{{- if not $oci -}}
model.copyFrom is "{{ . }}", but nothing comes by oci://: leave it out.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.adapterName: No adapter has a name of the model. */ -}}
{{- define "vllm.check.adapterName" -}}
{{- $names := include "vllm.modelNames" . | fromJsonArray -}}
{{- range include "vllm.sources" . | fromJsonArray | rest -}}
{{- if has .adapter $names -}}
{{ .key }} has the name of the model, and clients could ask for only one of them: rename the adapter, or change
  {{ eq .adapter (first $names) | ternary "model.name" "model.aliases" }}.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.runtimeLora: Loading adapters at run time requires an API key, and a single API server. */ -}}
{{- define "vllm.check.runtimeLora" -}}
{{- $on := .Values.model.lora.runtimeUpdates -}}
{{- range .server.env -}}
{{- $on = or $on (and (eq .name "VLLM_ALLOW_RUNTIME_LORA_UPDATING") (has (.value | default "" | lower) (list "1" "true"))) -}}
{{- end -}}
{{- if $on -}}
{{- if not (include "vllm.apiKeys" . | fromJson) -}}
model.lora.runtimeUpdates is true, but nothing keeps strangers from loading adapters: set server.apiKey.keys.
{{ end -}}
{{- $servers := index (.Values.engine.args | default dict) "api-server-count" | default .Values.parallelism.data | int64 -}}
{{- if gt $servers 1 -}}
model.lora.runtimeUpdates is true, which vLLM refuses with {{ $servers }} API servers: set engine.args.api-server-count to 1,
  or name the adapters in model.lora.adapters.
{{- end -}}
{{- end -}}
{{- end -}}
