{{- /* vllm.check.serviceType: The Service is of type ClusterIP, so that unauthenticated paths of vLLM stay inside the
cluster. */ -}}
{{- define "vllm.check.serviceType" -}}
{{- with .Values.service.type -}}
{{- if ne . "ClusterIP" -}}
service.type is {{ . }}, which exposes every path of vLLM, also those that no API key guards (/invocations, /metrics,
  /scale_elastic_ep): set service.type to ClusterIP and route only /v1 from outside.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.nodePort: A node port is set only for a Service of type NodePort or LoadBalancer. */ -}}
{{- define "vllm.check.nodePort" -}}
{{- with .Values.service -}}
{{- if and .nodePort (eq .type "ClusterIP") -}}
service.nodePort is {{ include "vllm.scalar" .nodePort }}, but service.type is ClusterIP: set service.type to NodePort, or
  leave the port out.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.rootPath: The root path overlaps neither with a path that requires an API key nor with one of the probes. */ -}}
{{- define "vllm.check.rootPath" -}}
{{- $given := .Values.server.rootPath | default "" -}}
{{- $args := .server.args -}}
{{- range .Values.engine.extraArgs -}}
{{- $args = without $args (include "vllm.scalar" .) -}}
{{- end -}}
{{- range $root := regexFindAll "--root[-_]path[= ][^ ]+" (join " " $args) -1 -}}
{{- $root = regexReplaceAll "^--root[-_]path[= ]" $root "" -}}
{{- if ne $root $given -}}
podSpec.containers has the root path {{ $root }} among the server's arguments, but routes and the test use
  {{ $given | default "none" }}: set server.rootPath instead.
{{ end -}}
{{- end -}}
{{- if $given -}}
{{- /* vLLM's router removes the root path by whole segments, but its authentication removes it as text. */ -}}
{{- $guarded := list -}}
{{- range $path := list "/v1" "/v2" "/inference" "/cohere" "/adapters" -}}
  {{- if or (hasPrefix $given $path) (hasPrefix (printf "%s/" $path) $given) -}}
  {{- $guarded = append $guarded $path -}}
  {{- end -}}
{{- end -}}
{{- with $guarded -}}
server.rootPath is {{ $given }}, which overlaps with {{ join " and " . }}, so that requests there would need no API key or find
  no route: choose another path, e.g. /llm.
{{ end -}}
{{- if has $given (list "/health" "/metrics") -}}
server.rootPath is {{ $given }}, which probes and monitors request without a root path and would not find: choose another path,
  e.g. /llm.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.exposedPaths: Only paths for clients are exposed, and with API keys only paths that require one. */ -}}
{{- define "vllm.check.exposedPaths" -}}
{{- if or .Values.server.exposedPaths .Values.ingress.enabled .Values.httpRoute.enabled -}}
{{- range include "vllm.exposedPaths" . | fromJsonArray -}}
{{- if not (regexMatch "^/(v1|v2|classify|pooling|score|rerank|health)(/|$)" .) -}}
server.exposedPaths has {{ . }}, which is not for clients outside the cluster: leave it out, and expose /v1, or where the
  model needs it /v2, /classify, /pooling, /score or /rerank.
{{ else if and (include "vllm.apiKeys" $ | fromJson) (not (regexMatch "^/(v1|v2|health)(/|$)" .)) -}}
server.exposedPaths has {{ . }}, which no API key guards, though server.apiKey.keys is set: set server.exposedPaths to [/v1],
  or ask for a key in front of the server and switch this check off.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.httpRoute: The HTTPRoute has a Gateway. */ -}}
{{- define "vllm.check.httpRoute" -}}
{{- with .Values.httpRoute -}}
{{- if and .enabled (not .parentRefs) -}}
httpRoute.enabled is true, but no Gateway is named: set httpRoute.parentRefs, as [{name: public, namespace: gateways}].
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.inferencePool: The InferencePool has an endpoint picker, and the server uses plain HTTP. */ -}}
{{- define "vllm.check.inferencePool" -}}
{{- with .Values.inferencePool -}}
{{- if and .enabled (not .endpointPicker.name) -}}
inferencePool.enabled is true, but no endpoint picker is named: set inferencePool.endpointPicker.name to its Service.
{{ end -}}
{{- if and .enabled $.Values.server.tls -}}
inferencePool.enabled is true, and an InferencePool speaks plain HTTP to its servers: leave server.tls out, or
  inferencePool.enabled.
{{- end -}}
{{- end -}}
{{- end -}}
