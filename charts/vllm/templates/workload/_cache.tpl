{{- /* vllm.cacheClaim: Name of the PVC of a cache. Takes a list of the root context and the cache's name. */ -}}
{{- define "vllm.cacheClaim" -}}
{{- $root := first . -}}
{{- $name := last . -}}
{{- with index $root.Values.cache $name -}}
{{- if eq .type "existing" -}}
{{- .claimName -}}
{{- else -}}
{{- include "vllm.shorten" (list (printf "%s-%s-cache" (include "vllm.fullname" $root) $name) 63) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.cacheVolumes: Volumes of the caches, as a JSON map of name to volume. */ -}}
{{- define "vllm.cacheVolumes" -}}
{{- $volumes := dict -}}
{{- range $name, $cache := .Values.cache -}}
  {{- $source := dict -}}
  {{- if eq $cache.type "emptyDir" -}}
    {{- $empty := dict -}}
    {{- with $cache.size -}}
    {{- $_ := set $empty "sizeLimit" . -}}
    {{- end -}}
    {{- $source = dict "emptyDir" $empty -}}
  {{- else -}}
    {{- $source = dict "persistentVolumeClaim" (dict "claimName" (include "vllm.cacheClaim" (list $ $name))) -}}
  {{- end -}}
  {{- $_ := set $volumes (printf "%s-cache" $name) $source -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}

{{- /* vllm.compileKey: Name that differs whenever compiled code does: by image, model, and type and resource of the devices. */ -}}
{{- define "vllm.compileKey" -}}
{{- $model := list .Values.model.uri (.Values.model.revision | default "") -}}
{{- $devices := list .Values.accelerator.type (include "vllm.resourceName" .) -}}
{{- concat (list (include "vllm.image" .)) $model $devices | join " " | sha256sum | trunc 16 -}}
{{- end -}}

{{- /* vllm.singleNodeCaches: Names of the caches whose PVC the chart creates and only one node at a time can mount, as a JSON
list. */ -}}
{{- define "vllm.singleNodeCaches" -}}
{{- $names := list -}}
{{- range $name, $cache := .Values.cache -}}
  {{- if and (eq $cache.type "claim") (not (has "ReadWriteMany" $cache.accessModes)) -}}
  {{- $names = append $names $name -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $names -}}
{{- end -}}
