{{- /* vllm.overlay: Map .base with the map .over merged into it, as JSON. Maps are merged, null removes a key, false and 0 are
values like any other, and lists follow vllm.overlayList. */ -}}
{{- define "vllm.overlay" -}}
{{- $merged := omit .base -}}
{{- range $key, $new := .over -}}
  {{- $old := index $merged $key -}}
  {{- if kindIs "invalid" $new -}}
  {{- $_ := unset $merged $key -}}
  {{- else if kindIs "map" $new -}}
  {{- $map := include "vllm.overlay" (dict "base" (kindIs "map" $old | ternary $old dict) "over" $new) -}}
  {{- $_ := set $merged $key (fromJson $map) -}}
  {{- else if kindIs "slice" $new -}}
  {{- $list := include "vllm.overlayList" (dict "name" $key "base" ($old | default list) "over" $new) -}}
  {{- $_ := set $merged $key (fromJsonArray $list) -}}
  {{- else -}}
  {{- $_ := set $merged $key $new -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $merged -}}
{{- end -}}

{{- /* vllm.overlayList: List .base with the list .over merged into it, as JSON; .name is the field that holds them. Items with
the same key are merged, but a variable of env is replaced. Tolerations are appended. A list whose items have no key is
replaced. */ -}}
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
    {{- $others := list -}}
    {{- $key := include "vllm.overlayKey" (dict "fields" $fields "item" $new) -}}
    {{- range $old := $items -}}
      {{- if and $fields (eq $key (include "vllm.overlayKey" (dict "fields" $fields "item" $old))) -}}
      {{- $found = true -}}
      {{- $base := eq $name "env" | ternary dict $old -}}
      {{- $others = include "vllm.overlay" (dict "base" $base "over" $new) | fromJson | append $others -}}
      {{- else -}}
      {{- $others = append $others $old -}}
      {{- end -}}
    {{- end -}}
    {{- $items = $others -}}
    {{- /* Without nulls, as a new item has nothing to remove. */ -}}
    {{- $merged = include "vllm.overlay" (dict "base" dict "over" $new) | fromJson -}}
  {{- end -}}
  {{- if not $found -}}
  {{- $items = append $items $merged -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $items -}}
{{- end -}}

{{- /* vllm.overlayFields: Fields that are the key of an item in the list .name of a pod, as a JSON list; null if its items have
no key. */ -}}
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
{{- index $lists .name | toRawJson -}}
{{- end -}}

{{- /* vllm.overlayKey: Key of .item, given by its .fields, as a text. The protocol of a port defaults to TCP. */ -}}
{{- define "vllm.overlayKey" -}}
{{- range .fields -}}
{{- index $.item . | default (eq . "protocol" | ternary "TCP" "") | include "vllm.scalar" }} {{ end -}}
{{- end -}}
