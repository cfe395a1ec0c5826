{{- /* vllm.gracePeriod: Seconds from the start of a pod's termination until it is killed: the drain, and then time for its
processes to end. */ -}}
{{- define "vllm.gracePeriod" -}}
{{- $end := 15 -}}
{{- add .Values.drain.delaySeconds .Values.drain.timeoutSeconds $end -}}
{{- end -}}

{{- /* vllm.preStop: Command of the preStop hook, as a JSON list. */ -}}
{{- define "vllm.preStop" -}}
{{- $arguments := list
  (include "vllm.scalar" .Values.server.port | printf "--port=%s")
  (include "vllm.scalar" .Values.drain.delaySeconds | printf "--delay=%s")
  (include "vllm.scalar" .Values.drain.timeoutSeconds | printf "--timeout=%s")
-}}
{{- if include "vllm.group" . -}}
{{- $arguments = include "vllm.membersPort" . | printf "--members-port=%s" | append $arguments -}}
{{- if not .worker -}}
{{- $arguments = sub (include "vllm.nodes" . | int64) 1 | printf "--workers=%d" | append $arguments -}}
{{- end -}}
{{- end -}}
{{- include "vllm.programCommand" (list . "prestop.py" $arguments) -}}
{{- end -}}
