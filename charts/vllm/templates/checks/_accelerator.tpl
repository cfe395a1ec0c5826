{{- /* vllm.check.accelerator: The accelerator type has an image, and cpu has no settings for devices. */ -}}
{{- define "vllm.check.accelerator" -}}
{{- with .Values.accelerator -}}
{{- if not (or $.Values.image.repository (include "vllm.accelerator" $ | fromJson).repository) -}}
accelerator.type is {{ .type }}, for which vLLM publishes no image: set image.repository and image.tag.
{{ end -}}
{{- if eq .type "cpu" -}}
{{- range $key := list "resourceName" "perPod" -}}
{{- with index $.Values.accelerator $key -}}
accelerator.{{ $key }} is {{ include "vllm.scalar" . }}, but accelerator.type cpu has no devices: leave it out, or set the
  type of the device.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.acceleratorCount: The number of devices in resources, if any, is the number that the pod uses. */ -}}
{{- define "vllm.check.acceleratorCount" -}}
{{- $name := include "vllm.resourceName" . -}}
{{- $devices := include "vllm.devices" . -}}
{{- if $name -}}
{{- range $part := list "limits" "requests" -}}
{{- $given := index (index ($.server.resources | default dict) $part | default dict) $name -}}
{{- if and (not (kindIs "invalid" $given)) (ne (include "vllm.scalar" $given) $devices) -}}
resources.{{ $part }} asks for {{ include "vllm.scalar" $given }} {{ $name }}, but the pod uses {{ $devices }}
  ({{ with $.Values.accelerator.perPod }}accelerator.perPod {{ . }}{{ else }}{{ include "vllm.parallelismSum" $ }}{{ end }}):
  leave it out, the number is derived.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.deviceClaims: Each claim in resources.claims is in podSpec.resourceClaims. */ -}}
{{- define "vllm.check.deviceClaims" -}}
{{- $names := list -}}
{{- range .pod.resourceClaims -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range (.server.resources).claims -}}
{{- if not (has .name $names) -}}
resources.claims names {{ .name }}, which the pod does not have: add it to podSpec.resourceClaims.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.quantization: The accelerator supports the quantization method. */ -}}
{{- define "vllm.check.quantization" -}}
{{- $method := index (.Values.engine.args | default dict) "quantization" -}}
{{- with (include "vllm.accelerator" . | fromJson).quantization -}}
{{- if and (kindIs "string" $method) (not (has $method .)) -}}
engine.args.quantization is {{ $method }}, which vLLM does not have for accelerator.type {{ $.Values.accelerator.type }}:
  choose a checkpoint quantized with {{ join ", " . }}, or set the type of another device.
{{- end -}}
{{- end -}}
{{- if and (kindIs "string" $method) (eq .Values.accelerator.type "cpu") (has (index .Values.engine.args "dtype") (list "float32" "float")) }}
engine.args.dtype is {{ .Values.engine.args.dtype }}, for which vLLM has no kernels of quantized weights on CPUs: write
  bfloat16.
{{- end -}}
{{- end -}}
