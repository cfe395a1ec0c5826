{{- /* vllm.tlsVolumes: Volume with the server's certificate, as a JSON map of name to volume. */ -}}
{{- define "vllm.tlsVolumes" -}}
{{- $volumes := dict -}}
{{- with .Values.server.tls -}}
{{- $_ := set $volumes "tls" (dict "secret" (dict "secretName" .existingSecret)) -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}

{{- /* vllm.tlsMounts: The server's mount of this volume, as a JSON map of path to mount. */ -}}
{{- define "vllm.tlsMounts" -}}
{{- $mounts := dict -}}
{{- with .Values.server.tls -}}
{{- $_ := set $mounts "/etc/vllm/tls" (dict "name" "tls" "readOnly" true) -}}
{{- end -}}
{{- toRawJson $mounts -}}
{{- end -}}
