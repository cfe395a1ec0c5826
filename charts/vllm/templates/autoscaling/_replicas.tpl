{{- /* vllm.autoscaler: the name of the autoscaler that owns the number of replicas, hpa or keda; empty without one. */ -}}
{{- define "vllm.autoscaler" -}}
{{- range $name := list "keda" "hpa" -}}
  {{- if (index $.Values.autoscaling $name).enabled -}}
  {{- $name -}}
  {{- break -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.workloadAnnotations: the annotations of what makes the pods, as a JSON map: which autoscaler owns its count, and for LeaderWorkerSet where a group may run, and that one that isn't whole yet waits for its pods. */ -}}
{{- define "vllm.workloadAnnotations" -}}
{{- $annotations := dict -}}
{{- with include "vllm.autoscaler" . -}}
{{- $_ := set $annotations "vllm/autoscaler" . -}}
{{- end -}}
{{- if include "vllm.group" . -}}
{{- $_ := set $annotations "leaderworkerset.sigs.k8s.io/experimental-recreate-group-after-start" "true" -}}
{{- with .Values.distributed.exclusiveTopology -}}
{{- $_ := set $annotations "leaderworkerset.sigs.k8s.io/exclusive-topology" . -}}
{{- end -}}
{{- end -}}
{{- toRawJson $annotations -}}
{{- end -}}

{{- /* vllm.replicas: the number of servers, in groups where each has several pods, to write into what makes the pods; empty where an autoscaler starts with a new one. Helm makes it 1 where a number that it wrote is missing from the next manifest, so where one runs already its own count is written over every switch of an autoscaler and while there is one; only no servers at all are not kept, as an HPA would leave them at that. A cluster without the API can't be asked, and the check leaderWorkerSet says so. */ -}}
{{- define "vllm.replicas" -}}
{{- $autoscaler := include "vllm.autoscaler" . -}}
{{- $given := .Values.replicas -}}
{{- with $autoscaler -}}
{{- $given = (index $.Values.autoscaling .).minReplicas -}}
{{- end -}}
{{- $workload := include "vllm.workload" . | fromJson -}}
{{- $running := dict -}}
{{- if .Capabilities.APIVersions.Has $workload.apiVersion -}}
{{- $running = lookup $workload.apiVersion $workload.kind .Release.Namespace $workload.name -}}
{{- end -}}
{{- $before := index (($running.metadata).annotations | default dict) "vllm/autoscaler" -}}
{{- if and $running (or $autoscaler $before) -}}
{{- $running.spec.replicas | int64 | default (int64 $given) -}}
{{- else if not $autoscaler -}}
{{- include "vllm.scalar" $given -}}
{{- end -}}
{{- end -}}

{{- /* vllm.maxReplicas: the largest number of servers that this release may have. */ -}}
{{- define "vllm.maxReplicas" -}}
{{- with include "vllm.autoscaler" . -}}
{{- (index $.Values.autoscaling .).maxReplicas | int64 -}}
{{- else -}}
{{- .Values.replicas | int64 -}}
{{- end -}}
{{- end -}}

{{- /* vllm.minReplicas: the smallest number of servers that this release may have. */ -}}
{{- define "vllm.minReplicas" -}}
{{- with include "vllm.autoscaler" . -}}
{{- (index $.Values.autoscaling .).minReplicas | int64 -}}
{{- else -}}
{{- .Values.replicas | int64 -}}
{{- end -}}
{{- end -}}

{{- /* vllm.queueQuery: the PromQL query for the requests that wait in all servers of the release. */ -}}
{{- define "vllm.queueQuery" -}}
sum(vllm:num_requests_waiting{ {{- include "vllm.podMatchers" . -}} })
{{- end -}}

{{- /* vllm.readsServers: "true" where a PromQL query reads what is there only while a server runs: vLLM's metrics, what the chart's rules record of them, or anything of the release's pods. Takes a list of root and the query. */ -}}
{{- define "vllm.readsServers" -}}
{{- $query := last . -}}
{{- $name := include "vllm.workloadName" (first .) -}}
{{- $pod := printf "%sx2x4z" (trunc 58 (printf "%s-7d9f8b6c54-" $name)) -}}
{{- if include "vllm.group" (first .) -}}
{{- $pod = printf "%s-0" $name -}}
{{- end -}}
{{- $reads := regexMatch "\\bvllm:[a-z]|\\b(release|pod):vllm_" $query -}}
{{- range regexFindAll "\\bpod\\s*=~\\s*(\"[^\"]*\"|'[^']*')" $query -1 -}}
  {{- $pattern := regexReplaceAll "^pod\\s*=~\\s*.(.*).$" . "${1}" | replace "\\\\" "\\" -}}
  {{- $reads = or $reads (regexMatch (printf "^(%s)$" $pattern) $pod) -}}
{{- end -}}
{{- $reads | ternary "true" "" -}}
{{- end -}}

{{- /* vllm.hpaMetric: what autoscaling.hpa.metric stands for, as a JSON map of series (vLLM's metric; empty for cpu), function (which joins the series of a pod or of the release), name (the adapter's) and target. */ -}}
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

{{- /* vllm.adapterConfig: the configuration of prometheus-adapter for the metric of the HPA, as YAML. */ -}}
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
