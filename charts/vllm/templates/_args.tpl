{{- /* vllm.scalar: any value as the text that vLLM and Kubernetes read: words as they are, everything else as JSON, so that 1048576 never becomes 1.048576e+06. */ -}}
{{- define "vllm.scalar" -}}
{{- if kindIs "string" . -}}{{- . -}}{{- else -}}{{- toRawJson . -}}{{- end -}}
{{- end -}}

{{- /* vllm.flags: what the chart knows about vLLM's flags, as JSON: see files/flags.yaml. It is read once and kept in .flags. */ -}}
{{- define "vllm.flags" -}}
{{- if not .flags -}}
{{- $_ := set . "flags" (.Files.Get "files/flags.yaml" | fromYaml | toRawJson) -}}
{{- end -}}
{{- .flags -}}
{{- end -}}

{{- /* vllm.flag: one flag with its value as a JSON list of arguments. Takes a dict of name, value and flags (the content of vllm.flags). */ -}}
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

{{- /* vllm.queueLimit: the value of --max-num-queued-reqs, which vLLM counts in each of its API servers; 0 sets no limit. */ -}}
{{- define "vllm.queueLimit" -}}
{{- with .Values.server.maxConcurrentRequests | int64 -}}
{{- $servers := index ($.Values.engine.args | default dict) "api-server-count" | default $.Values.parallelism.data | int64 -}}
{{- max 1 (div . $servers) -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{- /* vllm.args: the arguments of the server as a JSON list: the model, the flags that the chart sets, the user's flags by name, the raw ones. */ -}}
{{- define "vllm.args" -}}
{{- $flags := include "vllm.flags" . | fromJson -}}
{{- $args := list (include "vllm.modelPath" .) -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- /* In two words: vLLM reads no file that comes as --config=…, and says nothing. */ -}}
{{- $args = concat $args (list "--config" "/etc/vllm/config/server.yaml") -}}
{{- end -}}
{{- $own := list
  (dict "name" "served-model-name" "value" (include "vllm.modelNames" . | fromJsonArray))
  (dict "name" "port" "value" .Values.server.port)
  (dict "name" "shutdown-timeout" "value" .Values.drain.timeoutSeconds)
  (dict "name" "middleware" "value" (list "vllm_lifecycle.Lifecycle"))
-}}
{{- with .Values.model.revision -}}
{{- $own = append $own (dict "name" "revision" "value" .) -}}
{{- end -}}
{{- $adapters := list -}}
{{- range include "vllm.sources" . | fromJsonArray | rest -}}
{{- $adapters = append $adapters (printf "%s=%s" .adapter .path) -}}
{{- end -}}
{{- if or $adapters .Values.model.lora.runtimeUpdates -}}
{{- $own = append $own (dict "name" "enable-lora" "value" true) -}}
{{- end -}}
{{- with $adapters -}}
{{- $own = append $own (dict "name" "lora-modules" "value" .) -}}
{{- end -}}
{{- range $size := list "tensor" "pipeline" "data" -}}
  {{- $value := index $.Values.parallelism $size | int64 -}}
  {{- if gt $value 1 -}}
  {{- $own = append $own (dict "name" (printf "%s-parallel-size" $size) "value" $value) -}}
  {{- end -}}
{{- end -}}
{{- $own = concat $own (include "vllm.groupFlags" . | fromJsonArray) -}}
{{- with include "vllm.queueLimit" . | int64 -}}
{{- $own = append $own (dict "name" "max-num-queued-reqs" "value" .) -}}
{{- end -}}
{{- with .Values.tracing.endpoint -}}
{{- $own = append $own (dict "name" "otlp-traces-endpoint" "value" .) -}}
{{- end -}}
{{- with .Values.logging -}}
  {{- if ne .level "INFO" -}}
  {{- $own = append $own (dict "name" "log-level" "value" .level) -}}
  {{- end -}}
  {{- if ne .format "text" -}}
  {{- $own = append $own (dict "name" "logging-config" "value" (dict "formatter" .format)) -}}
  {{- end -}}
{{- end -}}
{{- with .Values.server.rootPath -}}
{{- $own = append $own (dict "name" "root-path" "value" .) -}}
{{- end -}}
{{- with .Values.server.tls -}}
{{- $own = concat $own (list
  (dict "name" "ssl-certfile" "value" "/etc/vllm/tls/tls.crt")
  (dict "name" "ssl-keyfile" "value" "/etc/vllm/tls/tls.key")
) -}}
{{- end -}}
{{- range $own -}}
{{- $args = concat $args (include "vllm.flag" (merge . (dict "flags" $flags)) | fromJsonArray) -}}
{{- end -}}
{{- /* Probes and scrapes would fill the log. */ -}}
{{- $given := dict "disable-access-log-for-endpoints" "/health,/metrics,/ping" -}}
{{- if has (include "vllm.sources" . | fromJsonArray | first).scheme (list "s3" "gs") -}}
{{- $_ := set $given "load-format" "runai_streamer" -}}
{{- end -}}
{{- with .Values.server.tls -}}
{{- /* vLLM takes over a renewed certificate, once: of a mounted Secret it sees the first change only. */ -}}
{{- $_ := set $given "enable-ssl-refresh" true -}}
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
