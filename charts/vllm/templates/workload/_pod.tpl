{{- /* vllm.pod: the spec of a pod that serves the model, or in a group leads it, with the user's podSpec laid over it; .worker makes it that of a worker. Nothing is returned: it is put together once and kept in .pod, as workloads and checks both need it. */ -}}
{{- define "vllm.pod" -}}
{{- if not .pod -}}
{{- $spec := include "vllm.computedPod" . | fromJson -}}
{{- $overlays := list .Values.podSpec -}}
{{- if include "vllm.group" . -}}
{{- $overlays = append $overlays (empty .worker | ternary .Values.distributed.leaderPodSpec .Values.distributed.workerPodSpec) -}}
{{- end -}}
{{- range $overlays -}}
{{- include "vllm.overlay" (dict "base" $spec "over" (. | default dict)) -}}
{{- end -}}
{{- range concat ($spec.initContainers | default list) ($spec.containers | default list) -}}
{{- include "vllm.amounts" (.resources | default dict) -}}
{{- end -}}
{{- $_ := toRawJson $spec | fromJson | set . "pod" -}}
{{- end -}}
{{- end -}}

{{- /* vllm.securityContext: a security context without what securityPreset leaves to the cluster, as JSON. Takes a list of root and context. */ -}}
{{- define "vllm.securityContext" -}}
{{- $context := last . | default dict -}}
{{- if eq (first .).Values.securityPreset "openshift" -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toRawJson $context -}}
{{- end -}}

{{- /* vllm.initContainers: the containers that run before the server, the chart's with the user's laid over them, as a JSON list in the order of their names; each is as secure as the server unless it says otherwise, and resources replace the chart's whole. */ -}}
{{- define "vllm.initContainers" -}}
{{- $containers := merge (include "vllm.sourceContainers" . | fromJson) (include "vllm.securityContainers" . | fromJson) -}}
{{- range $name, $given := .Values.initContainers -}}
{{- if and (hasKey ($given | default dict) "resources") (hasKey $containers $name) -}}
{{- /* a limit of the user's may lie below what the chart asks for */ -}}
{{- $_ := unset (index $containers $name) "resources" -}}
{{- end -}}
{{- end -}}
{{- include "vllm.overlay" (dict "base" $containers "over" (.Values.initContainers | default dict)) -}}
{{- $list := list -}}
{{- range $name, $container := $containers -}}
{{- if $container -}}
{{- $init := dict "name" $name "securityContext" (include "vllm.securityContext" (list $ $.Values.securityContext) | fromJson) -}}
{{- include "vllm.overlay" (dict "base" $init "over" $container) -}}
{{- $list = append $list $init -}}
{{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}

{{- /* vllm.computedPod: the spec of a pod that serves the model, before podSpec, as JSON, which is read sooner than YAML. */ -}}
{{- define "vllm.computedPod" -}}
{
  "serviceAccountName": {{ include "vllm.serviceAccountName" . | toRawJson }},
  "automountServiceAccountToken": false,
  {{- with include "vllm.imagePullSecrets" . | fromJsonArray }}
  "imagePullSecrets": {{ toRawJson . }},
  {{- end }}
  {{- /* Kubernetes would set VLLM_PORT to a URI for a Service named vllm, and vLLM would refuse to start. */}}
  "enableServiceLinks": false,
  "terminationGracePeriodSeconds": {{ include "vllm.gracePeriod" . }},
  {{- with include "vllm.securityContext" (list . .Values.podSecurityContext) | fromJson }}
  "securityContext": {{ toRawJson . }},
  {{- end }}
  {{- $placed := dict
    "nodeSelector" .Values.nodeSelector
    "tolerations" .Values.tolerations
    "affinity" .Values.affinity
    "topologySpreadConstraints" .Values.topologySpreadConstraints
    "priorityClassName" .Values.priorityClassName
    "runtimeClassName" .Values.runtimeClassName
  }}
  {{- range $field, $value := $placed }}
  {{- with $value }}
  {{ toRawJson $field }}: {{ toRawJson . }},
  {{- end }}
  {{- end }}
  {{- with include "vllm.initContainers" . | fromJsonArray }}
  "initContainers": {{ toRawJson . }},
  {{- end }}
  "containers": [{
    "name": "vllm",
    "image": {{ include "vllm.image" . | toRawJson }},
    "imagePullPolicy": {{ toRawJson .Values.image.pullPolicy }},
    {{- if include "vllm.group" . }}
    "command": {{ include "vllm.groupCommand" . }},
    {{- end }}
    {{- /* The image's entrypoint is "vllm serve". */}}
    "args": {{ include "vllm.args" . }},
    "env": {{ include "vllm.env" . }},
    {{- with .Values.engine.envFrom }}
    "envFrom": {{ toRawJson . }},
    {{- end }}
    {{- if not .worker }}
    "ports": [
      {
        "name": {{ include "vllm.scheme" . | toRawJson }},
        "containerPort": {{ include "vllm.scalar" .Values.server.port }},
        "protocol": "TCP"
      }
      {{- if include "vllm.group" . }},
      {
        "name": "members",
        "containerPort": {{ include "vllm.membersPort" . }},
        "protocol": "TCP"
      }
      {{- end }}
    ],
    {{- include "vllm.probes" . | nindent 4 }},
    {{- end }}
    "lifecycle": {"preStop": {"exec": {"command": {{ include "vllm.preStop" . }}}}},
    "resources": {{ include "vllm.resources" . }},
    {{- with include "vllm.securityContext" (list . .Values.securityContext) | fromJson }}
    "securityContext": {{ toRawJson . }},
    {{- end }}
    "terminationMessagePolicy": "FallbackToLogsOnError",
    "volumeMounts": {{ include "vllm.volumeMounts" . }}
  }],
  "volumes": {{ include "vllm.volumes" . }}
}
{{- end -}}
