{{- /* vllm.image: the reference of the server's image. */ -}}
{{- define "vllm.image" -}}
{{- with .Values.image -}}
{{- $registry := ($.Values.global).imageRegistry | default .registry -}}
{{- $repository := .repository | default (include "vllm.accelerator" $ | fromJson).repository -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $repository }}:{{ .tag | default (printf "v%s" $.Chart.AppVersion) }}
{{- with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{- /* vllm.imagePullSecrets: the pod's and the global pull secrets as a JSON list of {name}, each once. */ -}}
{{- define "vllm.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (.Values.imagePullSecrets | default list) (($.Values.global).imagePullSecrets | default list) -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- uniq $secrets | toRawJson -}}
{{- end -}}
