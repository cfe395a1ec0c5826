{{- /* vllm.probes: Probes of the server, as YAML fields of its container. vLLM opens its port only when it can serve, and a
saturated server may answer late. */ -}}
{{- define "vllm.probes" -}}
{{- $period := 2 -}}
startupProbe:
  httpGet:
    {{- include "vllm.healthRequest" . | nindent 4 }}
  periodSeconds: {{ $period }}
  timeoutSeconds: 5
  failureThreshold: {{ div (add (include "vllm.startSeconds" . | int64) $period -1) $period }}
readinessProbe:
  httpGet:
    {{- include "vllm.healthRequest" . | nindent 4 }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe:
  httpGet:
    {{- include "vllm.healthRequest" . | nindent 4 }}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 12
  # A server that is replaced because it failed is not drained.
  terminationGracePeriodSeconds: 30
{{- end -}}

{{- /* vllm.healthRequest: Request by which the kubelet checks the server's health, as YAML. The kubelet accepts any
certificate. */ -}}
{{- define "vllm.healthRequest" -}}
path: /health
port: {{ include "vllm.scheme" . }}
{{- if .Values.server.tls }}
scheme: HTTPS
{{- end }}
{{- end -}}

{{- /* vllm.startSeconds: Seconds in which a replica must be ready. In a group, the pods first wait for each other. */ -}}
{{- define "vllm.startSeconds" -}}
{{- add .Values.startup.timeoutSeconds (empty (include "vllm.group" .) | ternary 0 .Values.distributed.joinTimeoutSeconds) -}}
{{- end -}}
