{{- /* vllm.resources: Resources of the server with the derived number of devices, as JSON. */ -}}
{{- define "vllm.resources" -}}
{{- $resources := deepCopy (.Values.resources | default dict) -}}
{{- $name := include "vllm.resourceName" . -}}
{{- $limits := $resources.limits | default dict -}}
{{- if and $name (not (hasKey $limits $name)) -}}
{{- $_ := set $limits $name (include "vllm.devices" . | int64) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toRawJson $resources -}}
{{- end -}}

{{- /* vllm.withPodSpec: Resources of the server with those of podSpec merged into them, as JSON. Takes a list of the root context
and the resources. */ -}}
{{- define "vllm.withPodSpec" -}}
{{- $server := dict "resources" (last .) -}}
{{- range ((first .).Values.podSpec).containers -}}
{{- if eq .name "vllm" -}}
{{- $server = include "vllm.overlay" (dict "base" $server "over" (pick . "resources")) | fromJson -}}
{{- end -}}
{{- end -}}
{{- $server.resources | default dict | toRawJson -}}
{{- end -}}

{{- /* vllm.givenResources: Resources of the server as the user sets them, with those of podSpec, as JSON. */ -}}
{{- define "vllm.givenResources" -}}
{{- include "vllm.withPodSpec" (list . (.Values.resources | default dict)) -}}
{{- end -}}

{{- /* vllm.initResources: Resources of the chart's own init containers, as JSON: the CPU and memory of the server. They reserve
no more than the server, keep the pod's quality of service class, and satisfy a ResourceQuota. */ -}}
{{- define "vllm.initResources" -}}
{{- $resources := dict -}}
{{- range $part, $amounts := pick (include "vllm.givenResources" . | fromJson) "limits" "requests" -}}
  {{- with pick ($amounts | default dict) "cpu" "memory" -}}
  {{- $_ := set $resources $part . -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $resources -}}
{{- end -}}

{{- /* vllm.cpuRequest: Number of whole cores that the server requests; empty without a request. */ -}}
{{- define "vllm.cpuRequest" -}}
{{- $resources := include "vllm.givenResources" . | fromJson -}}
{{- $quantity := ($resources.requests).cpu | default ($resources.limits).cpu | default "" | toString -}}
{{- if hasSuffix "m" $quantity -}}
{{- divf (trimSuffix "m" $quantity | float64) 1000 | floor | int64 -}}
{{- else if $quantity -}}
{{- float64 $quantity | floor | int64 -}}
{{- end -}}
{{- end -}}

{{- /* vllm.cpuThreads: Number of OpenMP threads of each CPU worker: the requested cores, less one for the API process, divided
among the workers; at least 1. */ -}}
{{- define "vllm.cpuThreads" -}}
{{- $cores := include "vllm.cpuRequest" . | int64 -}}
{{- max 1 (div (sub $cores 1) (include "vllm.workers" . | int64)) -}}
{{- end -}}

{{- /* vllm.deviceClaims: Names of the resource claims by which the pod gets its devices if podSpec removes the extended resource,
joined by commas; otherwise empty. */ -}}
{{- define "vllm.deviceClaims" -}}
{{- $claims := list -}}
{{- with include "vllm.withPodSpec" (list . (include "vllm.resources" . | fromJson)) | fromJson -}}
{{- if not (hasKey (.limits | default dict) (include "vllm.resourceName" $)) -}}
{{- range .claims -}}
{{- $claims = append $claims .name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join ", " $claims -}}
{{- end -}}

{{- /* vllm.quoteQuantities: Resources of a container with fractions as strings, as JSON. A Deployment accepts the number 0.5, but
the CustomResourceDefinition of LeaderWorkerSet does not. */ -}}
{{- define "vllm.quoteQuantities" -}}
{{- $resources := deepCopy . -}}
{{- range $amounts := list $resources.limits $resources.requests -}}
  {{- range $name, $amount := $amounts -}}
  {{- if and (kindIs "float64" $amount) (ne $amount (floor $amount)) -}}
  {{- $_ := set $amounts $name (toString $amount) -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $resources -}}
{{- end -}}
