{{- /* vllm.hpaMetric: Meaning of autoscaling.hpa.metric, as a JSON map of series (vLLM's metric; empty for cpu), function
(which aggregates the series of a pod or of the release), name (of the adapter's metric) and target. */ -}}
{{- define "vllm.hpaMetric" -}}
{{- $metrics := dict
  "waiting" (dict "series" "vllm:num_requests_waiting" "function" "sum" "target" 5)
  "running" (dict "series" "vllm:num_requests_running" "function" "sum" "target" 32)
  "kvCache" (dict "series" "vllm:kv_cache_usage_perc" "function" "avg" "target" 0.8)
  "cpu" (dict "series" "" "target" 80)
-}}
{{- with .Values.autoscaling.hpa -}}
{{- $metric := index $metrics .metric -}}
{{- $_ := set $metric "name" (.metricName | default (replace ":" "_" $metric.series)) -}}
{{- $_ := set $metric "target" (.targetPerReplica | default $metric.target) -}}
{{- toRawJson $metric -}}
{{- end -}}
{{- end -}}

{{- /* vllm.adapterConfig: Configuration of prometheus-adapter for the metric of the HPA, as YAML. */ -}}
{{- define "vllm.adapterConfig" -}}
{{- $metric := include "vllm.hpaMetric" . | fromJson -}}
{{- $series := "<<.Series>>{<<.LabelMatchers>>}" -}}
{{- if eq .Values.autoscaling.hpa.metricType "Pods" -}}
rules:
  - seriesQuery: {{ printf "%s{namespace!=\"\",pod!=\"\"}" $metric.series | quote }}
    resources:
      overrides:
        namespace: {resource: namespace}
        pod: {resource: pod}
    name:
      as: {{ toYaml $metric.name }}
    metricsQuery: {{ printf "%s by (<<.GroupBy>>) (%s)" $metric.function $series | quote }}
{{- else -}}
externalRules:
  # The adapter adds the namespace of the HPA. The sum is divided by the number of servers, so a share is summed, too.
  - seriesQuery: {{ printf "%s{%s}" $metric.series (include "vllm.podMatchers" .) | quote }}
    resources:
      overrides:
        namespace: {resource: namespace}
    name:
      as: {{ toYaml $metric.name }}
    metricsQuery: {{ printf "sum(%s by (pod) (<<.Series>>{<<.LabelMatchers>>,pod=~%q}))" $metric.function (include "vllm.podPattern" .) | quote }}
{{- end -}}
{{- end -}}
