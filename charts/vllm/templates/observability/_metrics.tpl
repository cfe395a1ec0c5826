{{- /* vllm.metrics: Facts about vLLM's metrics, as YAML. See files/data/metrics.yaml. */ -}}
{{- define "vllm.metrics" -}}
{{- .Files.Get "files/data/metrics.yaml" -}}
{{- end -}}

{{- /* vllm.podPattern: Regular expression for the names of the release's pods. Kubernetes truncates a long name to 58
characters before it appends five of its own. */ -}}
{{- define "vllm.podPattern" -}}
{{- $start := printf "%s-" (include "vllm.workloadName" .) -}}
{{- if include "vllm.group" . -}}
{{- $start }}[0-9]+(-[0-9]+)?
{{- else if le (len $start) 47 -}}
{{- $start }}[a-z0-9]+-[a-z0-9]{5}
{{- else -}}
{{- trunc 58 $start }}[a-z0-9]+(-[a-z0-9]{5})?
{{- end -}}
{{- end -}}

{{- /* vllm.podMatchers: Matchers that select the release's pods in PromQL. They use labels that every way of scraping sets, and
other exporters too. */ -}}
{{- define "vllm.podMatchers" -}}
namespace="{{ .Release.Namespace }}",pod=~"{{ include "vllm.podPattern" . }}"
{{- end -}}
