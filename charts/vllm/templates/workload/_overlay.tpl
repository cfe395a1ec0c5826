{{- /* vllm.overlay: nothing; lays the map .over onto the map .base, in place. Maps are merged, null removes, false and 0 count as values, and lists follow vllm.overlayList. */ -}}
{{- define "vllm.overlay" -}}
{{- $base := .base -}}
{{- range $key, $new := .over -}}
  {{- $old := index $base $key -}}
  {{- if kindIs "invalid" $new -}}
  {{- $_ := unset $base $key -}}
  {{- else if kindIs "map" $new -}}
  {{- $merged := kindIs "map" $old | ternary $old dict -}}
  {{- include "vllm.overlay" (dict "base" $merged "over" $new) -}}
  {{- $_ := set $base $key $merged -}}
  {{- else if kindIs "slice" $new -}}
  {{- $merged := include "vllm.overlayList" (dict "name" $key "base" ($old | default list) "over" $new) -}}
  {{- $_ := set $base $key (fromJsonArray $merged) -}}
  {{- else -}}
  {{- $_ := set $base $key $new -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.overlayList: the list .over laid onto the list .base, as JSON; .name is the field that holds them. Items with the same key are merged, a variable of env is replaced whole, tolerations are appended, and a list without keys is replaced. */ -}}
{{- define "vllm.overlayList" -}}
{{- $fields := include "vllm.overlayFields" . | fromJsonArray -}}
{{- $items := list -}}
{{- if or $fields (eq .name "tolerations") -}}
{{- $items = .base -}}
{{- end -}}
{{- $name := .name -}}
{{- range $new := .over -}}
  {{- $merged := $new -}}
  {{- $found := false -}}
  {{- if kindIs "map" $new -}}
    {{- $merged = dict -}}
    {{- $others := list -}}
    {{- $key := include "vllm.overlayKey" (dict "fields" $fields "item" $new) -}}
    {{- range $old := $items -}}
      {{- if and $fields (eq $key (include "vllm.overlayKey" (dict "fields" $fields "item" $old))) -}}
      {{- $found = true -}}
      {{- if ne $name "env" -}}
      {{- $merged = $old -}}
      {{- end -}}
      {{- include "vllm.overlay" (dict "base" $merged "over" $new) -}}
      {{- $others = append $others $merged -}}
      {{- else -}}
      {{- $others = append $others $old -}}
      {{- end -}}
    {{- end -}}
    {{- $items = $others -}}
    {{- if not $found -}}
    {{- include "vllm.overlay" (dict "base" $merged "over" $new) -}}
    {{- end -}}
  {{- end -}}
  {{- if not $found -}}
  {{- $items = append $items $merged -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $items -}}
{{- end -}}

{{- /* vllm.overlayFields: the fields that make the key of an item in the list .name of a pod, as a JSON list; empty for a list without keys. */ -}}
{{- define "vllm.overlayFields" -}}
{{- $lists := dict
  "containers" (list "name")
  "initContainers" (list "name")
  "volumes" (list "name")
  "env" (list "name")
  "resourceClaims" (list "name")
  "imagePullSecrets" (list "name")
  "volumeMounts" (list "mountPath")
  "ports" (list "containerPort" "protocol")
  "topologySpreadConstraints" (list "topologyKey" "whenUnsatisfiable")
  "hostAliases" (list "ip")
-}}
{{- index $lists .name | default list | toRawJson -}}
{{- end -}}

{{- /* vllm.overlayKey: the key of .item by its .fields, as a text; a port is TCP unless it says otherwise. */ -}}
{{- define "vllm.overlayKey" -}}
{{- range .fields -}}
{{- index $.item . | default (eq . "protocol" | ternary "TCP" "") | include "vllm.scalar" }} {{ end -}}
{{- end -}}
