{{- /* vllm.initContainers: Containers that run before the server, as a JSON list ordered by name: the chart's with the user's
merged into them. Each has the server's security context unless it sets its own. The user's resources replace the chart's,
because a limit of the user's may be lower than a request of the chart's. */ -}}
{{- define "vllm.initContainers" -}}
{{- $containers := merge (include "vllm.sourceContainers" . | fromJson) (include "vllm.apiKeyContainers" . | fromJson) -}}
{{- range $name, $given := .Values.initContainers -}}
{{- if and (hasKey ($given | default dict) "resources") (hasKey $containers $name) -}}
{{- $_ := unset (index $containers $name) "resources" -}}
{{- end -}}
{{- end -}}
{{- $containers = include "vllm.overlay" (dict "base" $containers "over" (.Values.initContainers | default dict)) | fromJson -}}
{{- $list := list -}}
{{- range $name, $container := $containers -}}
{{- if $container -}}
{{- $init := dict "name" $name "securityContext" (include "vllm.securityContext" (list $ $.Values.securityContext) | fromJson) -}}
{{- $list = include "vllm.overlay" (dict "base" $init "over" $container) | fromJson | append $list -}}
{{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}
