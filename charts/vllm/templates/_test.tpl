{{- /* vllm.testName: the name of the pod of helm test. */ -}}
{{- define "vllm.testName" -}}
{{- include "vllm.shorten" (list (printf "%s-test" (include "vllm.fullname" .)) 63) -}}
{{- end -}}

{{- /* vllm.testLabels: the labels of that pod, which are others than the servers', so that nothing takes it for one. */ -}}
{{- define "vllm.testLabels" -}}
app.kubernetes.io/name: {{ include "vllm.shorten" (list (printf "%s-test" (include "vllm.name" .)) 63) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* vllm.testVolumes: the volumes of that pod with API keys and the authority of the certificate, as a JSON list. */ -}}
{{- define "vllm.testVolumes" -}}
{{- $volumes := list -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $volumes = append $volumes (merge (dict "name" "api-keys") (include "vllm.apiKeysVolume" . | fromJson)) -}}
{{- end -}}
{{- with (.Values.server.tls).caKey -}}
{{- $items := list (dict "key" . "path" "ca.crt") -}}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (dict "secretName" $.Values.server.tls.existingSecret "items" $items)) -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}

{{- /* vllm.testCommand: the command of that pod, as a JSON list. */ -}}
{{- define "vllm.testCommand" -}}
{{- $address := printf "%s://%s:%s" (include "vllm.scheme" .) (include "vllm.host" .) (include "vllm.scalar" .Values.service.port) -}}
{{- $names := include "vllm.modelNames" . | fromJsonArray -}}
{{- range include "vllm.sources" . | fromJsonArray | rest -}}
{{- $names = append $names .adapter -}}
{{- end -}}
{{- list "python3" "-I" "-c" (.Files.Get "files/programs/smoke_test.py") $address (.Values.server.rootPath | default "") (include "vllm.firstRequest" .) (toRawJson $names) | toRawJson -}}
{{- end -}}
