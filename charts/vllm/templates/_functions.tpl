{{- /* vllm.scalar: Any value as the text that vLLM and Kubernetes read: strings as they are, everything else as JSON, so that
1048576 never becomes 1.048576e+06. */ -}}
{{- define "vllm.scalar" -}}
{{- if kindIs "string" . -}}{{- . -}}{{- else -}}{{- toRawJson . -}}{{- end -}}
{{- end -}}

{{- /* vllm.substitute: A text with its placeholders replaced. Takes a list of the text and a map of placeholder to text. */ -}}
{{- define "vllm.substitute" -}}
{{- $text := first . -}}
{{- range $name, $value := last . -}}
{{- $text = replace $name $value $text -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- /* vllm.once: Result of a named template, which is rendered on the first call only. Takes a list of the root context and the
name. Helm gives all templates of a chart the same root context, which keeps the results in one map.
Only two are worth it: the templates of pods cost 4 ms of CPU time each, of the 83 ms of helm template with
values/production.yaml, and both the workload and the checks need them; reading the file of accelerators costs 0.5 ms, and a
dozen templates need it. No other named template costs more than 0.2 ms and is used that often. */ -}}
{{- define "vllm.once" -}}
{{- $root := first . -}}
{{- $name := last . -}}
{{- if not (hasKey $root "results") -}}
{{- $_ := set $root "results" dict -}}
{{- end -}}
{{- if not (hasKey $root.results $name) -}}
{{- $_ := set $root.results $name (include $name $root) -}}
{{- end -}}
{{- index $root.results $name -}}
{{- end -}}
