{{- /* vllm.strategy: Strategy of the Deployment, as JSON: the user's, with defaults for what it leaves out. A surge requires
free devices and PVCs that two nodes can mount; without a surge, a rollout has to stop a replica first. */ -}}
{{- define "vllm.strategy" -}}
{{- $strategy := deepCopy (.Values.strategy | default dict) -}}
{{- if ne $strategy.type "Recreate" -}}
{{- $rolling := $strategy.rollingUpdate | default dict -}}
{{- if kindIs "invalid" $rolling.maxSurge -}}
{{- $alone := include "vllm.singleNodeCaches" . | fromJsonArray -}}
{{- $surge := and (include "vllm.devices" . | int64 | eq 0) (not $alone) -}}
{{- $_ := set $rolling "maxSurge" ($surge | ternary "25%" 0) -}}
{{- end -}}
{{- if kindIs "invalid" $rolling.maxUnavailable -}}
{{- $_ := set $rolling "maxUnavailable" (has (include "vllm.scalar" $rolling.maxSurge) (list "0" "0%") | ternary 1 0) -}}
{{- end -}}
{{- $_ := set $strategy "type" "RollingUpdate" -}}
{{- $_ := set $strategy "rollingUpdate" $rolling -}}
{{- end -}}
{{- toRawJson $strategy -}}
{{- end -}}

{{- /* vllm.groupRollout: Number of groups that a rollout of the LeaderWorkerSet stops and adds, as a JSON map. Defaults to
stopping one group before its successor starts. */ -}}
{{- define "vllm.groupRollout" -}}
{{- $rolling := dict "maxSurge" 0 "maxUnavailable" 1 -}}
{{- include "vllm.overlay" (dict "base" $rolling "over" (.Values.strategy).rollingUpdate) -}}
{{- end -}}

{{- /* vllm.intOrPercent: Number of replicas that a field of a strategy stands for. Takes a list of the field, the number of all
replicas, and what is added to a percentage before it is cut off: 0 rounds down, 99 rounds up. */ -}}
{{- define "vllm.intOrPercent" -}}
{{- $value := first . | toString -}}
{{- $number := $value | trimSuffix "%" | int64 -}}
{{- hasSuffix "%" $value | ternary (div (add (mul $number (index . 1)) (last .)) 100) $number -}}
{{- end -}}

{{- /* vllm.rolloutDowntime: "true" if a rollout may stop every replica before a successor is ready. */ -}}
{{- define "vllm.rolloutDowntime" -}}
{{- $replicas := include "vllm.minReplicas" . | int64 | max 1 -}}
{{- $strategy := include "vllm.strategy" . | fromJson -}}
{{- $rolling := $strategy.rollingUpdate | default dict -}}
{{- $recreate := eq $strategy.type "Recreate" -}}
{{- if include "vllm.group" . -}}
{{- $rolling = include "vllm.groupRollout" . | fromJson -}}
{{- $recreate = eq $replicas 1 -}}
{{- end -}}
{{- $surge := include "vllm.intOrPercent" (list $rolling.maxSurge $replicas 99) | int64 -}}
{{- $unavailable := include "vllm.intOrPercent" (list $rolling.maxUnavailable $replicas 0) | int64 -}}
{{- /* If both are 0, Kubernetes makes one replica unavailable. */ -}}
{{- if or $recreate (ge (max $unavailable (eq $surge 0 | ternary 1 0)) $replicas) -}}
true
{{- end -}}
{{- end -}}

{{- /* vllm.progressDeadline: Seconds in which one pod must be replaced: the old pod drains, the image is pulled, and the model
is loaded. */ -}}
{{- define "vllm.progressDeadline" -}}
{{- add (include "vllm.gracePeriod" . | int64) (include "vllm.startSeconds" . | int64) 600 -}}
{{- end -}}

{{- /* vllm.rolloutTimeout: Seconds that Helm must wait for a whole rollout, which replaces one pod after the other. */ -}}
{{- define "vllm.rolloutTimeout" -}}
{{- mul (include "vllm.progressDeadline" . | int64) (include "vllm.maxReplicas" . | int64 | max 1) -}}
{{- end -}}
