{{- /* vllm.podTemplate: Metadata and spec of the pods that serve the model, or in a group lead it, with the user's podSpec merged
into the spec, as a JSON map. If the context has .worker, they are those of a group's workers. */ -}}
{{- define "vllm.podTemplate" -}}
{{- $spec := include "vllm.computedPodSpec" . | fromYaml -}}
{{- $overlays := list .Values.podSpec -}}
{{- if include "vllm.group" . -}}
{{- $overlays = append $overlays (empty .worker | ternary .Values.distributed.leaderPodSpec .Values.distributed.workerPodSpec) -}}
{{- end -}}
{{- range $overlays -}}
{{- with . -}}
{{- $spec = include "vllm.overlay" (dict "base" $spec "over" .) | fromJson -}}
{{- end -}}
{{- end -}}
{{- range $container := concat ($spec.initContainers | default list) ($spec.containers | default list) -}}
{{- with .resources -}}
{{- $_ := set $container "resources" (include "vllm.quoteQuantities" . | fromJson) -}}
{{- end -}}
{{- end -}}
{{- dict "metadata" (include "vllm.podMetadata" . | fromYaml) "spec" $spec | toRawJson -}}
{{- end -}}

{{- /* vllm.computedPodSpec: Spec of the pods without the user's podSpec, as YAML. */ -}}
{{- define "vllm.computedPodSpec" -}}
serviceAccountName: {{ include "vllm.serviceAccountName" . | toYaml }}
automountServiceAccountToken: false
{{- with include "vllm.imagePullSecrets" . | fromJsonArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
# For a Service named vllm, Kubernetes would set VLLM_PORT to a URI, which vLLM rejects at its start.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "vllm.gracePeriod" . }}
{{- with include "vllm.securityContext" (list . .Values.podSecurityContext) | fromJson }}
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
priorityClassName: {{ toYaml . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ toYaml . }}
{{- end }}
{{- with include "vllm.initContainers" . | fromJsonArray }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: vllm
    image: {{ include "vllm.image" . | toYaml }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- if include "vllm.group" . }}
    command:
      {{- include "vllm.groupCommand" . | fromJsonArray | toYaml | nindent 6 }}
    {{- end }}
    # The image's entrypoint is "vllm serve".
    args:
      {{- include "vllm.args" . | fromJsonArray | toYaml | nindent 6 }}
    env:
      {{- include "vllm.env" . | fromJsonArray | toYaml | nindent 6 }}
    {{- with .Values.engine.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if not .worker }}
    ports:
      - name: {{ include "vllm.scheme" . }}
        containerPort: {{ include "vllm.scalar" .Values.server.port }}
        protocol: TCP
      {{- if include "vllm.group" . }}
      - name: members
        containerPort: {{ include "vllm.membersPort" . }}
        protocol: TCP
      {{- end }}
    {{- include "vllm.probes" . | nindent 4 }}
    {{- end }}
    lifecycle:
      preStop:
        exec:
          command:
            {{- include "vllm.preStop" . | fromJsonArray | toYaml | nindent 12 }}
    resources:
      {{- include "vllm.resources" . | fromJson | toYaml | nindent 6 }}
    {{- with include "vllm.securityContext" (list . .Values.securityContext) | fromJson }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    terminationMessagePolicy: FallbackToLogsOnError
    volumeMounts:
      {{- include "vllm.volumeMounts" . | fromJsonArray | toYaml | nindent 6 }}
volumes:
  {{- include "vllm.volumes" . | fromJsonArray | toYaml | nindent 2 }}
{{- end -}}

{{- /* vllm.serviceAccountName: Name of the pod's service account. */ -}}
{{- define "vllm.serviceAccountName" -}}
{{- with .Values.serviceAccount -}}
{{- .name | default (.create | ternary (include "vllm.fullname" $) "default") -}}
{{- end -}}
{{- end -}}
