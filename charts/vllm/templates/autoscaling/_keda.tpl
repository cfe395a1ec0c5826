{{- /* vllm.queueQuery: PromQL query for the number of requests that wait in all replicas of the release. */ -}}
{{- define "vllm.queueQuery" -}}
sum(vllm:num_requests_waiting{ {{- include "vllm.podMatchers" . -}} })
{{- end -}}

{{- /* vllm.readsServers: "true" if a PromQL query reads series that exist only while a replica runs: vLLM's metrics, those that
the chart's rules record, or any series of the release's pods. Takes a list of the root context and the query. */ -}}
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
