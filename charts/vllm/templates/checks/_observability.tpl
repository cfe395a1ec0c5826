{{- /* vllm.check.metricsOnce: Only one way of scraping is enabled, so that no series is collected twice. */ -}}
{{- define "vllm.check.metricsOnce" -}}
{{- $chosen := list -}}
{{- range $name, $way := omit .Values.metrics "rules" "dashboard" -}}
  {{- if $way.enabled -}}
  {{- $chosen = append $chosen (printf "metrics.%s" $name) -}}
  {{- end -}}
{{- end -}}
{{- if gt (len $chosen) 1 -}}
{{ join " and " $chosen }} are all enabled, and each would scrape the same pods: leave one enabled.
{{- end -}}
{{- end -}}

{{- /* vllm.check.objectives: Each threshold is a bucket boundary of its histogram, and each objective is at least 0.94, below
which the fastest alert cannot fire. */ -}}
{{- define "vllm.check.objectives" -}}
{{- if .Values.metrics.rules.enabled -}}
{{- $own := index (.Values.engine.args | default dict) "custom-histogram-buckets" | default dict -}}
{{- if kindIs "string" $own -}}
{{- $own = fromJson $own -}}
{{- end -}}
{{- range $name, $histogram := (include "vllm.metrics" . | fromYaml).histograms -}}
{{- with index $.Values.metrics.rules $name -}}
{{- $bounds := list -}}
{{- range index $own $histogram.family | default $histogram.bounds -}}
{{- $bounds = append $bounds (include "vllm.scalar" .) -}}
{{- end -}}
{{- if not (has (include "vllm.scalar" .seconds) $bounds) -}}
metrics.rules.{{ $name }}.seconds is {{ include "vllm.scalar" .seconds }}, but vLLM counts only what took up to
  {{ join ", " $bounds }}: choose one of these.
{{ end -}}
{{- if lt (float64 .objective) 0.94 -}}
metrics.rules.{{ $name }}.objective is {{ include "vllm.scalar" .objective }}, and its fastest alert could never fire, as it
  needs 14.4 times the share that may be slow: raise it to 0.94 or more, with more seconds.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
