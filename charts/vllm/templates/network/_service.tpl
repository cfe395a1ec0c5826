{{- /* vllm.scheme: Protocol of the server, which is also the name of its port. */ -}}
{{- define "vllm.scheme" -}}
{{- if .Values.server.tls }}https{{ else }}http{{ end -}}
{{- end -}}

{{- /* vllm.host: Name of the Service in the cluster's DNS, for which a certificate must be issued. */ -}}
{{- define "vllm.host" -}}
{{ include "vllm.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end -}}
