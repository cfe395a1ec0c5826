{{- /* vllm.image: Reference of the server's image. */ -}}
{{- define "vllm.image" -}}
{{- with .Values.image -}}
{{- $registry := ($.Values.global).imageRegistry | default .registry -}}
{{- $repository := .repository | default (include "vllm.accelerator" $ | fromJson).repository -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $repository }}:{{ .tag | default (printf "v%s" $.Chart.AppVersion) }}
{{- with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{- /* vllm.imagePullSecrets: Pull secrets of the pod and of global, each once, as a JSON list of {name}. */ -}}
{{- define "vllm.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (.Values.imagePullSecrets | default list) (($.Values.global).imagePullSecrets | default list) -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- uniq $secrets | toRawJson -}}
{{- end -}}
