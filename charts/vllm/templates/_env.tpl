{{- /* vllm.secretEnv: a source of one environment variable from {existingSecret, key}, as JSON. */ -}}
{{- define "vllm.secretEnv" -}}
{{- dict "valueFrom" (dict "secretKeyRef" (dict "name" .existingSecret "key" .key)) | toRawJson -}}
{{- end -}}

{{- /* vllm.computedEnv: the environment that the chart sets, as a JSON map of name to a text or {valueFrom}. */ -}}
{{- define "vllm.computedEnv" -}}
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
  "VLLM_HOST_IP" (dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "status.podIP")))
-}}
{{- if include "vllm.modelImage" . -}}
{{- $_ := set $env "HF_HUB_OFFLINE" "1" -}}
{{- end -}}
{{- with .Values.model.credentials -}}
{{- $_ := set $env "HF_TOKEN" (include "vllm.secretEnv" . | fromJson) -}}
{{- end -}}
{{- range .Values.server.apiKey.keys -}}
{{- $_ := set $env "VLLM_API_KEY" (include "vllm.secretEnv" . | fromJson) -}}
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
