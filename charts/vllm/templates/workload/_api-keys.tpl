{{- /* vllm.apiKeys: API keys that are set, as a JSON map of name to {existingSecret, key}. */ -}}
{{- define "vllm.apiKeys" -}}
{{- $keys := dict -}}
{{- range $name, $key := .Values.server.apiKey.keys -}}
  {{- if $key -}}
  {{- $_ := set $keys $name $key -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $keys -}}
{{- end -}}

{{- /* vllm.apiKeysVolume: Volume with a file for each API key, named like the key in the values, as JSON. */ -}}
{{- define "vllm.apiKeysVolume" -}}
{{- $sources := list -}}
{{- range $name, $key := include "vllm.apiKeys" . | fromJson -}}
{{- $item := dict "key" $key.key "path" $name -}}
{{- $sources = append $sources (dict "secret" (dict "name" $key.existingSecret "items" (list $item))) -}}
{{- end -}}
{{- dict "projected" (dict "sources" $sources) | toRawJson -}}
{{- end -}}

{{- /* vllm.apiKeyVolumes: Volumes with the API keys and with the server's configuration file, as a JSON map of name to volume. */ -}}
{{- define "vllm.apiKeyVolumes" -}}
{{- $volumes := dict -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $_ := set $volumes "api-keys" (include "vllm.apiKeysVolume" . | fromJson) -}}
{{- $_ := set $volumes "server-config" (dict "emptyDir" (dict "medium" "Memory" "sizeLimit" "1Mi")) -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}

{{- /* vllm.apiKeyMounts: The server's mounts of these volumes, as a JSON map of path to mount. */ -}}
{{- define "vllm.apiKeyMounts" -}}
{{- $mounts := dict -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $_ := set $mounts "/etc/vllm/config" (dict "name" "server-config" "readOnly" true) -}}
{{- end -}}
{{- toRawJson $mounts -}}
{{- end -}}

{{- /* vllm.apiKeyContainers: Init container that writes the API keys into the server's configuration file, which is in memory, as
a JSON map of name to container. */ -}}
{{- define "vllm.apiKeyContainers" -}}
{{- $containers := dict -}}
{{- if include "vllm.apiKeys" . | fromJson -}}
{{- $arguments := list "/etc/vllm/api-keys" "/etc/vllm/config/server.yaml" -}}
{{- $_ := set $containers "api-keys" (dict
  "image" (include "vllm.image" .)
  "imagePullPolicy" .Values.image.pullPolicy
  "command" (include "vllm.programCommand" (list . "api_keys.py" $arguments) | fromJsonArray)
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
