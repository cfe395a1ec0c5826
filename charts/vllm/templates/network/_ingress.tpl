{{- /* vllm.ingressHosts: Hosts of the Ingress with the name of the TLS Secret of each, as a JSON map. Without a host, ""
matches every host. */ -}}
{{- define "vllm.ingressHosts" -}}
{{- $hosts := dict -}}
{{- range $host, $settings := .Values.ingress.hosts -}}
  {{- if not (kindIs "invalid" $settings) -}}
  {{- $_ := set $hosts $host ($settings.tlsSecret | default "") -}}
  {{- end -}}
{{- end -}}
{{- $hosts | default (dict "" "") | toRawJson -}}
{{- end -}}

{{- /* vllm.ingressTls: Field tls of the Ingress, as a JSON list with an item for each Secret. */ -}}
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
