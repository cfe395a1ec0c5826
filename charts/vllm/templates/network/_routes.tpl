{{- /* vllm.exposedPaths: Paths below server.rootPath that are routed from outside, as a JSON list. Defaults to those that the
model's task requires. */ -}}
{{- define "vllm.exposedPaths" -}}
{{- $paths := list "/v1" -}}
{{- if eq (include "vllm.modelKind" .) "classification" -}}
{{- $paths = append $paths (include "vllm.requestPath" .) -}}
{{- end -}}
{{- .Values.server.exposedPaths | default $paths | toRawJson -}}
{{- end -}}

{{- /* vllm.routedPaths: Exposed paths as clients write them, with server.rootPath prepended, as a JSON list. */ -}}
{{- define "vllm.routedPaths" -}}
{{- $paths := list -}}
{{- range include "vllm.exposedPaths" . | fromJsonArray -}}
{{- $paths = append $paths (printf "%s%s" ($.Values.server.rootPath | default "") .) -}}
{{- end -}}
{{- toRawJson $paths -}}
{{- end -}}

{{- /* vllm.externalUrls: URLs at which the API is reached from outside, as a JSON list of texts. */ -}}
{{- define "vllm.externalUrls" -}}
{{- $hosts := list -}}
{{- if .Values.ingress.enabled -}}
  {{- range $host, $secret := include "vllm.ingressHosts" . | fromJson -}}
  {{- $hosts = append $hosts (printf "%s://%s" ($secret | empty | ternary "http" "https") ($host | default "any-host")) -}}
  {{- end -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
  {{- range .Values.httpRoute.hostnames | default (list "the-gateways-host") -}}
  {{- $hosts = append $hosts . -}}
  {{- end -}}
{{- end -}}
{{- $addresses := list -}}
{{- range $host := $hosts -}}
  {{- range include "vllm.routedPaths" $ | fromJsonArray -}}
  {{- $addresses = append $addresses (printf "%s%s" $host .) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $addresses -}}
{{- end -}}

{{- /* vllm.routeBackend: Backend of the HTTPRoute, as YAML: the InferencePool if enabled, otherwise the Service. */ -}}
{{- define "vllm.routeBackend" -}}
{{- if .Values.inferencePool.enabled -}}
group: inference.networking.k8s.io
kind: InferencePool
name: {{ include "vllm.fullname" . | toYaml }}
{{- else -}}
name: {{ include "vllm.fullname" . | toYaml }}
port: {{ include "vllm.scalar" .Values.service.port }}
{{- end -}}
{{- end -}}
