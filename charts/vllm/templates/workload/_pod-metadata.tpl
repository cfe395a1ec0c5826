{{- /* vllm.podMetadata: Labels and annotations of the pods, as YAML. */ -}}
{{- define "vllm.podMetadata" -}}
labels:
  {{- include "vllm.podLabels" . | nindent 2 }}
{{- with include "vllm.podAnnotations" . | fromJson }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* vllm.podLabels: Labels of the pods, as YAML. None of them changes with the chart's version. */ -}}
{{- define "vllm.podLabels" -}}
{{- $labels := .Values.commonLabels | mergeOverwrite dict -}}
{{- $labels = .Values.podLabels | mergeOverwrite $labels -}}
{{- include "vllm.selectorLabels" . | fromYaml | mergeOverwrite $labels | toYaml -}}
{{- end -}}

{{- /* vllm.podAnnotations: Annotations of the pods, as a JSON map. Checksums change with the files that the server reads only at
its start, so that a change restarts the pods. */ -}}
{{- define "vllm.podAnnotations" -}}
{{- $annotations := dict "checksum/lifecycle" (include "vllm.lifecycleFiles" . | sha256sum) -}}
{{- with .Values.engine.files -}}
{{- $_ := set $annotations "checksum/files" (toRawJson . | sha256sum) -}}
{{- end -}}
{{- if .Values.metrics.scrapeAnnotations.enabled -}}
{{- $_ := set $annotations "prometheus.io/scrape" "true" -}}
{{- $_ := set $annotations "prometheus.io/port" (include "vllm.scalar" .Values.server.port) -}}
{{- $_ := set $annotations "prometheus.io/path" "/metrics" -}}
{{- with .Values.server.tls -}}
{{- $_ := set $annotations "prometheus.io/scheme" "https" -}}
{{- end -}}
{{- end -}}
{{- .Values.podAnnotations | mergeOverwrite $annotations | toRawJson -}}
{{- end -}}
