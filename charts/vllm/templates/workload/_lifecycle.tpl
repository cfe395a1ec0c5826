{{- /* vllm.gracePeriod: the grace period of a pod in seconds: its drain, and the time for vLLM's processes to end after it. */ -}}
{{- define "vllm.gracePeriod" -}}
{{- $end := 15 -}}
{{- add .Values.drain.delaySeconds .Values.drain.timeoutSeconds $end -}}
{{- end -}}

{{- /* vllm.share: so many of a number of servers as a field of a strategy means; what is added to a percentage before it is cut off rounds it. Takes a list of the field, the number, and 0 or 99. */ -}}
{{- define "vllm.share" -}}
{{- $value := first . | toString -}}
{{- $number := $value | trimSuffix "%" | int64 -}}
{{- hasSuffix "%" $value | ternary (div (add (mul $number (index . 1)) (last .)) 100) $number -}}
{{- end -}}

{{- /* vllm.gap: "true" where a rollout may take away every server before one of their successors has come, so that nothing answers meanwhile. */ -}}
{{- define "vllm.gap" -}}
{{- $servers := include "vllm.minReplicas" . | int64 | max 1 -}}
{{- $strategy := include "vllm.strategy" . | fromJson -}}
{{- $rolling := $strategy.rollingUpdate | default dict -}}
{{- $recreate := eq ($strategy.type | default "") "Recreate" -}}
{{- if include "vllm.group" . -}}
{{- $rolling = include "vllm.groupRollout" . | fromJson -}}
{{- $recreate = eq $servers 1 -}}
{{- end -}}
{{- $surge := include "vllm.share" (list $rolling.maxSurge $servers 99) | int64 -}}
{{- $gone := include "vllm.share" (list $rolling.maxUnavailable $servers 0) | int64 -}}
{{- /* Where both are none, Kubernetes takes one away. */ -}}
{{- if or $recreate (ge (max $gone (eq $surge 0 | ternary 1 0)) $servers) -}}
true
{{- end -}}
{{- end -}}

{{- /* vllm.progressDeadline: the seconds in which one pod must be replaced: the old one drains, the image is pulled, the model loads. */ -}}
{{- define "vllm.progressDeadline" -}}
{{- add (include "vllm.gracePeriod" . | int64) (include "vllm.startSeconds" . | int64) 600 -}}
{{- end -}}

{{- /* vllm.rolloutTimeout: the seconds that Helm must wait for a whole rollout, pod after pod. */ -}}
{{- define "vllm.rolloutTimeout" -}}
{{- mul (include "vllm.progressDeadline" . | int64) (include "vllm.maxReplicas" . | int64 | max 1) -}}
{{- end -}}

{{- /* vllm.strategy: the Deployment's strategy as JSON, the user's with what it leaves open. A surge needs free devices, and claims that two nodes can mount; without one a server must go first. */ -}}
{{- define "vllm.strategy" -}}
{{- $strategy := deepCopy (.Values.strategy | default dict) -}}
{{- if ne ($strategy.type | default "") "Recreate" -}}
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

{{- /* vllm.maxUnavailablePods: the pods that may be gone by evictions. With one pod its whole group goes, so in groups each server but one counts all of its pods. */ -}}
{{- define "vllm.maxUnavailablePods" -}}
{{- with .Values.podDisruptionBudget.maxUnavailable -}}
{{- if and (include "vllm.group" $) (not (kindIs "string" .)) -}}
{{- mul (sub . 1) (include "vllm.nodes" $ | int64) | add 1 -}}
{{- else -}}
{{- include "vllm.scalar" . -}}
{{- end -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{- /* vllm.health: the request by which the kubelet asks for the server's health, as JSON; it takes any certificate. */ -}}
{{- define "vllm.health" -}}
{"path": "/health", "port": "{{ include "vllm.scheme" . }}"{{ if .Values.server.tls }}, "scheme": "HTTPS"{{ end }}}
{{- end -}}

{{- /* vllm.probes: the three probes as fields of a JSON map. vLLM opens its port only when it can serve, and a saturated server may answer late. */ -}}
{{- define "vllm.probes" -}}
{{- $health := include "vllm.health" . -}}
{{- $period := 2 -}}
"startupProbe": {
  "httpGet": {{ $health }},
  "periodSeconds": {{ $period }},
  "timeoutSeconds": 5,
  "failureThreshold": {{ div (add (include "vllm.startSeconds" . | int64) $period -1) $period }}
},
"readinessProbe": {
  "httpGet": {{ $health }},
  "periodSeconds": 5,
  "timeoutSeconds": 5,
  "failureThreshold": 3
},
"livenessProbe": {
  "httpGet": {{ $health }},
  "periodSeconds": 10,
  "timeoutSeconds": 10,
  "failureThreshold": 12,
  {{- /* a server that is to be replaced for being broken isn't drained */}}
  "terminationGracePeriodSeconds": 30
}
{{- end -}}

{{- /* vllm.preStop: the command that drains the replica before vLLM is told to stop, as a JSON list. */ -}}
{{- define "vllm.preStop" -}}
{{- $command := list "python3" "-I" "-c" (.Files.Get "files/programs/prestop.py") -}}
{{- $command = concat $command (list
  (include "vllm.scalar" .Values.server.port | printf "--port=%s")
  (include "vllm.scalar" .Values.drain.delaySeconds | printf "--delay=%s")
  (include "vllm.scalar" .Values.drain.timeoutSeconds | printf "--timeout=%s")
) -}}
{{- if include "vllm.group" . -}}
{{- $command = include "vllm.membersPort" . | printf "--members-port=%s" | append $command -}}
{{- if not .worker -}}
{{- $command = sub (include "vllm.nodes" . | int64) 1 | printf "--workers=%d" | append $command -}}
{{- end -}}
{{- end -}}
{{- toRawJson $command -}}
{{- end -}}

{{- /* vllm.lifecycleFolder: where the server's own Python files are mounted; on the server's PYTHONPATH. */ -}}
{{- define "vllm.lifecycleFolder" -}}
/etc/vllm-lifecycle
{{- end -}}

{{- /* vllm.lifecycleFiles: the server's own Python files and their settings, name to content, as JSON. */ -}}
{{- define "vllm.lifecycleFiles" -}}
{{- $settings := dict "stallTimeoutSeconds" .Values.server.stallTimeoutSeconds -}}
{{- with .Values.warmup -}}
{{- if .enabled -}}
{{- $body := include "vllm.request" $ | fromJson -}}
{{- $path := .request.path | default (include "vllm.requestPath" $) -}}
{{- $body = mergeOverwrite $body (.request.body | default dict) -}}
{{- $_ := set $settings "warmup" (dict "path" $path "body" $body "startSeconds" (include "vllm.startSeconds" $ | int64)) -}}
{{- end -}}
{{- end -}}
{{- $files := dict "settings.json" (toRawJson $settings) -}}
{{- $names := list "vllm_lifecycle.py" "sitecustomize.py" -}}
{{- if include "vllm.group" . -}}
{{- $names = append $names "vllm_group.py" -}}
{{- end -}}
{{- range $names -}}
{{- $_ := set $files . ($.Files.Get (print "files/programs/" .)) -}}
{{- end -}}
{{- toRawJson $files -}}
{{- end -}}
