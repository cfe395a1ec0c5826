{{- /* vllm.cacheClaim: the name of the claim in which a cache lies. Takes a list of root and the cache's name. */ -}}
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

{{- /* vllm.cacheVolumes: the volumes of the caches by name, as a JSON map. */ -}}
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

{{- /* vllm.compileKey: a name that differs where compiled code does: by image, model, and kind and resource of the devices. */ -}}
{{- define "vllm.compileKey" -}}
{{- list (include "vllm.image" .) .Values.model.uri (.Values.model.revision | default "") .Values.accelerator.type (include "vllm.resourceName" .) | join " " | sha256sum | trunc 16 -}}
{{- end -}}

{{- /* vllm.singleNodeCaches: the names of the caches whose claim the chart makes for one node at a time, as a JSON list. */ -}}
{{- define "vllm.singleNodeCaches" -}}
{{- $names := list -}}
{{- range $name, $cache := .Values.cache -}}
  {{- if and (eq $cache.type "claim") (not (has "ReadWriteMany" $cache.accessModes)) -}}
  {{- $names = append $names $name -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $names -}}
{{- end -}}
