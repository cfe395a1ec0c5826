{{- /* vllm.check.cache: Each cache has the settings that its type requires, and no others. */ -}}
{{- define "vllm.check.cache" -}}
{{- range $name, $cache := .Values.cache -}}
{{- if and (eq $cache.type "existing") (not $cache.claimName) -}}
cache.{{ $name }}.type is existing, but no claim is named: set cache.{{ $name }}.claimName.
{{ end -}}
{{- if and (eq $cache.type "claim") (not $cache.size) -}}
cache.{{ $name }}.type is claim, but the new claim has no size: set cache.{{ $name }}.size, as 100Gi.
{{ end -}}
{{- if and $cache.claimName (ne $cache.type "existing") -}}
cache.{{ $name }}.claimName is {{ $cache.claimName }}, but cache.{{ $name }}.type is {{ $cache.type }}: set the type to
  existing, or leave the name out.
{{ end -}}
{{- end -}}
{{- if and (not (include "vllm.usesHub" .)) (ne .Values.cache.model.type "emptyDir") -}}
cache.model.type is {{ .Values.cache.model.type }}, but the cache is for what comes from Hugging Face, and model.uri is
  "{{ .Values.model.uri }}": leave cache.model out.
{{ end -}}
{{- end -}}

{{- /* vllm.check.claimAccess: A PVC that the chart creates can be mounted by all replicas. */ -}}
{{- define "vllm.check.claimAccess" -}}
{{- $replicas := include "vllm.maxReplicas" . | int64 -}}
{{- $nodes := include "vllm.nodes" . | int64 -}}
{{- if gt (mul $replicas $nodes) 1 -}}
{{- range $name := include "vllm.singleNodeCaches" . | fromJsonArray -}}
{{- $modes := (index $.Values.cache $name).accessModes -}}
There may be {{ $replicas }} replicas{{ if gt $nodes 1 }} of {{ $nodes }} pods{{ end }}, but the claim of cache.{{ $name }} is
  {{ join ", " $modes }}, which one node mounts at a time: set cache.{{ $name }}.accessModes to [ReadWriteMany] with a storage
  class that has it, or cache.{{ $name }}.type to emptyDir.
{{ end -}}
{{- end -}}
{{- end -}}
