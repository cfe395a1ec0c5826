{{- /* vllm.pod: the spec of a pod that serves the model. */ -}}
{{- define "vllm.pod" -}}
serviceAccountName: {{ include "vllm.serviceAccountName" . }}
automountServiceAccountToken: false
{{- with include "vllm.imagePullSecrets" . | fromJsonArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
# Kubernetes would set VLLM_PORT to a URI for a Service named vllm, and vLLM would refuse to start.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "vllm.gracePeriod" . }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
containers:
  - name: vllm
    image: {{ include "vllm.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    # The image's entrypoint is "vllm serve".
    args:
      {{- include "vllm.args" . | fromJsonArray | toYaml | nindent 6 }}
    env:
      {{- include "vllm.env" . | fromJsonArray | toYaml | nindent 6 }}
    {{- with .Values.engine.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: {{ include "vllm.scalar" .Values.server.port }}
        protocol: TCP
    {{- include "vllm.probes" . | nindent 4 }}
    lifecycle:
      preStop:
        exec:
          command:
            {{- include "vllm.preStop" . | fromJsonArray | toYaml | nindent 12 }}
    resources:
      {{- include "vllm.resources" . | nindent 6 }}
    {{- with .Values.securityContext }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    terminationMessagePolicy: FallbackToLogsOnError
    volumeMounts:
      {{- include "vllm.volumeMounts" . | fromJsonArray | toYaml | nindent 6 }}
volumes:
  {{- include "vllm.volumes" . | fromJsonArray | toYaml | nindent 2 }}
{{- end -}}
