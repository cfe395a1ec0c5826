{{- /* vllm.check.multiNode: The devices of a group divide evenly among its nodes, and vLLM supports the combination of
settings. */ -}}
{{- define "vllm.check.multiNode" -}}
{{- if include "vllm.group" . -}}
{{- $nodes := include "vllm.nodes" . | int64 -}}
{{- $data := .Values.parallelism.data | int64 -}}
{{- $devices := include "vllm.worldSize" . | int64 -}}
{{- if mod $devices $nodes -}}
parallelism.nodes is {{ $nodes }}, which does not divide the {{ $devices }} devices of a server
  ({{ include "vllm.parallelismSum" . }}): make the product a multiple of the nodes, as sizes are those of the whole server.
{{ end -}}
{{- if and (gt $data 1) (mod (max $data $nodes) (min $data $nodes)) -}}
parallelism.data is {{ $data }} and parallelism.nodes {{ $nodes }}, but vLLM puts whole copies of the model on a node, or
  spreads one over whole nodes: make one a multiple of the other.
{{ end -}}
{{- if and (gt $data 1) (eq .Values.distributed.backend "ray") -}}
parallelism.data is {{ $data }}, which the chart starts on several nodes only by vLLM's own way: set distributed.backend to
  mp, or parallelism.data to 1 and replicas to {{ $data }}.
{{ end -}}
{{- with index (.Values.engine.args | default dict) "distributed-executor-backend" -}}
engine.args.distributed-executor-backend is {{ . }}, but on several nodes the chart sets it: leave it out, and set
  distributed.backend.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.groupStrategy: The update strategy of a group is one that LeaderWorkerSet supports. */ -}}
{{- define "vllm.check.groupStrategy" -}}
{{- if include "vllm.group" . -}}
{{- $rolling := include "vllm.groupRollout" . | fromJson -}}
{{- if eq (.Values.strategy).type "Recreate" -}}
strategy.type is Recreate, but servers of several nodes are updated one after the other: leave strategy out.
{{ end -}}
{{- if and (eq (include "vllm.minReplicas" .) "1") (has (include "vllm.scalar" $rolling.maxUnavailable) (list "0" "0%")) -}}
strategy.rollingUpdate.maxUnavailable is 0 with one server of several nodes, for which LeaderWorkerSet makes no surge, so that
  no update would ever begin: set it to 1, or replicas to 2.
{{ end -}}
{{- end -}}
{{- end -}}
