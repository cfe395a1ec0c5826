{{- /* vllm.checks: Nothing, or a failed render with the messages of all checks that do not hold. A check is a named template
vllm.check.NAME that returns a message for each problem, or nothing. Lines of a message after the first are indented. Besides
the usual context it gets .pod, the spec of the pod that serves as it will be installed, .server, its container, and .pods, that
pod and in a group the worker's. `make generate` writes the list. */ -}}
{{- define "vllm.checks" -}}
{{- $pods := list (include "vllm.once" (list . "vllm.podTemplate") | fromJson).spec -}}
{{- if include "vllm.group" . -}}
{{- $pods = append $pods (include "vllm.once" (list . "vllm.workerTemplate") | fromJson).spec -}}
{{- end -}}
{{- $context := merge (dict "pod" (first $pods) "pods" $pods) . -}}
{{- range (first $pods).containers -}}
  {{- if eq .name "vllm" -}}
  {{- $_ := set $context "server" . -}}
  {{- end -}}
{{- end -}}
{{- $names := list
  "accelerator"
  "acceleratorCount"
  "deviceClaims"
  "quantization"
  "engineArgs"
  "extraArgs"
  "serverPort"
  "autoscalers"
  "autoscalingRange"
  "kedaServer"
  "kedaQuery"
  "hpaTarget"
  "scaleToZero"
  "imageVolume"
  "leaderWorkerSet"
  "missingApi"
  "multiNode"
  "groupStrategy"
  "imageTag"
  "modelUri"
  "modelTag"
  "modelSource"
  "adapterName"
  "runtimeLora"
  "serviceType"
  "nodePort"
  "rootPath"
  "exposedPaths"
  "httpRoute"
  "inferencePool"
  "metricsOnce"
  "objectives"
  "hostMemory"
  "gracePeriod"
  "podSpec"
  "serverFiles"
  "pythonPath"
  "volumeSource"
  "literalSecrets"
  "cache"
  "claimAccess"
-}}
{{- $messages := list -}}
{{- range $name := $names -}}
  {{- if not (index ($.Values.checks.disabled | default dict) $name) -}}
  {{- with include (printf "vllm.check.%s" $name) $context | trim -}}
  {{- $messages = append $messages (printf "%s [check %s]" (regexReplaceAll "\n +" . " ") $name) -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- with $messages -}}
{{- fail (printf "\n%s\n(checks.disabled.NAME=true switches a check off)" (join "\n" .)) -}}
{{- end -}}
{{- end -}}
