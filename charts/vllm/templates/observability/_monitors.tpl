{{- /* vllm.scrapeTls: Fields of a monitor that scrape over HTTPS, as YAML. Without a CA, any certificate is accepted. */ -}}
{{- define "vllm.scrapeTls" -}}
{{- with .Values.server.tls -}}
scheme: https
tlsConfig:
  {{- if .caKey }}
  ca:
    secret:
      name: {{ .existingSecret | quote }}
      key: {{ .caKey | quote }}
  serverName: {{ include "vllm.host" $ }}
  {{- else }}
  insecureSkipVerify: true
  {{- end }}
{{- end -}}
{{- end -}}
