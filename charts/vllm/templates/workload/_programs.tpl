{{- /* vllm.programCommand: Command that runs a Python program of files/programs, as a JSON list. Takes a list of the root context,
the name of the file and the arguments.
The source is part of the command, not of a ConfigMap: a ConfigMap changes under the pods that an upgrade replaces, and a pod
that drains would run the new program with the old arguments. It also runs where no ConfigMap is mounted, in init containers
and in the pod of helm test. What starts the server and what it imports has to be in a folder, is read at the start alone, and
comes from the ConfigMap of vllm.lifecycleFiles. */ -}}
{{- define "vllm.programCommand" -}}
{{- $root := first . -}}
{{- $source := index . 1 | printf "files/programs/%s" | $root.Files.Get -}}
{{- concat (list "python3" "-I" "-c" $source) (last .) | toRawJson -}}
{{- end -}}

{{- /* vllm.lifecycleFolder: Folder at which the server's own Python files are mounted. It is on the server's PYTHONPATH. */ -}}
{{- define "vllm.lifecycleFolder" -}}
/etc/vllm-lifecycle
{{- end -}}

{{- /* vllm.lifecycleFiles: The server's own Python files and their settings, as a JSON map of name to content. */ -}}
{{- define "vllm.lifecycleFiles" -}}
{{- $settings := dict "stallTimeoutSeconds" .Values.server.stallTimeoutSeconds -}}
{{- with .Values.warmup -}}
{{- if .enabled -}}
{{- $body := include "vllm.request" $ | fromJson -}}
{{- $path := .request.path | default (include "vllm.requestPath" $) -}}
{{- $body = mergeOverwrite $body (.request.body | default dict) -}}
{{- $_ := set $settings "warmup" (dict "path" $path "body" $body "startSeconds" (include "vllm.startSeconds" $ | int64)) -}}
{{- end -}}
{{- end -}}
{{- $files := dict "settings.json" (toRawJson $settings) -}}
{{- $names := list "vllm_lifecycle.py" "sitecustomize.py" -}}
{{- if include "vllm.group" . -}}
{{- $names = append $names "vllm_group.py" -}}
{{- end -}}
{{- range $names -}}
{{- $_ := set $files . ($.Files.Get (print "files/programs/" .)) -}}
{{- end -}}
{{- toRawJson $files -}}
{{- end -}}
