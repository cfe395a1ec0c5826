{{- /* vllm.check.autoscalers: Only one autoscaler is enabled. */ -}}
{{- define "vllm.check.autoscalers" -}}
{{- with .Values.autoscaling -}}
{{- if and .hpa.enabled .keda.enabled -}}
autoscaling.hpa and autoscaling.keda are both enabled, and would pull the number of replicas to and fro: leave one enabled
  (KEDA makes an HPA of its own).
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.autoscalingRange: The maximum number of replicas of an autoscaler is not below its minimum. */ -}}
{{- define "vllm.check.autoscalingRange" -}}
{{- range $name, $autoscaler := .Values.autoscaling -}}
{{- with $autoscaler -}}
{{- if and .enabled (lt (int64 .maxReplicas) (int64 .minReplicas)) -}}
autoscaling.{{ $name }}.maxReplicas is {{ include "vllm.scalar" .maxReplicas }}, less than minReplicas
  {{ include "vllm.scalar" .minReplicas }}: raise maxReplicas.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.kedaServer: The address of Prometheus is set if KEDA is enabled. */ -}}
{{- define "vllm.check.kedaServer" -}}
{{- with .Values.autoscaling.keda -}}
{{- if and .enabled (not .serverAddress) -}}
autoscaling.keda.enabled is true, but KEDA has no Prometheus to query: set autoscaling.keda.serverAddress,
  e.g. http://prometheus.monitoring:9090.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.kedaQuery: The KEDA query reads metrics that vLLM exposes or that the chart's rules record. */ -}}
{{- define "vllm.check.kedaQuery" -}}
{{- $keda := .Values.autoscaling.keda -}}
{{- if and $keda.enabled $keda.query -}}
{{- $known := include "vllm.metrics" . | fromYaml -}}
{{- range $name := regexFindAll "\\bvllm:[a-z]\\w*" $keda.query -1 | uniq -}}
{{- with index $known.renamed $name -}}
autoscaling.keda.query reads {{ $name }}, which vLLM no longer has: write {{ . }}.
{{ else -}}
{{- $family := regexReplaceAll "_(bucket|count|sum)$" $name "" -}}
{{- if not (or (has $name $known.names) (and (ne $name $family) (has $family $known.families)) (regexMatch $known.optional $name)) -}}
autoscaling.keda.query reads {{ $name }}, which vLLM does not have: write a name that /metrics lists, as
  vllm:num_requests_waiting.
{{ end -}}
{{- end -}}
{{- end -}}
{{- with regexFindAll "\\b(release|pod):vllm_[\\w:]+" $keda.query -1 | uniq -}}
{{- $recorded := list -}}
{{- range (include "vllm.rules" $ | fromYaml).groups -}}
  {{- range .rules -}}
  {{- $recorded = append $recorded .record -}}
  {{- end -}}
{{- end -}}
{{- range . -}}
{{- if not (has . $recorded) -}}
autoscaling.keda.query reads {{ . }}, which metrics.rules does not record: write a name that it records, as
  release:vllm_requests_waiting:sum.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.hpaTarget: The HPA can measure its metric, and reach its target. */ -}}
{{- define "vllm.check.hpaTarget" -}}
{{- $resources := .server.resources | default dict -}}
{{- with .Values.autoscaling.hpa -}}
{{- $target := include "vllm.scalar" .targetPerReplica -}}
{{- if and .enabled (eq .metric "cpu") -}}
{{- if not (or ($resources.requests).cpu ($resources.limits).cpu) -}}
autoscaling.hpa.metric is cpu, but the server asks for no CPU, so that there is no share of it: set resources.requests.cpu, or
  autoscaling.hpa.metric to waiting.
{{ end -}}
{{- if not (regexMatch "^[0-9]+$" $target) -}}
autoscaling.hpa.targetPerReplica is {{ $target }}, but for cpu it is a whole number of percent: write 80 for four fifths.
{{- end -}}
{{- else if and .enabled (eq .metric "kvCache") (gt (float64 .targetPerReplica) 1.0) -}}
autoscaling.hpa.targetPerReplica is {{ $target }}, but for kvCache it is a share of at most 1: write 0.8 for four fifths.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.scaleToZero: The KEDA query does not read the metrics of the replicas if the minimum is 0. */ -}}
{{- define "vllm.check.scaleToZero" -}}
{{- with .Values.autoscaling.keda -}}
{{- if and .enabled (eq (int64 .minReplicas) 0) (or (not .query) (include "vllm.readsServers" (list $ .query))) -}}
autoscaling.keda.minReplicas is 0, but the query reads what only a running server counts, so that none would ever start again:
  set minReplicas to 1, or autoscaling.keda.query to what a gateway counts.
{{- end -}}
{{- end -}}
{{- end -}}
