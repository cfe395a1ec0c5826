{{- /* vllm.rules: Groups of recording and alerting rules from files/data/rules.yaml, as YAML. */ -}}
{{- define "vllm.rules" -}}
{{- $values := .Values.metrics.rules -}}
{{- $name := include "vllm.fullname" . -}}
{{- $ours := dict "namespace" .Release.Namespace "release" $name -}}
{{- /* The leaders of groups are the pods of a StatefulSet that has the name of the LeaderWorkerSet. */ -}}
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
{{- $source := include "vllm.substitute" (list (.Files.Get "files/data/rules.yaml") $fill) | fromYaml -}}
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
    "$bound" (include "vllm.leLabel" $given.seconds)
    "$seconds" (include "vllm.scalar" $given.seconds)
    "$objective" (include "vllm.scalar" $given.objective)
  -}}
  {{- range $window := $source.objectives.windows -}}
    {{- $expr := include "vllm.substitute" (list $source.objectives.slow (merge (dict "$window" $window) $fill)) -}}
    {{- $slow = append $slow (dict "record" (printf "%s%s" $objective.record $window) "expr" $expr "labels" $ours) -}}
  {{- end -}}
  {{- range $burn := $source.objectives.burns -}}
    {{- $rule := include "vllm.substitute" (list (merge (deepCopy $burn) $objective | toRawJson) $fill) | fromJson -}}
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

{{- /* vllm.alert: An alerting rule, as a JSON map. Takes a dict of root, name and rule, as in files/data/rules.yaml. */ -}}
{{- define "vllm.alert" -}}
{{- $root := .root -}}
{{- $labels := dict "severity" .rule.severity "namespace" $root.Release.Namespace "release" (include "vllm.fullname" $root) -}}
{{- $annotations := dict "summary" .rule.summary "description" .rule.description -}}
{{- $site := and $root.Chart.Home (printf "%s/runbooks.html" $root.Chart.Home) -}}
{{- with $root.Values.metrics.rules.runbookUrl | default $site -}}
  {{- $_ := set $annotations "runbook_url" (printf "%s#%s" . (lower $.name)) -}}
{{- end -}}
{{- dict "alert" .name "expr" .rule.expr "for" .rule.for "labels" $labels "annotations" $annotations | toRawJson -}}
{{- end -}}

{{- /* vllm.leLabel: Number of seconds as the label le of a histogram has it, e.g. 1.0 or 2.5. */ -}}
{{- define "vllm.leLabel" -}}
{{- $text := include "vllm.scalar" . -}}
{{- contains "." $text | ternary $text (printf "%s.0" $text) -}}
{{- end -}}
