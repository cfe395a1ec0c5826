{{- /* vllm.securityContext: A security context without the fields that securityPreset leaves to the cluster, as a JSON map.
Takes a list of the root context and the security context. */ -}}
{{- define "vllm.securityContext" -}}
{{- $context := last . | default dict -}}
{{- if eq (first .).Values.securityPreset "openshift" -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toRawJson $context -}}
{{- end -}}
