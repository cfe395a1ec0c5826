{{- /* vllm.args: Arguments of the server, as a JSON list: the model, the flags that the chart sets, the user's flags by name,
and the raw ones. */ -}}
{{- define "vllm.args" -}}
{{- $args := list (include "vllm.modelPath" .) -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- /* Two arguments, because vLLM silently ignores --config=…. */ -}}
{{- $args = concat $args (list "--config" "/etc/vllm/config/server.yaml") -}}
{{- end -}}
{{- $args = concat $args (list "--served-model-name") (include "vllm.modelNames" . | fromJsonArray) (list
  (include "vllm.scalar" .Values.server.port | printf "--port=%s")
  (include "vllm.scalar" .Values.drain.timeoutSeconds | printf "--shutdown-timeout=%s")
  "--middleware=vllm_lifecycle.Lifecycle"
) -}}
{{- with .Values.model.revision -}}
{{- $args = printf "--revision=%s" . | append $args -}}
{{- end -}}
{{- $adapters := list -}}
{{- range include "vllm.sources" . | fromJsonArray | rest -}}
{{- $adapters = append $adapters (printf "%s=%s" .adapter .path) -}}
{{- end -}}
{{- if or $adapters .Values.model.lora.runtimeUpdates -}}
{{- $args = append $args "--enable-lora" -}}
{{- end -}}
{{- with $adapters -}}
{{- $args = concat $args (list "--lora-modules") . -}}
{{- end -}}
{{- range $size := list "tensor" "pipeline" "data" -}}
  {{- $value := index $.Values.parallelism $size | int64 -}}
  {{- if gt $value 1 -}}
  {{- $args = printf "--%s-parallel-size=%d" $size $value | append $args -}}
  {{- end -}}
{{- end -}}
{{- $args = include "vllm.groupArgs" . | fromJsonArray | concat $args -}}
{{- with include "vllm.queueLimit" . -}}
{{- $args = printf "--max-num-queued-reqs=%s" . | append $args -}}
{{- end -}}
{{- with .Values.tracing.endpoint -}}
{{- $args = printf "--otlp-traces-endpoint=%s" . | append $args -}}
{{- end -}}
{{- with .Values.logging -}}
  {{- if ne .level "INFO" -}}
  {{- $args = printf "--log-level=%s" .level | append $args -}}
  {{- end -}}
  {{- if ne .format "text" -}}
  {{- $args = dict "formatter" .format | toRawJson | printf "--logging-config=%s" | append $args -}}
  {{- end -}}
{{- end -}}
{{- with .Values.server.rootPath -}}
{{- $args = printf "--root-path=%s" . | append $args -}}
{{- end -}}
{{- with .Values.server.tls -}}
{{- $args = concat $args (list "--ssl-certfile=/etc/vllm/tls/tls.crt" "--ssl-keyfile=/etc/vllm/tls/tls.key") -}}
{{- end -}}
{{- /* Otherwise probes and scrapes fill the log. */ -}}
{{- $given := dict "disable-access-log-for-endpoints" "/health,/metrics,/ping" -}}
{{- if has (include "vllm.sources" . | fromJsonArray | first).scheme (list "s3" "gs") -}}
{{- $_ := set $given "load-format" "runai_streamer" -}}
{{- end -}}
{{- with .Values.server.tls -}}
{{- /* vLLM loads a renewed certificate, but only once: it notices only the first change of a mounted Secret. */ -}}
{{- $_ := set $given "enable-ssl-refresh" true -}}
{{- end -}}
{{- $flags := dict -}}
{{- with .Values.engine.args -}}
{{- $flags = include "vllm.flags" $ | fromJson -}}
{{- end -}}
{{- range $name, $value := .Values.engine.args -}}
{{- $_ := set $given $name $value -}}
{{- end -}}
{{- range $name, $value := $given -}}
{{- $args = concat $args (include "vllm.flag" (dict "name" $name "value" $value "flags" $flags) | fromJsonArray) -}}
{{- end -}}
{{- range .Values.engine.extraArgs -}}
{{- $args = append $args (include "vllm.scalar" .) -}}
{{- end -}}
{{- toRawJson $args -}}
{{- end -}}

{{- /* vllm.flags: Facts about vLLM's flags, as JSON. See files/data/flags.yaml. */ -}}
{{- define "vllm.flags" -}}
{{- .Files.Get "files/data/flags.yaml" | fromYaml | toRawJson -}}
{{- end -}}

{{- /* vllm.flag: A flag with its value, as a JSON list of arguments. Takes a dict of name, value and flags (the result of
vllm.flags). */ -}}
{{- define "vllm.flag" -}}
{{- $name := .name -}}
{{- $value := .value -}}
{{- $args := list -}}
{{- if kindIs "invalid" $value -}}
{{- else if kindIs "bool" $value -}}
  {{- if $value -}}
  {{- $args = list (printf "--%s" $name) -}}
  {{- else if not (has $name .flags.switches) -}}
  {{- $args = list (printf "--no-%s" $name) -}}
  {{- end -}}
{{- else if and (kindIs "slice" $value) (has $name .flags.repeated) -}}
  {{- range $value -}}
  {{- $args = append $args (printf "--%s=%s" $name (include "vllm.scalar" .)) -}}
  {{- end -}}
{{- else if and (kindIs "slice" $value) (not (has $name .flags.jsonLists)) -}}
  {{- range $value -}}
  {{- $args = append $args (include "vllm.scalar" .) -}}
  {{- end -}}
  {{- with $args -}}
  {{- $args = prepend . (printf "--%s" $name) -}}
  {{- end -}}
{{- else -}}
  {{- $args = list (printf "--%s=%s" $name (include "vllm.scalar" $value)) -}}
{{- end -}}
{{- toRawJson $args -}}
{{- end -}}

{{- /* vllm.queueLimit: Value of --max-num-queued-reqs, which limits each of vLLM's API servers. Empty sets no limit. */ -}}
{{- define "vllm.queueLimit" -}}
{{- with .Values.server.maxConcurrentRequests | int64 -}}
{{- $servers := index ($.Values.engine.args | default dict) "api-server-count" | default $.Values.parallelism.data | int64 -}}
{{- max 1 (div . $servers) -}}
{{- end -}}
{{- end -}}
