{{- /* vllm.exposedPaths: the paths that are routed from outside, below server.rootPath, as a JSON list: the given ones, or those that the kind of model needs. */ -}}
{{- define "vllm.exposedPaths" -}}
{{- $paths := list "/v1" -}}
{{- if eq (include "vllm.modelKind" .) "classification" -}}
{{- $paths = append $paths (include "vllm.requestPath" .) -}}
{{- end -}}
{{- .Values.server.exposedPaths | default $paths | toRawJson -}}
{{- end -}}

{{- /* vllm.routedPaths: the same as clients write them, with server.rootPath in front, as a JSON list. */ -}}
{{- define "vllm.routedPaths" -}}
{{- $paths := list -}}
{{- range include "vllm.exposedPaths" . | fromJsonArray -}}
{{- $paths = append $paths (printf "%s%s" ($.Values.server.rootPath | default "") .) -}}
{{- end -}}
{{- toRawJson $paths -}}
{{- end -}}

{{- /* vllm.ingressHosts: the hosts of the Ingress with the name of the Secret for each, as a JSON map; without a host, "" takes every one. */ -}}
{{- define "vllm.ingressHosts" -}}
{{- $hosts := dict -}}
{{- range $host, $settings := .Values.ingress.hosts -}}
  {{- if not (kindIs "invalid" $settings) -}}
  {{- $_ := set $hosts $host ($settings.tlsSecret | default "") -}}
  {{- end -}}
{{- end -}}
{{- $hosts | default (dict "" "") | toRawJson -}}
{{- end -}}

{{- /* vllm.ingressTls: the part tls of the Ingress, as a JSON list with one item for each Secret. */ -}}
{{- define "vllm.ingressTls" -}}
{{- $secrets := dict -}}
{{- range $host, $secret := include "vllm.ingressHosts" . | fromJson -}}
  {{- with $secret -}}
  {{- $_ := set $secrets . (append (index $secrets . | default list) $host) -}}
  {{- end -}}
{{- end -}}
{{- $list := list -}}
{{- range $secret, $hosts := $secrets -}}
{{- $list = append $list (dict "secretName" $secret "hosts" $hosts) -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}

{{- /* vllm.outside: the addresses at which the server is reached from outside, as a JSON list of texts. */ -}}
{{- define "vllm.outside" -}}
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

{{- /* vllm.routeBackend: where an HTTPRoute sends requests, as YAML: the InferencePool where there is one, else the Service. */ -}}
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

{{- /* vllm.policyPeers: the peers that the NetworkPolicy lets in, as a JSON list: the given ones, every pod of the given namespaces, and the pod of helm test. */ -}}
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
