{{- /* vllm.secretEnv: a source of one environment variable from {existingSecret, key}, as YAML. */ -}}
{{- define "vllm.secretEnv" -}}
valueFrom:
  secretKeyRef:
    name: {{ .existingSecret | quote }}
    key: {{ .key | quote }}
{{- end -}}

{{- /* vllm.computedEnv: the environment that the chart sets, as a map of name to a text or {valueFrom}. */ -}}
{{- define "vllm.computedEnv" -}}
{{- /* Keep-alive: longer than load balancers keep idle connections (Google's for 600 s), so that the server never closes one that is just being used. */ -}}
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
{{- if include "vllm.modelImage" . -}}
{{- $_ := set $env "HF_HUB_OFFLINE" "1" -}}
{{- end -}}
{{- with .Values.model.credentials -}}
{{- $_ := set $env "HF_TOKEN" (include "vllm.secretEnv" . | fromYaml) -}}
{{- end -}}
{{- range .Values.server.apiKey.keys -}}
{{- $_ := set $env "VLLM_API_KEY" (include "vllm.secretEnv" . | fromYaml) -}}
{{- end -}}
{{- with .Values.tracing -}}
  {{- if .endpoint -}}
  {{- $_ := set $env "OTEL_SERVICE_NAME" (include "vllm.fullname" $) -}}
  {{- $_ := set $env "OTEL_RESOURCE_ATTRIBUTES" (printf "service.namespace=%s" $.Release.Namespace) -}}
  {{- $_ := set $env "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" .protocol -}}
  {{- end -}}
{{- end -}}
{{- if eq .Values.accelerator.type "cpu" -}}
  {{- /* vLLM would pin its threads to the first cores it sees, the same ones for every server of a node. */ -}}
  {{- $_ := set $env "VLLM_CPU_OMP_THREADS_BIND" "nobind" -}}
  {{- $_ := set $env "OMP_NUM_THREADS" (include "vllm.cpuThreads" .) -}}
  {{- $given := .Values.engine.env | default dict -}}
  {{- if and (hasKey $given "VLLM_CPU_OMP_THREADS_BIND") (ne (toString $given.VLLM_CPU_OMP_THREADS_BIND) "nobind") -}}
  {{- /* Threads that the user pins are counted by vLLM. */ -}}
  {{- $_ := unset $env "OMP_NUM_THREADS" -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $env -}}
{{- end -}}

{{- /* vllm.env: the environment of the server as a JSON list; the user's variables replace computed ones, null removes one. */ -}}
{{- define "vllm.env" -}}
{{- $env := include "vllm.computedEnv" . | fromJson -}}
{{- range $name, $value := .Values.engine.env -}}
{{- if and (eq $name "PYTHONPATH") (kindIs "string" $value) -}}
{{- $value = printf "%s:%s" (include "vllm.lifecycleFolder" $) $value -}}
{{- end -}}
{{- $_ := set $env $name $value -}}
{{- end -}}
{{- $list := list -}}
{{- range $name, $value := $env -}}
  {{- if kindIs "map" $value -}}
  {{- $list = append $list (merge (dict "name" $name) $value) -}}
  {{- else if not (kindIs "invalid" $value) -}}
  {{- $list = append $list (dict "name" $name "value" (include "vllm.scalar" $value)) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}
