{{- /* vllm.givenResources: the server's resources as the user gives them, with podSpec laid over them, as JSON. */ -}}
{{- define "vllm.givenResources" -}}
{{- $server := dict "resources" (deepCopy (.Values.resources | default dict)) -}}
{{- range (.Values.podSpec).containers -}}
{{- if eq .name "vllm" -}}
{{- include "vllm.overlay" (dict "base" $server "over" (pick . "resources")) -}}
{{- end -}}
{{- end -}}
{{- $server.resources | default dict | toRawJson -}}
{{- end -}}

{{- /* vllm.initResources: the resources of the chart's own init containers, as JSON: the server's cpu and memory, so that they ask for no more than is reserved anyway, keep the pod's class of service, and pass a quota. */ -}}
{{- define "vllm.initResources" -}}
{{- $resources := dict -}}
{{- range $part, $amounts := pick (include "vllm.givenResources" . | fromJson) "limits" "requests" -}}
  {{- with pick ($amounts | default dict) "cpu" "memory" -}}
  {{- $_ := set $resources $part . -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $resources -}}
{{- end -}}

{{- /* vllm.cpuRequest: the whole cores that the container asks for; empty where none are given. */ -}}
{{- define "vllm.cpuRequest" -}}
{{- $resources := include "vllm.givenResources" . | fromJson -}}
{{- $quantity := ($resources.requests).cpu | default ($resources.limits).cpu | default "" | toString -}}
{{- if hasSuffix "m" $quantity -}}
{{- divf (trimSuffix "m" $quantity | float64) 1000 | floor | int64 -}}
{{- else if $quantity -}}
{{- float64 $quantity | floor | int64 -}}
{{- end -}}
{{- end -}}

{{- /* vllm.cpuThreads: the OpenMP threads of each CPU worker: the CPU request without one core for the API process, at least one. */ -}}
{{- define "vllm.cpuThreads" -}}
{{- $cores := include "vllm.cpuRequest" . | int64 -}}
{{- max 1 (div (sub $cores 1) (include "vllm.workers" . | int64)) -}}
{{- end -}}

{{- /* vllm.resources: the container's resources with the derived devices, as JSON. */ -}}
{{- define "vllm.resources" -}}
{{- $resources := deepCopy (.Values.resources | default dict) -}}
{{- $name := include "vllm.resourceName" . -}}
{{- $limits := $resources.limits | default dict -}}
{{- if and $name (not (hasKey $limits $name)) -}}
{{- $_ := set $limits $name (include "vllm.devices" . | int64) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toRawJson $resources -}}
{{- end -}}

{{- /* vllm.deviceClaims: the names of the claims by which the pod has its devices where podSpec takes the counted resource away, joined by commas; empty elsewhere. */ -}}
{{- define "vllm.deviceClaims" -}}
{{- $server := dict "resources" (include "vllm.resources" . | fromJson) -}}
{{- range (.Values.podSpec).containers -}}
{{- if eq .name "vllm" -}}
{{- include "vllm.overlay" (dict "base" $server "over" (pick . "resources")) -}}
{{- end -}}
{{- end -}}
{{- $claims := list -}}
{{- with $server.resources -}}
{{- if not (hasKey (.limits | default dict) (include "vllm.resourceName" $)) -}}
{{- range .claims -}}
{{- $claims = append $claims .name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join ", " $claims -}}
{{- end -}}

{{- /* vllm.amounts: nothing; writes the fractions in a container's resources as texts, in place. A Deployment takes 0.5, but the definition of LeaderWorkerSet does not. */ -}}
{{- define "vllm.amounts" -}}
{{- range $amounts := list .limits .requests -}}
  {{- range $name, $amount := $amounts -}}
  {{- if and (kindIs "float64" $amount) (ne $amount (floor $amount)) -}}
  {{- $_ := set $amounts $name (toString $amount) -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.sharedMemory: the size of /dev/shm. vLLM refuses to start with the 64Mi of a container; each worker adds its buffers. */ -}}
{{- define "vllm.sharedMemory" -}}
{{- printf "%dGi" (include "vllm.workers" . | int64) -}}
{{- end -}}

{{- /* vllm.gibibytes: a quantity of memory such as 16Gi or 17179869184 in GiB. */ -}}
{{- define "vllm.gibibytes" -}}
{{- $quantity := include "vllm.scalar" . -}}
{{- $number := regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" $quantity | float64 -}}
{{- $units := dict
  "" 1 "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 "E" 1000000000000000000
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976
-}}
{{- $unit := regexFind "[A-Za-z]*$" $quantity -}}
{{- divf (mulf $number (index $units $unit | default 1)) 1073741824 -}}
{{- end -}}

{{- /* vllm.mountedSharedMemory: the GiB of memory that the pod mounts on /dev/shm; takes what a check gets. */ -}}
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

{{- /* vllm.hostMemory: the GiB of host memory below which the server can't run, as a JSON map of total and sum, a text to show; takes what a check gets: weights offloaded from each device, the KV cache where it is offloaded or the device is the CPU, /dev/shm, and 1 for the API with 2 for each worker process (measured: 1.4 and 2.2 GiB on CPU with a small model). */ -}}
{{- define "vllm.hostMemory" -}}
{{- $args := .Values.engine.args | default dict -}}
{{- $workers := include "vllm.workers" . | int64 -}}
{{- $weights := index $args "cpu-offload-gb" | default 0 | float64 | mulf $workers -}}
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

{{- /* vllm.volumes: the pod's volumes as a JSON list; the user's replace the chart's by name. */ -}}
{{- define "vllm.volumes" -}}
{{- $volumes := dict
  "tmp" (dict "emptyDir" dict)
  "home" (dict "emptyDir" dict)
  "shm" (dict "emptyDir" (dict "medium" "Memory" "sizeLimit" (include "vllm.sharedMemory" .)))
-}}
{{- $_ := set $volumes "lifecycle" (dict "configMap" (dict "name" (include "vllm.partName" (list . "lifecycle")))) -}}
{{- with .Values.engine.files -}}
{{- $_ := set $volumes "files" (dict "configMap" (dict "name" (include "vllm.partName" (list $ "files")))) -}}
{{- end -}}
{{- $volumes = merge $volumes (include "vllm.cacheVolumes" . | fromJson) (include "vllm.sourceVolumes" . | fromJson) (include "vllm.securityVolumes" . | fromJson) -}}
{{- range $name, $volume := .Values.extraVolumes -}}
{{- $_ := set $volumes $name $volume -}}
{{- end -}}
{{- $list := list -}}
{{- range $name, $volume := $volumes -}}
{{- if $volume -}}
{{- $list = append $list (merge (dict "name" $name) $volume) -}}
{{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}

{{- /* vllm.volumeMounts: the server's mounts as a JSON list; the user's replace the chart's by path. */ -}}
{{- define "vllm.volumeMounts" -}}
{{- $mounts := dict
  "/tmp" (dict "name" "tmp")
  "/home/vllm" (dict "name" "home")
  "/dev/shm" (dict "name" "shm")
  "/cache/model" (dict "name" "model-cache")
  "/cache/compile" (dict "name" "compile-cache")
  (include "vllm.lifecycleFolder" .) (dict "name" "lifecycle" "readOnly" true)
-}}
{{- $mounts = merge $mounts (include "vllm.sourceMounts" . | fromJson) (include "vllm.securityMounts" . | fromJson) -}}
{{- with .Values.engine.files -}}
{{- $_ := set $mounts "/files" (dict "name" "files" "readOnly" true) -}}
{{- end -}}
{{- range $path, $mount := .Values.extraVolumeMounts -}}
{{- $_ := set $mounts $path $mount -}}
{{- end -}}
{{- $list := list -}}
{{- range $path, $mount := $mounts -}}
{{- if $mount -}}
{{- $list = append $list (merge (dict "mountPath" $path) $mount) -}}
{{- end -}}
{{- end -}}
{{- toRawJson $list -}}
{{- end -}}
