{{- /* vllm.policyPeers: Peers that the NetworkPolicy allows, as a JSON list: the given ones, every pod of the given namespaces,
and the pod of helm test. */ -}}
{{- define "vllm.policyPeers" -}}
{{- $peers := .Values.networkPolicy.from -}}
{{- range $namespace, $enter := .Values.networkPolicy.namespaces -}}
  {{- if $enter -}}
  {{- $labels := dict "kubernetes.io/metadata.name" $namespace -}}
  {{- $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" $labels)) -}}
  {{- end -}}
{{- end -}}
{{- $test := dict "podSelector" (dict "matchLabels" (include "vllm.testLabels" . | fromYaml)) -}}
{{- append $peers $test | toRawJson -}}
{{- end -}}
