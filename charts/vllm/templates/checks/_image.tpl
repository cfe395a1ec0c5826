{{- /* vllm.check.imageTag: The vLLM image has a tag other than latest, or a digest. */ -}}
{{- define "vllm.check.imageTag" -}}
{{- with .server.image -}}
{{- if or (hasSuffix ":latest" .) (not (regexMatch "[:@]" (base .))) -}}
The server's image is {{ . }}, which may be another vLLM tomorrow, with other flags: leave image.tag out, or set it to a
  version.
{{- end -}}
{{- end -}}
{{- with .Values.image -}}
{{- if and (not .repository) (regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]" (.tag | default "")) -}}
image.tag is {{ .tag }}, but tags of vLLM's images begin with v: set image.tag to v{{ .tag }}.
{{- end -}}
{{- end -}}
{{- end -}}
