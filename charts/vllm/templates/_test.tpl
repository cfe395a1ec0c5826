{{- /* vllm.testName: Name of the pod of helm test. */ -}}
{{- define "vllm.testName" -}}
{{- include "vllm.shorten" (list (printf "%s-test" (include "vllm.fullname" .)) 63) -}}
{{- end -}}

{{- /* vllm.testLabels: Labels of the pod of helm test, as YAML. They differ from those of replicas, so that no selector of
replicas matches it. */ -}}
{{- define "vllm.testLabels" -}}
app.kubernetes.io/name: {{ include "vllm.shorten" (list (printf "%s-test" (include "vllm.name" .)) 63) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* vllm.testVolumes: Volumes of the pod of helm test with API keys and the CA certificate, as a JSON list. */ -}}
{{- define "vllm.testVolumes" -}}
{{- $volumes := list -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $volumes = append $volumes (merge (dict "name" "api-keys") (include "vllm.apiKeysVolume" . | fromJson)) -}}
{{- end -}}
{{- with (.Values.server.tls).caKey -}}
{{- $secret := dict "secretName" $.Values.server.tls.existingSecret "items" (list (dict "key" . "path" "ca.crt")) -}}
{{- $volumes = append $volumes (dict "name" "tls" "secret" $secret) -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}

{{- /* vllm.testCommand: Command of the pod of helm test, as a JSON list. */ -}}
{{- define "vllm.testCommand" -}}
{{- $address := printf "%s://%s:%s" (include "vllm.scheme" .) (include "vllm.host" .) (include "vllm.scalar" .Values.service.port) -}}
{{- $names := include "vllm.modelNames" . | fromJsonArray -}}
{{- range include "vllm.sources" . | fromJsonArray | rest -}}
{{- $names = append $names .adapter -}}
{{- end -}}
{{- $arguments := list $address (.Values.server.rootPath | default "") (include "vllm.firstRequest" .) (toRawJson $names) -}}
{{- include "vllm.programCommand" (list . "smoke_test.py" $arguments) -}}
{{- end -}}
