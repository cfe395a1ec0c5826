{{- /* vllm.sharedMemory: Size of /dev/shm. vLLM does not start with a container's default of 64Mi, and each worker adds its
buffers. */ -}}
{{- define "vllm.sharedMemory" -}}
{{- printf "%dGi" (include "vllm.workers" . | int64) -}}
{{- end -}}

{{- /* vllm.mountedSharedMemory: GiB of memory that the pod mounts at /dev/shm. Takes the context of a check. */ -}}
{{- define "vllm.mountedSharedMemory" -}}
{{- $volume := "" -}}
{{- range .server.volumeMounts -}}
  {{- if eq .mountPath "/dev/shm" -}}
  {{- $volume = .name -}}
  {{- end -}}
{{- end -}}
{{- $size := 0 -}}
{{- range .pod.volumes -}}
  {{- if and (eq .name $volume) (eq (((.emptyDir).medium) | default "") "Memory") -}}
  {{- $size = .emptyDir.sizeLimit | default 0 -}}
  {{- end -}}
{{- end -}}
{{- include "vllm.gibibytes" $size -}}
{{- end -}}

{{- /* vllm.hostMemory: Least GiB of host memory with which the server can run, as a JSON map of total and sum, a text to show.
Takes the context of a check. The parts are the weights that each device offloads, the KV cache if it is offloaded or the device
is the CPU, /dev/shm, and for vLLM's processes 1 for the API and 2 for each worker (measured with a small model on CPU: 1.4 and
2.2 GiB). */ -}}
{{- define "vllm.hostMemory" -}}
{{- $args := .Values.engine.args | default dict -}}
{{- $workers := include "vllm.workers" . | int64 -}}
{{- $weights := index $args "cpu-offload-gb" | mulf $workers -}}
{{- $cache := index $args "kv-offloading-size" | default 0 | float64 -}}
{{- $cpuCache := 0 -}}
{{- if eq .Values.accelerator.type "cpu" -}}
  {{- range .server.env -}}
  {{- if eq .name "VLLM_CPU_KVCACHE_SPACE" -}}
  {{- $cpuCache = .value | default 0 | float64 -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- $shared := include "vllm.mountedSharedMemory" . | float64 -}}
{{- $processes := add 1 (mul 2 $workers) -}}
{{- $sum := printf "%s for vLLM's processes + %s for /dev/shm" (include "vllm.scalar" $processes) (include "vllm.scalar" $shared) -}}
{{- if $weights -}}
{{- $sum = printf "cpu-offload-gb %s × %d devices + %s" (index $args "cpu-offload-gb" | include "vllm.scalar") $workers $sum -}}
{{- end -}}
{{- if $cache -}}
{{- $sum = printf "kv-offloading-size %s + %s" (include "vllm.scalar" $cache) $sum -}}
{{- end -}}
{{- with $cpuCache -}}
{{- $sum = printf "VLLM_CPU_KVCACHE_SPACE %s + %s" (include "vllm.scalar" .) $sum -}}
{{- end -}}
{{- dict "total" (addf $weights $cache $cpuCache $shared $processes) "sum" $sum | toRawJson -}}
{{- end -}}

{{- /* vllm.gibibytes: GiB of a quantity of memory such as 16Gi or 17179869184. */ -}}
{{- define "vllm.gibibytes" -}}
{{- $quantity := include "vllm.scalar" . -}}
{{- $number := regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" $quantity -}}
{{- $units := dict
  "" 1 "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 "E" 1000000000000000000
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976
-}}
{{- $unit := regexFind "[A-Za-z]*$" $quantity -}}
{{- divf (mulf $number (index $units $unit | default 1)) 1073741824 -}}
{{- end -}}
