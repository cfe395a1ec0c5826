{{- /* vllm.env: Environment of the server, as a JSON list. */ -}}
{{- define "vllm.env" -}}
{{- include "vllm.envMap" . | fromJson | include "vllm.envList" -}}
{{- end -}}

{{- /* vllm.envMap: Environment of the server, as a JSON map. The user's variables replace those of the chart, and null removes
one. */ -}}
{{- define "vllm.envMap" -}}
{{- $env := include "vllm.computedEnv" . | fromJson -}}
{{- range $name, $value := .Values.engine.env -}}
{{- if and (eq $name "PYTHONPATH") (kindIs "string" $value) -}}
{{- $value = printf "%s:%s" (include "vllm.lifecycleFolder" $) $value -}}
{{- end -}}
{{- $_ := set $env $name $value -}}
{{- end -}}
{{- toRawJson $env -}}
{{- end -}}

{{- /* vllm.computedEnv: Environment that the chart sets, as a JSON map of name to a text or {valueFrom}. */ -}}
{{- define "vllm.computedEnv" -}}
{{- /* The keep-alive timeout is longer than that of load balancers (600 s at Google), so that the server never closes
a connection that a load balancer is about to use. */ -}}
{{- $home := "/home/vllm" -}}
{{- $env := dict
  "HOME" $home
  "USER" "vllm"
  "LOGNAME" "vllm"
  "TMPDIR" "/tmp"
  "XDG_CACHE_HOME" (printf "%s/.cache" $home)
  "XDG_CONFIG_HOME" (printf "%s/.config" $home)
  "HF_HOME" "/cache/model"
  "VLLM_CACHE_ROOT" (printf "/cache/compile/%s" (include "vllm.compileKey" .))
  "VLLM_NO_USAGE_STATS" "1"
  "DO_NOT_TRACK" "1"
  "VLLM_ENGINE_READY_TIMEOUT_S" .Values.startup.timeoutSeconds
  "VLLM_HTTP_TIMEOUT_KEEP_ALIVE" 620
  "PYTHONPATH" (include "vllm.lifecycleFolder" .)
  "VLLM_HOST_IP" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "status.podIP")))
-}}
{{- if not (include "vllm.usesHub" .) -}}
{{- $_ := set $env "HF_HUB_OFFLINE" "1" -}}
{{- end -}}
{{- range $name, $value := include "vllm.sources" . | fromJsonArray | first | include "vllm.credentialsEnv" | fromJson -}}
{{- $_ := set $env $name $value -}}
{{- end -}}
{{- with .Values.tracing -}}
  {{- if .endpoint -}}
  {{- $_ := set $env "OTEL_SERVICE_NAME" (include "vllm.fullname" $) -}}
  {{- $_ := set $env "OTEL_RESOURCE_ATTRIBUTES" (printf "service.namespace=%s" $.Release.Namespace) -}}
  {{- $_ := set $env "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" .protocol -}}
  {{- end -}}
{{- end -}}
{{- if .Values.model.lora.runtimeUpdates -}}
{{- $_ := set $env "VLLM_ALLOW_RUNTIME_LORA_UPDATING" "1" -}}
{{- end -}}
{{- if eq .Values.accelerator.type "cpu" -}}
  {{- /* By default vLLM pins its threads to the first cores, which are the same for every replica on a node. */ -}}
  {{- $_ := set $env "VLLM_CPU_OMP_THREADS_BIND" "nobind" -}}
  {{- $_ := set $env "OMP_NUM_THREADS" (include "vllm.cpuThreads" .) -}}
  {{- $given := .Values.engine.env -}}
  {{- if and (hasKey $given "VLLM_CPU_OMP_THREADS_BIND") (ne (toString $given.VLLM_CPU_OMP_THREADS_BIND) "nobind") -}}
  {{- /* vLLM counts the threads itself if the user pins them. */ -}}
  {{- $_ := unset $env "OMP_NUM_THREADS" -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $env -}}
{{- end -}}

{{- /* vllm.fetchEnv: Environment of the init containers that fetch a source, as a JSON map: that of the server, with its
proxies and endpoints, without its API key. */ -}}
{{- define "vllm.fetchEnv" -}}
{{- omit (include "vllm.envMap" . | fromJson) "VLLM_API_KEY" | toRawJson -}}
{{- end -}}

{{- /* vllm.envList: A map of name to a text or {valueFrom}, as a JSON list of environment variables. Null omits a variable. */ -}}
{{- define "vllm.envList" -}}
{{- $list := list -}}
{{- range $name, $value := . -}}
  {{- if kindIs "map" $value -}}
  {{- $list = append $list (merge (dict "name" $name) $value) -}}
  {{- else if not (kindIs "invalid" $value) -}}
  {{- $list = append $list (dict "name" $name "value" (include "vllm.scalar" $value)) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}

{{- /* vllm.secretEnv: Source of an environment variable from {existingSecret, key}, as JSON. */ -}}
{{- define "vllm.secretEnv" -}}
{{- dict "valueFrom" (dict "secretKeyRef" (dict "name" .existingSecret "key" .key)) | toRawJson -}}
{{- end -}}
