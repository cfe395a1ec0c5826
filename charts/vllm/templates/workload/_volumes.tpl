{{- /* vllm.volumes: Volumes of the pod, as a JSON list. The user's replace the chart's of the same name. */ -}}
{{- define "vllm.volumes" -}}
{{- $volumes := dict
  "tmp" (dict "emptyDir" dict)
  "home" (dict "emptyDir" dict)
  "shm" (dict "emptyDir" (dict "medium" "Memory" "sizeLimit" (include "vllm.sharedMemory" .)))
  "lifecycle" (dict "configMap" (dict "name" (include "vllm.partName" (list . "lifecycle"))))
-}}
{{- with .Values.engine.files -}}
{{- $_ := set $volumes "files" (dict "configMap" (dict "name" (include "vllm.partName" (list $ "files")))) -}}
{{- end -}}
{{- $volumes = merge $volumes
  (include "vllm.cacheVolumes" . | fromJson)
  (include "vllm.sourceVolumes" . | fromJson)
  (include "vllm.apiKeyVolumes" . | fromJson)
  (include "vllm.tlsVolumes" . | fromJson)
-}}
{{- range $name, $volume := .Values.extraVolumes -}}
{{- $_ := set $volumes $name $volume -}}
{{- end -}}
{{- $list := list -}}
{{- range $name, $volume := $volumes -}}
{{- if $volume -}}
{{- $list = append $list (merge (dict "name" $name) $volume) -}}
{{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}

{{- /* vllm.volumeMounts: Volume mounts of the server, as a JSON list. The user's replace the chart's of the same path. */ -}}
{{- define "vllm.volumeMounts" -}}
{{- $mounts := dict
  "/tmp" (dict "name" "tmp")
  "/home/vllm" (dict "name" "home")
  "/dev/shm" (dict "name" "shm")
  "/cache/model" (dict "name" "model-cache")
  "/cache/compile" (dict "name" "compile-cache")
  (include "vllm.lifecycleFolder" .) (dict "name" "lifecycle" "readOnly" true)
-}}
{{- $mounts = merge $mounts
  (include "vllm.sourceMounts" . | fromJson)
  (include "vllm.apiKeyMounts" . | fromJson)
  (include "vllm.tlsMounts" . | fromJson)
-}}
{{- with .Values.engine.files -}}
{{- $_ := set $mounts "/files" (dict "name" "files" "readOnly" true) -}}
{{- end -}}
{{- range $path, $mount := .Values.extraVolumeMounts -}}
{{- $_ := set $mounts $path $mount -}}
{{- end -}}
{{- $list := list -}}
{{- range $path, $mount := $mounts -}}
{{- if $mount -}}
{{- $list = append $list (merge (dict "mountPath" $path) $mount) -}}
{{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}
