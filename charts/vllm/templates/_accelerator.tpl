{{- /* vllm.accelerator: what accelerator.type implies, as a JSON map of resourceName (empty without devices), repository, and the quantization methods that vLLM has there (left out where it has all). Kept in .accelerator. */ -}}
{{- define "vllm.accelerator" -}}
{{- if not .accelerator -}}
{{- $types := dict
  "nvidia" (dict "resourceName" "nvidia.com/gpu" "repository" "vllm/vllm-openai")
  "amd" (dict
    "resourceName" "amd.com/gpu"
    "repository" "vllm/vllm-openai-rocm"
    "quantization" (list
      "awq" "auto_awq" "awq_marlin" "gptq" "auto_gptq" "compressed-tensors" "inc" "quark" "torchao" "online"
      "fp8" "fp8_per_tensor" "fp8_per_block" "fp8_per_channel" "fbgemm_fp8" "deepseek_v4_fp8"
      "mxfp4" "mxfp8" "gpt_oss_mxfp4" "modelopt" "modelopt_fp4" "modelopt_mxfp8" "modelopt_mixed"
    )
  )
  "gaudi" (dict "resourceName" "habana.ai/gaudi" "repository" "")
  "tpu" (dict "resourceName" "google.com/tpu" "repository" "vllm/vllm-tpu")
  "cpu" (dict
    "resourceName" ""
    "repository" "vllm/vllm-openai-cpu"
    "quantization" (list "awq" "auto_awq" "gptq" "auto_gptq" "compressed-tensors" "inc")
  )
-}}
{{- $_ := index $types .Values.accelerator.type | toRawJson | set . "accelerator" -}}
{{- end -}}
{{- .accelerator -}}
{{- end -}}

{{- /* vllm.resourceName: the extended resource that the pod asks for; empty without devices. */ -}}
{{- define "vllm.resourceName" -}}
{{- .Values.accelerator.resourceName | default (include "vllm.accelerator" . | fromJson).resourceName -}}
{{- end -}}

{{- /* vllm.parallelismSum: the arithmetic behind the number of devices per pod, as a text to show. */ -}}
{{- define "vllm.parallelismSum" -}}
{{- with .Values.parallelism -}}
tensor {{ .tensor }} × pipeline {{ .pipeline }} × data {{ .data }}
{{- end -}}
{{- with index (.Values.engine.args | default dict) "prefill-context-parallel-size" }} × prefill-context {{ . }}{{ end -}}
{{- if include "vllm.group" . }} / nodes {{ include "vllm.nodes" . }}{{ end -}}
{{- end -}}

{{- /* vllm.workers: the number of vLLM's worker processes in each pod, one for each device; a product that the nodes don't divide is refused. */ -}}
{{- define "vllm.workers" -}}
{{- div (include "vllm.worldSize" . | int64) (include "vllm.nodes" . | int64) | max 1 -}}
{{- end -}}

{{- /* vllm.worldSize: the number of vLLM's worker processes of a server, the product of the parallel sizes. */ -}}
{{- define "vllm.worldSize" -}}
{{- $prefill := index (.Values.engine.args | default dict) "prefill-context-parallel-size" | default 1 | int64 -}}
{{- with .Values.parallelism -}}
{{- mul .tensor .pipeline .data $prefill -}}
{{- end -}}
{{- end -}}

{{- /* vllm.devices: the number of devices that each pod asks for; 0 without devices. */ -}}
{{- define "vllm.devices" -}}
{{- if include "vllm.resourceName" . -}}
{{- .Values.accelerator.perPod | int64 | default (include "vllm.workers" . | int64) -}}
{{- else -}}
0
{{- end -}}
{{- end -}}
