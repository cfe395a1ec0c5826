{{- /* vllm.dashboard: Dashboard of files/data/dashboard.json, with the release as its title and preselected, as JSON. */ -}}
{{- define "vllm.dashboard" -}}
{{- $dashboard := .Files.Get "files/data/dashboard.json" | fromJson -}}
{{- $name := include "vllm.fullname" . -}}
{{- $shown := dict "namespace" .Release.Namespace "release" $name -}}
{{- $_ := set $dashboard "title" (printf "vLLM: %s/%s" .Release.Namespace $name) -}}
{{- $_ := set $dashboard "uid" (printf "vllm-%s" (printf "%s/%s" .Release.Namespace $name | sha256sum | trunc 16)) -}}
{{- range $variable := $dashboard.templating.list -}}
  {{- with index $shown $variable.name -}}
  {{- $_ := set $variable "current" (dict "text" . "value" .) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $dashboard -}}
{{- end -}}
