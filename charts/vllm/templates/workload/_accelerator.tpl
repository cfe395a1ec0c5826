{{- /* vllm.accelerator: Facts that follow from accelerator.type, as a JSON map; files/data/accelerators.yaml explains them. */ -}}
{{- define "vllm.accelerator" -}}
{{- include "vllm.once" (list . "vllm.readAccelerator") -}}
{{- end -}}

{{- /* vllm.readAccelerator: The same, from the file. */ -}}
{{- define "vllm.readAccelerator" -}}
{{- $types := .Files.Get "files/data/accelerators.yaml" | fromYaml -}}
{{- omit (index $types .Values.accelerator.type) "gpus" "docs" | toRawJson -}}
{{- end -}}

{{- /* vllm.resourceName: Extended resource that the pod requests; empty without devices. */ -}}
{{- define "vllm.resourceName" -}}
{{- .Values.accelerator.resourceName | default (include "vllm.accelerator" . | fromJson).resource -}}
{{- end -}}

{{- /* vllm.devices: Number of devices that each pod requests; 0 without devices. */ -}}
{{- define "vllm.devices" -}}
{{- if include "vllm.resourceName" . -}}
{{- .Values.accelerator.perPod | int64 | default (include "vllm.workers" . | int64) -}}
{{- else -}}
0
{{- end -}}
{{- end -}}
