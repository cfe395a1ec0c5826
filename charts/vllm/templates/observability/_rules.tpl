{{- /* vllm.podPattern: a regular expression of the names of the release's pods. Kubernetes cuts a long name after 58 characters before it adds five of its own. */ -}}
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

{{- /* vllm.podMatchers: what picks the release's pods in PromQL: labels that every way of scraping gives, and other exporters too. */ -}}
{{- define "vllm.podMatchers" -}}
namespace="{{ .Release.Namespace }}",pod=~"{{ include "vllm.podPattern" . }}"
{{- end -}}

{{- /* vllm.metrics: what the chart knows about vLLM's metrics, as YAML: see files/data/metrics.yaml. */ -}}
{{- define "vllm.metrics" -}}
{{- .Files.Get "files/data/metrics.yaml" -}}
{{- end -}}

{{- /* vllm.fill: a text with placeholders filled in. Takes a list of the text and a map of placeholder to text. */ -}}
{{- define "vllm.fill" -}}
{{- $text := first . -}}
{{- range $name, $value := last . -}}
{{- $text = replace $name $value $text -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- /* vllm.bound: a number of seconds as the label le has it, as 1.0 or 2.5. */ -}}
{{- define "vllm.bound" -}}
{{- $text := include "vllm.scalar" . -}}
{{- contains "." $text | ternary $text (printf "%s.0" $text) -}}
{{- end -}}

{{- /* vllm.alert: one alert rule as a JSON map. Takes a dict of root, name and rule, as in files/data/rules.yaml. */ -}}
{{- define "vllm.alert" -}}
{{- $root := .root -}}
{{- $labels := dict "severity" .rule.severity "namespace" $root.Release.Namespace "release" (include "vllm.fullname" $root) -}}
{{- $annotations := dict "summary" .rule.summary "description" .rule.description -}}
{{- with $root.Values.metrics.rules.runbookUrl | default (and $root.Chart.Home (printf "%s/runbooks.html" $root.Chart.Home)) -}}
  {{- $_ := set $annotations "runbook_url" (printf "%s#%s" . (lower $.name)) -}}
{{- end -}}
{{- dict "alert" .name "expr" .rule.expr "for" .rule.for "labels" $labels "annotations" $annotations | toRawJson -}}
{{- end -}}

{{- /* vllm.rules: the groups of recording and alert rules as YAML, from files/data/rules.yaml. */ -}}
{{- define "vllm.rules" -}}
{{- $values := .Values.metrics.rules -}}
{{- $name := include "vllm.fullname" . -}}
{{- $ours := dict "namespace" .Release.Namespace "release" $name -}}
{{- /* The leaders of groups are the pods of a StatefulSet, which LeaderWorkerSet calls like itself. */ -}}
{{- $kind := empty (include "vllm.group" .) | ternary "deployment" "statefulset" -}}
{{- $labels := printf "namespace=%q,%s=%q" .Release.Namespace $kind (include "vllm.workloadName" .) -}}
{{- $fill := dict
  "$pods" (include "vllm.podMatchers" .)
  "$leader" (printf "%s-[0-9]+" (include "vllm.workloadName" .))
  "$readyReplicas" (printf "kube_%s_status_replicas_ready{%s}" $kind $labels)
  "$wantedReplicas" (printf "kube_%s_replicas{%s}" (eq $kind "deployment" | ternary "deployment_spec" $kind) $labels)
  "$workloadCreated" (printf "kube_%s_created{%s}" $kind $labels)
  "$recorded" (printf "namespace=%q,release=%q" .Release.Namespace $name)
  "$where" (printf "%s in namespace %s" $name .Release.Namespace)
  "$deadline" (include "vllm.progressDeadline" .)
-}}
{{- $source := include "vllm.fill" (list (.Files.Get "files/data/rules.yaml") $fill) | fromYaml -}}
{{- $disabled := $values.disabled | default dict -}}
{{- $rules := list -}}
{{- range $record, $rule := $source.recorded -}}
  {{- if or (not $rule.needs) (index $values ($rule.needs | default "")) -}}
  {{- $rules = append $rules (dict "record" $record "expr" $rule.expr "labels" $ours) -}}
  {{- end -}}
{{- end -}}
{{- range $alert, $rule := $source.alerts -}}
  {{- $absent := and $rule.needsServers (eq (include "vllm.minReplicas" $) "0") -}}
  {{- if and (or (not $rule.needs) (index $values ($rule.needs | default ""))) (not $absent) (not (index $disabled $alert)) -}}
  {{- $rules = append $rules (include "vllm.alert" (dict "root" $ "name" $alert "rule" $rule) | fromJson) -}}
  {{- end -}}
{{- end -}}
{{- $slow := list -}}
{{- range $key := list "timeToFirstToken" "interTokenLatency" -}}
  {{- $objective := index $source.objectives $key -}}
  {{- if not (index $disabled $objective.alert) -}}
  {{- $given := index $values $key -}}
  {{- $fill := dict
    "$record" $objective.record
    "$metric" $objective.metric
    "$bound" (include "vllm.bound" $given.seconds)
    "$seconds" (include "vllm.scalar" $given.seconds)
    "$objective" (include "vllm.scalar" $given.objective)
  -}}
  {{- range $window := $source.objectives.windows -}}
    {{- $expr := include "vllm.fill" (list $source.objectives.slow (merge (dict "$window" $window) $fill)) -}}
    {{- $slow = append $slow (dict "record" (printf "%s%s" $objective.record $window) "expr" $expr "labels" $ours) -}}
  {{- end -}}
  {{- range $burn := $source.objectives.burns -}}
    {{- $rule := include "vllm.fill" (list (merge (deepCopy $burn) $objective | toRawJson) $fill) | fromJson -}}
    {{- $slow = append $slow (include "vllm.alert" (dict "root" $ "name" $objective.alert "rule" $rule) | fromJson) -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- $groups := list (dict "name" (printf "vllm-%s-%s" .Release.Namespace $name) "rules" $rules) -}}
{{- with $slow -}}
{{- $groups = append $groups (dict "name" (printf "vllm-%s-%s-objectives" $.Release.Namespace $name) "rules" .) -}}
{{- end -}}
{{- dict "groups" $groups | toYaml -}}
{{- end -}}

{{- /* vllm.dashboard: the dashboard in files/data/dashboard.json as JSON, named after the release and showing it first. */ -}}
{{- define "vllm.dashboard" -}}
{{- $dashboard := .Files.Get "files/data/dashboard.json" | fromJson -}}
{{- $name := include "vllm.fullname" . -}}
{{- $shown := dict "namespace" .Release.Namespace "release" $name -}}
{{- $_ := set $dashboard "title" (printf "vLLM: %s/%s" .Release.Namespace $name) -}}
{{- $_ := set $dashboard "uid" (printf "vllm-%s" (printf "%s/%s" .Release.Namespace $name | sha256sum | trunc 16)) -}}
{{- range $variable := $dashboard.templating.list -}}
  {{- with index $shown $variable.name -}}
  {{- $_ := set $variable "current" (dict "text" . "value" .) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $dashboard -}}
{{- end -}}
