{{- /* vllm.apiKeys: the API keys that hold, as a JSON map of name to {existingSecret, key}. */ -}}
{{- define "vllm.apiKeys" -}}
{{- $keys := dict -}}
{{- range $name, $key := .Values.server.apiKey.keys -}}
  {{- if $key -}}
  {{- $_ := set $keys $name $key -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $keys -}}
{{- end -}}

{{- /* vllm.apiKeysVolume: a volume with one file for each API key, under the key's name in the values, as JSON. */ -}}
{{- define "vllm.apiKeysVolume" -}}
{{- $sources := list -}}
{{- range $name, $key := include "vllm.apiKeys" . | fromJson -}}
{{- $item := dict "key" $key.key "path" $name -}}
{{- $sources = append $sources (dict "secret" (dict "name" $key.existingSecret "items" (list $item))) -}}
{{- end -}}
{{- dict "projected" (dict "sources" $sources) | toRawJson -}}
{{- end -}}

{{- /* vllm.securityVolumes: the volumes with API keys and the certificate, as a JSON map of name to volume. */ -}}
{{- define "vllm.securityVolumes" -}}
{{- $volumes := dict -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $_ := set $volumes "api-keys" (include "vllm.apiKeysVolume" . | fromJson) -}}
{{- $_ := set $volumes "server-config" (dict "emptyDir" (dict "medium" "Memory" "sizeLimit" "1Mi")) -}}
{{- end -}}
{{- with .Values.server.tls -}}
{{- $_ := set $volumes "tls" (dict "secret" (dict "secretName" .existingSecret)) -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}

{{- /* vllm.securityMounts: the server's mounts of those volumes, as a JSON map of path to mount. */ -}}
{{- define "vllm.securityMounts" -}}
{{- $mounts := dict -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $_ := set $mounts "/etc/vllm/config" (dict "name" "server-config" "readOnly" true) -}}
{{- end -}}
{{- with .Values.server.tls -}}
{{- $_ := set $mounts "/etc/vllm/tls" (dict "name" "tls" "readOnly" true) -}}
{{- end -}}
{{- toRawJson $mounts -}}
{{- end -}}

{{- /* vllm.securityContainers: the container that writes the API keys into a file in memory before the server starts, as a JSON map of name to container. */ -}}
{{- define "vllm.securityContainers" -}}
{{- $containers := dict -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $_ := set $containers "api-keys" (dict
  "image" (include "vllm.image" .)
  "imagePullPolicy" .Values.image.pullPolicy
  "command" (list "python3" "-I" "-c" (.Files.Get "files/programs/api_keys.py") "/etc/vllm/api-keys" "/etc/vllm/config/server.yaml")
  "resources" (include "vllm.initResources" . | fromJson)
  "terminationMessagePolicy" "FallbackToLogsOnError"
  "volumeMounts" (list
    (dict "name" "api-keys" "mountPath" "/etc/vllm/api-keys" "readOnly" true)
    (dict "name" "server-config" "mountPath" "/etc/vllm/config")
  )
) -}}
{{- end -}}
{{- toRawJson $containers -}}
{{- end -}}

{{- /* vllm.scheme: the protocol that the server speaks, which is also the name of its port. */ -}}
{{- define "vllm.scheme" -}}
{{- if .Values.server.tls }}https{{ else }}http{{ end -}}
{{- end -}}

{{- /* vllm.host: the name of the Service in the cluster's DNS, for which a certificate must be. */ -}}
{{- define "vllm.host" -}}
{{ include "vllm.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{- /* vllm.scrapeTls: what a monitor needs to scrape a server that speaks HTTPS, as YAML; without an authority it takes any certificate. */ -}}
{{- define "vllm.scrapeTls" -}}
{{- with .Values.server.tls -}}
scheme: https
tlsConfig:
  {{- if .caKey }}
  ca:
    secret:
      name: {{ .existingSecret | quote }}
      key: {{ .caKey | quote }}
  serverName: {{ include "vllm.host" $ }}
  {{- else }}
  insecureSkipVerify: true
  {{- end }}
{{- end -}}
{{- end -}}
