{{- /* vllm.checks: nothing, or a failed render with the message of every check that does not hold. A check is a template vllm.check.NAME that returns one sentence, or nothing where all is well. Beside the usual it gets .pod, the spec of the pod that serves as it is installed, .server, its container, .pods, that pod and where there are workers theirs, and with workers .asWorker. */ -}}
{{- define "vllm.checks" -}}
{{- include "vllm.pod" . -}}
{{- $context := omit . -}}
{{- range .pod.containers -}}
  {{- if eq .name "vllm" -}}
  {{- $_ := set $context "server" . -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $context "pods" (list .pod) -}}
{{- if include "vllm.group" . -}}
{{- include "vllm.worker" . -}}
{{- include "vllm.pod" .asWorker -}}
{{- $_ := set $context "asWorker" .asWorker -}}
{{- $_ := set $context "pods" (list .pod .asWorker.pod) -}}
{{- end -}}
{{- $names := list
  "modelUri"
  "modelTag"
  "modelSource"
  "adapterName"
  "imageTag"
  "imageVolume"
  "runtimeLora"
  "multiNode"
  "groupStrategy"
  "leaderWorkerSet"
  "accelerator"
  "acceleratorCount"
  "deviceClaims"
  "quantization"
  "hostMemory"
  "gracePeriod"
  "podSpec"
  "serverFiles"
  "pythonPath"
  "volumeSource"
  "cache"
  "claimAccess"
  "metricsOnce"
  "objectives"
  "autoscalers"
  "autoscalingRange"
  "kedaServer"
  "kedaQuery"
  "hpaTarget"
  "scaleToZero"
  "missingApi"
  "engineArgs"
  "extraArgs"
  "serverPort"
  "literalSecrets"
  "serviceType"
  "nodePort"
  "rootPath"
  "exposedPaths"
  "httpRoute"
  "inferencePool"
-}}
{{- $messages := list -}}
{{- range $name := $names -}}
  {{- if not (index ($.Values.checks.disabled | default dict) $name) -}}
  {{- with include (printf "vllm.check.%s" $name) $context | trim -}}
  {{- $messages = append $messages (printf "%s [check %s]" . $name) -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- with $messages -}}
{{- fail (printf "\n%s\n(checks.disabled.NAME=true switches a check off)" (join "\n" .)) -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.modelUri: each model and adapter URI has a supported form. */ -}}
{{- define "vllm.check.modelUri" -}}
{{- $forms := list
  "hf://[\\w.-]+(/[\\w.-]+)?"
  "oci://[^/:@\\s]+[^\\s]*"
  "pvc://[a-z0-9.-]+(/[^\\s/,]+)*/?"
  "(s3|gs)://[^/\\s]+/[^\\s]+"
  "file://(/[^\\s/,]+)+/?"
-}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- if or (not (regexMatch (printf "^(%s)$" (join "|" $forms)) .uri)) (regexMatch "/\\.\\.?(/|$)" .uri) -}}
{{ .key }}.uri is "{{ .uri }}": write hf://organisation/name (a branch or commit belongs in {{ .key }}.revision), oci://registry/repository:tag, pvc://claim/folder, s3://bucket/folder, gs://bucket/folder or file:///folder.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.modelTag: each oci:// model has a tag other than latest, or a digest. */ -}}
{{- define "vllm.check.modelTag" -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- if and (eq .scheme "oci") (or (not (regexMatch "[:@]" (base .rest))) (hasSuffix ":latest" .rest)) -}}
{{ .key }}.uri is "{{ .uri }}", which may name another model tomorrow: end it with a tag other than latest, or with @sha256:….
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.modelSource: credentials, revision and model.copyFrom are set only for the kinds of URI that they apply to. */ -}}
{{- define "vllm.check.modelSource" -}}
{{- $oci := false -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- $source := . -}}
{{- $oci = or $oci (eq .scheme "oci") -}}
{{- $remedies := dict
  "oci" "is pulled like an image: set imagePullSecrets"
  "pvc" "is mounted: leave them out"
  "file" "is in the image: leave them out"
-}}
{{- with .revision -}}
{{- if ne $source.scheme "hf" -}}
{{ $source.key }}.revision is "{{ . }}", but only hf:// has revisions: put what names this one into {{ $source.key }}.uri, as a tag, a digest or a folder.
{{ end -}}
{{- end -}}
{{- with .credentials -}}
{{- with index $remedies $source.scheme -}}
{{ $source.key }}.credentials names Secret "{{ $source.credentials.existingSecret }}", but what comes by {{ $source.scheme }}:// {{ . }}.
{{ end -}}
{{- if and .key (eq $source.scheme "s3") -}}
{{ $source.key }}.credentials.key is "{{ .key }}", but s3:// takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the Secret: name the values so, and leave the key out.
{{ end -}}
{{- if and (not .key) (has $source.scheme (list "hf" "gs")) -}}
{{ $source.key }}.credentials names Secret "{{ .existingSecret }}" without a key: set {{ $source.key }}.credentials.key to the one that holds {{ eq $source.scheme "hf" | ternary "the token" "the key file of Google" }}.
{{ end -}}
{{- end -}}
{{- end -}}
{{- with .Values.model.copyFrom -}}
{{- if not $oci -}}
model.copyFrom is "{{ . }}", but nothing comes by oci://: leave it out.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.adapterName: no adapter has a name of the model. */ -}}
{{- define "vllm.check.adapterName" -}}
{{- $names := include "vllm.modelNames" . | fromJsonArray -}}
{{- range include "vllm.sources" . | fromJsonArray | rest -}}
{{- if has .adapter $names -}}
{{ .key }} has the name of the model, and clients could ask for only one of them: rename the adapter, or change {{ eq .adapter (first $names) | ternary "model.name" "model.aliases" }}.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.imageTag: the vLLM image has a tag other than latest, or a digest. */ -}}
{{- define "vllm.check.imageTag" -}}
{{- with .server.image -}}
{{- if or (hasSuffix ":latest" .) (not (regexMatch "[:@]" (base .))) -}}
The server's image is {{ . }}, which may be another vLLM tomorrow, with other flags: leave image.tag out, or set it to a version.
{{- end -}}
{{- end -}}
{{- with .Values.image -}}
{{- if and (not .repository) (regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]" (.tag | default "")) -}}
image.tag is {{ .tag }}, but tags of vLLM's images begin with v: set image.tag to v{{ .tag }}.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.imageVolume: the cluster supports image volumes if an oci:// model is mounted as one. Skipped without a live cluster. */ -}}
{{- define "vllm.check.imageVolume" -}}
{{- $live := .Capabilities.APIVersions.Has "apiregistration.k8s.io/v1" -}}
{{- $version := .Capabilities.KubeVersion.Version -}}
{{- if and $live (not .Values.model.copyFrom) (semverCompare "<1.35.0-0" $version) -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- if eq .scheme "oci" -}}
{{ .key }}.uri is "{{ .uri }}", and Kubernetes {{ $version }} mounts images as volumes only with the feature gate ImageVolume: use 1.35 or newer, turn the gate on and switch this check off, or set model.copyFrom to the folder of the image to copy.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.runtimeLora: loading adapters at run time requires an API key, and a single API server. */ -}}
{{- define "vllm.check.runtimeLora" -}}
{{- $on := .Values.model.lora.runtimeUpdates -}}
{{- range .server.env -}}
{{- $on = or $on (and (eq .name "VLLM_ALLOW_RUNTIME_LORA_UPDATING") (has (.value | default "" | lower) (list "1" "true"))) -}}
{{- end -}}
{{- if $on -}}
{{- if not (include "vllm.apiKeys" . | fromJson) -}}
model.lora.runtimeUpdates is true, but nothing keeps strangers from loading adapters: set server.apiKey.keys.
{{ end -}}
{{- $servers := index (.Values.engine.args | default dict) "api-server-count" | default .Values.parallelism.data | int64 -}}
{{- if gt $servers 1 -}}
model.lora.runtimeUpdates is true, which vLLM refuses with {{ $servers }} API servers: set engine.args.api-server-count to 1, or name the adapters in model.lora.adapters.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.multiNode: the devices of a group divide evenly among its nodes, and vLLM supports the combination of settings. */ -}}
{{- define "vllm.check.multiNode" -}}
{{- if include "vllm.group" . -}}
{{- $nodes := include "vllm.nodes" . | int64 -}}
{{- $data := .Values.parallelism.data | int64 -}}
{{- $devices := include "vllm.worldSize" . | int64 -}}
{{- if mod $devices $nodes -}}
parallelism.nodes is {{ $nodes }}, which does not divide the {{ $devices }} devices of a server ({{ include "vllm.parallelismSum" . }}): make the product a multiple of the nodes, as sizes are those of the whole server.
{{ end -}}
{{- if and (gt $data 1) (mod (max $data $nodes) (min $data $nodes)) -}}
parallelism.data is {{ $data }} and parallelism.nodes {{ $nodes }}, but vLLM puts whole copies of the model on a node, or spreads one over whole nodes: make one a multiple of the other.
{{ end -}}
{{- if and (gt $data 1) (eq .Values.distributed.backend "ray") -}}
parallelism.data is {{ $data }}, which the chart starts on several nodes only by vLLM's own way: set distributed.backend to mp, or parallelism.data to 1 and replicas to {{ $data }}.
{{ end -}}
{{- with index (.Values.engine.args | default dict) "distributed-executor-backend" -}}
engine.args.distributed-executor-backend is {{ . }}, but on several nodes the chart sets it: leave it out, and set distributed.backend.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.groupStrategy: the update strategy of a group is one that LeaderWorkerSet supports. */ -}}
{{- define "vllm.check.groupStrategy" -}}
{{- if include "vllm.group" . -}}
{{- $rolling := include "vllm.groupRollout" . | fromJson -}}
{{- if eq (.Values.strategy.type | default "") "Recreate" -}}
strategy.type is Recreate, but servers of several nodes are updated one after the other: leave strategy out.
{{ end -}}
{{- if and (eq (include "vllm.minReplicas" .) "1") (has (include "vllm.scalar" $rolling.maxUnavailable) (list "0" "0%")) -}}
strategy.rollingUpdate.maxUnavailable is 0 with one server of several nodes, for which LeaderWorkerSet makes no surge, so that no update would ever begin: set it to 1, or replicas to 2.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.leaderWorkerSet: the cluster has LeaderWorkerSet if parallelism.nodes is above 1. Skipped without a live cluster. */ -}}
{{- define "vllm.check.leaderWorkerSet" -}}
{{- $has := .Capabilities.APIVersions -}}
{{- if and (include "vllm.group" .) ($has.Has "apiregistration.k8s.io/v1") (not ($has.Has "leaderworkerset.x-k8s.io/v1")) -}}
parallelism.nodes is {{ include "vllm.nodes" . }}, but the cluster has no leaderworkerset.x-k8s.io/v1: install LeaderWorkerSet (kubectl apply --server-side -f https://github.com/kubernetes-sigs/lws/releases/download/v0.8.0/manifests.yaml), or set parallelism.nodes to 1.
{{- end -}}
{{- end -}}

{{- /* vllm.check.accelerator: the accelerator type has an image, and cpu has no settings for devices. */ -}}
{{- define "vllm.check.accelerator" -}}
{{- with .Values.accelerator -}}
{{- if not (or $.Values.image.repository (include "vllm.accelerator" $ | fromJson).repository) -}}
accelerator.type is {{ .type }}, for which vLLM publishes no image: set image.repository and image.tag.
{{ end -}}
{{- if eq .type "cpu" -}}
{{- range $key := list "resourceName" "perPod" -}}
{{- with index $.Values.accelerator $key -}}
accelerator.{{ $key }} is {{ include "vllm.scalar" . }}, but accelerator.type cpu has no devices: leave it out, or set the type of the device.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.acceleratorCount: the number of devices in resources, if any, is the number that the pod uses. */ -}}
{{- define "vllm.check.acceleratorCount" -}}
{{- $name := include "vllm.resourceName" . -}}
{{- $devices := include "vllm.devices" . -}}
{{- if $name -}}
{{- range $part := list "limits" "requests" -}}
{{- $given := index (index ($.server.resources | default dict) $part | default dict) $name -}}
{{- if and (not (kindIs "invalid" $given)) (ne (include "vllm.scalar" $given) $devices) -}}
resources.{{ $part }} asks for {{ include "vllm.scalar" $given }} {{ $name }}, but the pod uses {{ $devices }} ({{ with $.Values.accelerator.perPod }}accelerator.perPod {{ . }}{{ else }}{{ include "vllm.parallelismSum" $ }}{{ end }}): leave it out, the number is derived.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.deviceClaims: each claim in resources.claims is in podSpec.resourceClaims. */ -}}
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

{{- /* vllm.check.quantization: the accelerator supports the quantization method. */ -}}
{{- define "vllm.check.quantization" -}}
{{- $method := index (.Values.engine.args | default dict) "quantization" -}}
{{- with (include "vllm.accelerator" . | fromJson).quantization -}}
{{- if and (kindIs "string" $method) (not (has $method .)) -}}
engine.args.quantization is {{ $method }}, which vLLM does not have for accelerator.type {{ $.Values.accelerator.type }}: choose a checkpoint quantized with {{ join ", " . }}, or set the type of another device.
{{- end -}}
{{- end -}}
{{- if and (kindIs "string" $method) (eq .Values.accelerator.type "cpu") (has (index .Values.engine.args "dtype") (list "float32" "float")) }}
engine.args.dtype is {{ .Values.engine.args.dtype }}, for which vLLM has no kernels of quantized weights on CPUs: write bfloat16.
{{- end -}}
{{- end -}}

{{- /* vllm.check.hostMemory: the memory limit covers what vLLM keeps in host memory. */ -}}
{{- define "vllm.check.hostMemory" -}}
{{- $limit := ((.server.resources).limits).memory -}}
{{- $parts := include "vllm.hostMemory" . | fromJson -}}
{{- if and $limit (lt (include "vllm.gibibytes" $limit | float64) $parts.total) -}}
resources.limits.memory is {{ include "vllm.scalar" $limit }}, but the server needs {{ include "vllm.scalar" $parts.total }}Gi of host memory ({{ $parts.sum }}): raise resources.limits.memory, or lower what is kept there.
{{- end -}}
{{- end -}}

{{- /* vllm.check.gracePeriod: the termination grace period covers the drain. */ -}}
{{- define "vllm.check.gracePeriod" -}}
{{- $drain := add .Values.drain.delaySeconds .Values.drain.timeoutSeconds -}}
{{- $given := list -}}
{{- range .pods -}}
{{- if hasKey . "terminationGracePeriodSeconds" -}}
{{- $given = append $given (dict "seconds" (int64 .terminationGracePeriodSeconds) "text" (include "vllm.scalar" .terminationGracePeriodSeconds)) -}}
{{- else -}}
{{- $given = append $given (dict "seconds" 30 "text" "null, for which Kubernetes takes 30") -}}
{{- end -}}
{{- end -}}
{{- range uniq $given -}}
{{- if lt (int64 .seconds) (int64 $drain) -}}
{{ if include "vllm.group" $ }}The podSpec of a group has terminationGracePeriodSeconds {{ .text }}{{ else }}podSpec.terminationGracePeriodSeconds is {{ .text }}{{ end }}, but the drain takes up to {{ $drain }} s (drain.delaySeconds + drain.timeoutSeconds): leave it out, it is computed, or shorten the drain.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.podSpec: overlays of the pod keep the command, the arguments and the preStop hook on which other keys depend. */ -}}
{{- define "vllm.check.podSpec" -}}
{{- $roles := list (dict "root" . "pod" .pod "key" "podSpec" "over" .Values.podSpec) -}}
{{- if include "vllm.group" . -}}
{{- with .Values.distributed -}}
{{- $roles = list
  (dict "root" $ "pod" $.pod "key" "distributed.leaderPodSpec" "over" .leaderPodSpec)
  (dict "root" $.asWorker "pod" $.asWorker.pod "key" "distributed.workerPodSpec" "over" .workerPodSpec)
-}}
{{- end -}}
{{- end -}}
{{- $sentences := list -}}
{{- range $roles -}}
{{- if or .over $.Values.podSpec -}}
{{- $root := .root -}}
{{- $container := printf "%s.containers" (empty .over | ternary "podSpec" .key) -}}
{{- $server := dict -}}
{{- range .pod.containers -}}
  {{- if eq .name "vllm" -}}
  {{- $server = . -}}
  {{- end -}}
{{- end -}}
{{- $words := concat ($server.command | default list) ($server.args | default list) | join "\n" | printf "\n%s\n" -}}
{{- $command := include "vllm.group" $ | empty | ternary (list "vllm" "serve") (include "vllm.groupCommand" $root | fromJsonArray) -}}
{{- $given := or $server.command (include "vllm.group" $) -}}
{{- if and $given (not (regexMatch (join "\n" $command | regexQuoteMeta | printf "[\n/]%s\n") $words)) -}}
{{- $sentences = append $sentences (printf "%s has a command for vllm with which the chart's arguments do not reach vLLM: end the command with the words %s, e.g. [numactl, --interleave=all, %s], and leave args out." $container (join " " $command) (join ", " $command)) -}}
{{- end -}}
{{- /* Those of the chart alone: a flag of the user's may be dropped by the user. */ -}}
{{- $needed := include "vllm.groupArgs" $root | fromJsonArray -}}
{{- if not $root.worker -}}
{{- if include "vllm.apiKeys" $ | fromJson -}}
{{- $needed = append $needed "--config /etc/vllm/config/server.yaml" -}}
{{- end -}}
{{- range include "vllm.args" $ | fromJsonArray -}}
  {{- if regexMatch "^--(middleware=vllm_lifecycle|shutdown-timeout=|max-num-queued-reqs=|root-path=|ssl-(cert|key)file=)" . -}}
  {{- $needed = append $needed . -}}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- $missing := list -}}
{{- range $needed -}}
  {{- $apart := regexReplaceAll "^(--[a-z-]+)[= ]" . "${1}\n" | printf "\n%s\n" -}}
  {{- if not (or (contains (printf "\n%s\n" .) $words) (contains $apart $words)) -}}
  {{- $missing = append $missing . -}}
  {{- end -}}
{{- end -}}
{{- with $missing -}}
{{- $sentences = append $sentences (printf "%s has args for vllm without %s, and other keys depend on them, such as API keys and the drain: leave args out and set engine.args or engine.extraArgs, or add these arguments." $container (join ", " .)) -}}
{{- end -}}
{{- $hook := dict "exec" (dict "command" (include "vllm.preStop" $root | fromJsonArray)) -}}
{{- if ne (toRawJson $hook) (toRawJson ($server.lifecycle).preStop) -}}
{{- $sentences = append $sentences (printf "%s removes or replaces the preStop hook of vllm, without which requests are cut off: leave lifecycle.preStop out, and set drain.delaySeconds and drain.timeoutSeconds." $container) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- uniq $sentences | join "\n" -}}
{{- end -}}

{{- /* vllm.check.serverFiles: the vLLM container mounts the chart's programs and its API keys. */ -}}
{{- define "vllm.check.serverFiles" -}}
{{- $keyed := include "vllm.apiKeys" . | fromJson -}}
{{- $sentences := list -}}
{{- range $index, $pod := .pods -}}
{{- $folders := dict "lifecycle" (include "vllm.lifecycleFolder" $) -}}
{{- if and $keyed (eq $index 0) -}}
{{- $_ := set $folders "server-config" "/etc/vllm/config" -}}
{{- end -}}
{{- $volumes := dict -}}
{{- range .volumes -}}
  {{- $_ := set $volumes .name . -}}
{{- end -}}
{{- $mounts := list -}}
{{- range .containers -}}
  {{- if eq .name "vllm" -}}
  {{- $mounts = .volumeMounts -}}
  {{- end -}}
{{- end -}}
{{- range $name, $folder := $folders -}}
{{- $volume := index $volumes $name | default dict -}}
{{- $right := eq ((($volume.configMap).name) | default "") (include "vllm.partName" (list $ "lifecycle")) -}}
{{- if eq $name "server-config" -}}
{{- $right = hasKey $volume "emptyDir" -}}
{{- end -}}
{{- /* also one file in the folder, which another mount would hide */ -}}
{{- $found := list -}}
{{- range $mounts -}}
  {{- if hasPrefix (printf "%s/" $folder) (clean .mountPath | printf "%s/") -}}
  {{- $found = append $found (omit . "readOnly") -}}
  {{- end -}}
{{- end -}}
{{- $right = and $right (eq (toRawJson $found) (list (dict "mountPath" $folder "name" $name) | toRawJson)) -}}
{{- if not $right -}}
{{- $place := hasKey ($.Values.extraVolumes | default dict) $name | ternary (printf "extraVolumes.%s" $name) "podSpec.volumes" -}}
{{- $sentences = append $sentences (printf "%s or a mount removes or replaces what the server reads in %s, which is %s: leave the volume %s and this folder to the chart." $place $folder (eq $name "lifecycle" | ternary "the chart's middleware" "its list of API keys") $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $keyed -}}
{{- $writer := dict -}}
{{- range .pod.initContainers -}}
  {{- if eq .name "api-keys" -}}
  {{- $writer = . -}}
  {{- end -}}
{{- end -}}
{{- if ne (toRawJson $writer.command) (toRawJson (index (include "vllm.securityContainers" . | fromJson) "api-keys").command) -}}
{{- $sentences = append $sentences "initContainers.api-keys is removed or has another command, but writes the list of API keys: leave it to the chart, or set server.apiKey.keys to null." -}}
{{- end -}}
{{- end -}}
{{- uniq $sentences | join "\n" -}}
{{- end -}}

{{- /* vllm.check.pythonPath: the environment variable PYTHONPATH contains the folder of the chart's middleware. */ -}}
{{- define "vllm.check.pythonPath" -}}
{{- $folder := include "vllm.lifecycleFolder" . -}}
{{- $given := dict -}}
{{- range .server.env -}}
{{- if eq .name "PYTHONPATH" -}}
{{- $given = . -}}
{{- end -}}
{{- end -}}
{{- if not (has $folder (splitList ":" ($given.value | default ""))) -}}
The server's environment has PYTHONPATH {{ $given.value | default "unset or from elsewhere" }}, where vLLM doesn't find the chart's middleware: write PYTHONPATH as a text in engine.env (the chart puts {{ $folder }} in front), and leave it out of podSpec.
{{- end -}}
{{- end -}}

{{- /* vllm.check.volumeSource: each volume has exactly one source after podSpec is merged. */ -}}
{{- define "vllm.check.volumeSource" -}}
{{- $volumes := list -}}
{{- range .pods -}}
{{- $volumes = concat $volumes (.volumes | default list) -}}
{{- end -}}
{{- range uniq $volumes -}}
{{- $sources := omit . "name" | keys | sortAlpha -}}
{{- if gt (len $sources) 1 -}}
Volume {{ .name }} of the pod has {{ len $sources }} sources ({{ join ", " $sources }}): in podSpec.volumes, write null for the one to remove, as {{ first $sources }}: null.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.cache: each cache has the settings that its type requires, and no others. */ -}}
{{- define "vllm.check.cache" -}}
{{- range $name, $cache := .Values.cache -}}
{{- if and (eq $cache.type "existing") (not $cache.claimName) -}}
cache.{{ $name }}.type is existing, but no claim is named: set cache.{{ $name }}.claimName.
{{ end -}}
{{- if and (eq $cache.type "claim") (not $cache.size) -}}
cache.{{ $name }}.type is claim, but the new claim has no size: set cache.{{ $name }}.size, as 100Gi.
{{ end -}}
{{- if and $cache.claimName (ne $cache.type "existing") -}}
cache.{{ $name }}.claimName is {{ $cache.claimName }}, but cache.{{ $name }}.type is {{ $cache.type }}: set the type to existing, or leave the name out.
{{ end -}}
{{- end -}}
{{- if and (not (include "vllm.usesHub" .)) (ne .Values.cache.model.type "emptyDir") -}}
cache.model.type is {{ .Values.cache.model.type }}, but the cache is for what comes from Hugging Face, and model.uri is "{{ .Values.model.uri }}": leave cache.model out.
{{ end -}}
{{- end -}}

{{- /* vllm.check.claimAccess: a PVC that the chart creates can be mounted by all replicas. */ -}}
{{- define "vllm.check.claimAccess" -}}
{{- $replicas := include "vllm.maxReplicas" . | int64 -}}
{{- $nodes := include "vllm.nodes" . | int64 -}}
{{- if gt (mul $replicas $nodes) 1 -}}
{{- range $name := include "vllm.singleNodeCaches" . | fromJsonArray -}}
{{- $modes := (index $.Values.cache $name).accessModes -}}
There may be {{ $replicas }} replicas{{ if gt $nodes 1 }} of {{ $nodes }} pods{{ end }}, but the claim of cache.{{ $name }} is {{ join ", " $modes }}, which one node mounts at a time: set cache.{{ $name }}.accessModes to [ReadWriteMany] with a storage class that has it, or cache.{{ $name }}.type to emptyDir.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.metricsOnce: only one way of scraping is enabled, so that no series is collected twice. */ -}}
{{- define "vllm.check.metricsOnce" -}}
{{- $chosen := list -}}
{{- range $name, $way := omit .Values.metrics "rules" "dashboard" -}}
  {{- if $way.enabled -}}
  {{- $chosen = append $chosen (printf "metrics.%s" $name) -}}
  {{- end -}}
{{- end -}}
{{- if gt (len $chosen) 1 -}}
{{ join " and " $chosen }} are all enabled, and each would scrape the same pods: leave one enabled.
{{- end -}}
{{- end -}}

{{- /* vllm.check.objectives: each threshold is a bucket boundary of its histogram, and each objective is at least 0.94, below which the fastest alert cannot fire. */ -}}
{{- define "vllm.check.objectives" -}}
{{- if .Values.metrics.rules.enabled -}}
{{- $own := index (.Values.engine.args | default dict) "custom-histogram-buckets" | default dict -}}
{{- if kindIs "string" $own -}}
{{- $own = fromJson $own -}}
{{- end -}}
{{- range $name, $histogram := (include "vllm.metrics" . | fromYaml).histograms -}}
{{- with index $.Values.metrics.rules $name -}}
{{- $bounds := list -}}
{{- range index $own $histogram.family | default $histogram.bounds -}}
{{- $bounds = append $bounds (include "vllm.scalar" .) -}}
{{- end -}}
{{- if not (has (include "vllm.scalar" .seconds) $bounds) -}}
metrics.rules.{{ $name }}.seconds is {{ include "vllm.scalar" .seconds }}, but vLLM counts only what took up to {{ join ", " $bounds }}: choose one of these.
{{ end -}}
{{- if lt (float64 .objective) 0.94 -}}
metrics.rules.{{ $name }}.objective is {{ include "vllm.scalar" .objective }}, and its fastest alert could never fire, as it needs 14.4 times the share that may be slow: raise it to 0.94 or more, with more seconds.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.autoscalers: only one autoscaler is enabled. */ -}}
{{- define "vllm.check.autoscalers" -}}
{{- with .Values.autoscaling -}}
{{- if and .hpa.enabled .keda.enabled -}}
autoscaling.hpa and autoscaling.keda are both enabled, and would pull the number of replicas to and fro: leave one enabled (KEDA makes an HPA of its own).
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.autoscalingRange: the maximum number of replicas of an autoscaler is not below its minimum. */ -}}
{{- define "vllm.check.autoscalingRange" -}}
{{- range $name, $autoscaler := .Values.autoscaling -}}
{{- with $autoscaler -}}
{{- if and .enabled (lt (int64 .maxReplicas) (int64 .minReplicas)) -}}
autoscaling.{{ $name }}.maxReplicas is {{ include "vllm.scalar" .maxReplicas }}, less than minReplicas {{ include "vllm.scalar" .minReplicas }}: raise maxReplicas.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.kedaServer: the address of Prometheus is set if KEDA is enabled. */ -}}
{{- define "vllm.check.kedaServer" -}}
{{- with .Values.autoscaling.keda -}}
{{- if and .enabled (not .serverAddress) -}}
autoscaling.keda.enabled is true, but KEDA has nobody to ask: set autoscaling.keda.serverAddress, as http://prometheus.monitoring:9090.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.kedaQuery: the KEDA query reads metrics that vLLM exposes or that the chart's rules record. */ -}}
{{- define "vllm.check.kedaQuery" -}}
{{- $keda := .Values.autoscaling.keda -}}
{{- if and $keda.enabled $keda.query -}}
{{- $known := include "vllm.metrics" . | fromYaml -}}
{{- range $name := regexFindAll "\\bvllm:[a-z]\\w*" $keda.query -1 | uniq -}}
{{- with index $known.renamed $name -}}
autoscaling.keda.query reads {{ $name }}, which vLLM no longer has: write {{ . }}.
{{ else -}}
{{- $family := regexReplaceAll "_(bucket|count|sum)$" $name "" -}}
{{- if not (or (has $name $known.names) (and (ne $name $family) (has $family $known.families)) (regexMatch $known.optional $name)) -}}
autoscaling.keda.query reads {{ $name }}, which vLLM does not have: write a name that /metrics lists, as vllm:num_requests_waiting.
{{ end -}}
{{- end -}}
{{- end -}}
{{- with regexFindAll "\\b(release|pod):vllm_[\\w:]+" $keda.query -1 | uniq -}}
{{- $recorded := list -}}
{{- range (include "vllm.rules" $ | fromYaml).groups -}}
  {{- range .rules -}}
  {{- $recorded = append $recorded .record -}}
  {{- end -}}
{{- end -}}
{{- range . -}}
{{- if not (has . $recorded) -}}
autoscaling.keda.query reads {{ . }}, which metrics.rules does not record: write a name that it records, as release:vllm_requests_waiting:sum.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.hpaTarget: the HPA can measure its metric, and reach its target. */ -}}
{{- define "vllm.check.hpaTarget" -}}
{{- $resources := .server.resources | default dict -}}
{{- with .Values.autoscaling.hpa -}}
{{- $target := include "vllm.scalar" .targetPerReplica -}}
{{- if and .enabled (eq .metric "cpu") -}}
{{- if not (or ($resources.requests).cpu ($resources.limits).cpu) -}}
autoscaling.hpa.metric is cpu, but the server asks for no CPU, so that there is no share of it: set resources.requests.cpu, or autoscaling.hpa.metric to waiting.
{{ end -}}
{{- if not (regexMatch "^[0-9]+$" $target) -}}
autoscaling.hpa.targetPerReplica is {{ $target }}, but for cpu it is a whole number of percent: write 80 for four fifths.
{{- end -}}
{{- else if and .enabled (eq .metric "kvCache") (gt (float64 .targetPerReplica) 1.0) -}}
autoscaling.hpa.targetPerReplica is {{ $target }}, but for kvCache it is a share of at most 1: write 0.8 for four fifths.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.scaleToZero: the KEDA query does not read the metrics of the replicas if the minimum is 0. */ -}}
{{- define "vllm.check.scaleToZero" -}}
{{- with .Values.autoscaling.keda -}}
{{- if and .enabled (eq (int64 .minReplicas) 0) (or (not .query) (include "vllm.readsServers" (list $ .query))) -}}
autoscaling.keda.minReplicas is 0, but the query reads what only a running server counts, so that none would ever start again: set minReplicas to 1, or autoscaling.keda.query to what a gateway counts.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.missingApi: the cluster has each custom resource that the values enable. Skipped without a live cluster. */ -}}
{{- define "vllm.check.missingApi" -}}
{{- $rules := .Values.metrics.rules -}}
{{- $wanted := dict
  "metrics.rules" (list (and $rules.enabled (eq $rules.kind "PrometheusRule")) "monitoring.coreos.com/v1" "the Prometheus Operator")
  "metrics.serviceMonitor" (list .Values.metrics.serviceMonitor.enabled "monitoring.coreos.com/v1" "the Prometheus Operator")
  "metrics.podMonitor" (list .Values.metrics.podMonitor.enabled "monitoring.coreos.com/v1" "the Prometheus Operator")
  "autoscaling.keda" (list .Values.autoscaling.keda.enabled "keda.sh/v1alpha1" "KEDA")
  "httpRoute" (list .Values.httpRoute.enabled "gateway.networking.k8s.io/v1" "the Gateway API")
  "inferencePool" (list .Values.inferencePool.enabled "inference.networking.k8s.io/v1" "the Gateway API Inference Extension")
-}}
{{- if .Capabilities.APIVersions.Has "apiregistration.k8s.io/v1" -}}
{{- range $key, $need := $wanted -}}
{{- if and (first $need) (not ($.Capabilities.APIVersions.Has (index $need 1))) -}}
{{ $key }}.enabled is true, but the cluster has no {{ index $need 1 }}: install {{ last $need }}, or set {{ $key }}.enabled to false.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.engineArgs: no rejected flag in engine.args passes the schema by having the schema's own message as its value. */ -}}
{{- define "vllm.check.engineArgs" -}}
{{- with .Values.engine.args -}}
{{- $flags := include "vllm.flags" $ | fromJson -}}
{{- range $name, $value := . -}}
{{- with index $flags.owned $name -}}
engine.args.{{ $name }} is set by the chart: {{ . }}.
{{ end -}}
{{- with index $flags.removed $name -}}
engine.args.{{ $name }} is no flag of vLLM any more: {{ . }}.
{{ end -}}
{{- if or (regexMatch "[_.A-Z]|^-|^no-" $name) (and (kindIs "string" $value) (hasPrefix "(no such flag" $value)) -}}
engine.args.{{ $name }} is no flag of vLLM: write the flag as vllm serve --help=all lists it, without dashes in front.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.extraArgs: no argument in engine.extraArgs is a flag that the chart sets, in any spelling that vLLM accepts. */ -}}
{{- define "vllm.check.extraArgs" -}}
{{- with .Values.engine.extraArgs -}}
{{- $flags := include "vllm.flags" $ | fromJson -}}
{{- range $argument := . -}}
{{- $argument = include "vllm.scalar" $argument -}}
{{- $long := $argument | splitList "=" | first | splitList "." | first | replace "_" "-" -}}
{{- $long = regexReplaceAll "^--no-" $long "--" | replace "--disable-" "--enable-" -}}
{{- $short := regexFind "^-[a-z]+" $argument | trimPrefix "-" -}}
{{- $hit := "" -}}
{{- range $flag := keys $flags.owned | sortAlpha -}}
{{- if and (gt (len $long) 2) (hasPrefix $long (printf "--%s" $flag)) -}}
{{- $hit = or $hit $flag -}}
{{- end -}}
{{- end -}}
{{- range $letters, $flag := $flags.short -}}
{{- if and $short (hasPrefix $short $letters) -}}
{{- $hit = or $hit $flag -}}
{{- end -}}
{{- end -}}
{{- with $hit -}}
engine.extraArgs has "{{ $argument }}", which the chart sets as --{{ . }}: {{ index $flags.owned . }}.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.serverPort: the arguments of the vLLM container set no other port than server.port. */ -}}
{{- define "vllm.check.serverPort" -}}
{{- $port := include "vllm.scalar" .Values.server.port -}}
{{- $args := .server.args -}}
{{- range .Values.engine.extraArgs -}}
{{- $args = without $args (include "vllm.scalar" .) -}}
{{- end -}}
{{- range regexFindAll "--port[= ][0-9]+" (join " " $args) -1 -}}
{{- if not (hasSuffix (printf "port%s" $port) (regexReplaceAll "[= ]" . "")) -}}
podSpec has {{ . }} among the server's arguments, but probes, Service and monitors look for it on {{ $port }}: set server.port instead.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.literalSecrets: no environment variable or argument contains a secret in plain text. */ -}}
{{- define "vllm.check.literalSecrets" -}}
{{- $containers := list -}}
{{- range .pods -}}
{{- $containers = concat $containers (.initContainers | default list) (.containers | default list) -}}
{{- end -}}
{{- range $container := uniq $containers -}}
{{- range regexFindAll "--(api-key|hf-token)[= ][^ $]" (join " " $container.args) -1 -}}
args of container {{ $container.name }}: {{ regexFind "--[a-z-]+" . }} holds a secret in plain text: {{ contains "api" . | ternary "set server.apiKey.keys" "set model.credentials" }}.
{{ end -}}
{{- range $container.env -}}
{{- if and .value (regexMatch "(^|_)(TOKEN|PASSWORD|SECRET|API_KEY|ACCESS_KEY)$" .name) -}}
{{- if and (eq $container.name "vllm") (hasKey ($.Values.engine.env | default dict) .name) }}engine.env.{{ else }}env of container {{ $container.name }}: {{ end -}}
{{ .name }} holds a secret in plain text: {{ if eq .name "VLLM_API_KEY" }}set server.apiKey.keys{{ else if eq .name "HF_TOKEN" }}set model.credentials{{ else }}write {valueFrom: {secretKeyRef: {name: …, key: …}}}{{ end }}.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.serviceType: the Service is of type ClusterIP, so that unauthenticated paths of vLLM stay inside the cluster. */ -}}
{{- define "vllm.check.serviceType" -}}
{{- with .Values.service.type -}}
{{- if ne . "ClusterIP" -}}
service.type is {{ . }}, which exposes every path of vLLM, also those that no API key guards (/invocations, /metrics, /scale_elastic_ep): set service.type to ClusterIP and route only /v1 from outside.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.nodePort: a node port is set only for a Service of type NodePort or LoadBalancer. */ -}}
{{- define "vllm.check.nodePort" -}}
{{- with .Values.service -}}
{{- if and .nodePort (eq .type "ClusterIP") -}}
service.nodePort is {{ include "vllm.scalar" .nodePort }}, but service.type is ClusterIP: set service.type to NodePort, or leave the port out.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.rootPath: the root path overlaps neither with a path that requires an API key nor with one of the probes. vLLM's router removes it by whole segments, but its authentication removes it as text. */ -}}
{{- define "vllm.check.rootPath" -}}
{{- $given := .Values.server.rootPath | default "" -}}
{{- $args := .server.args -}}
{{- range .Values.engine.extraArgs -}}
{{- $args = without $args (include "vllm.scalar" .) -}}
{{- end -}}
{{- range $root := regexFindAll "--root[-_]path[= ][^ ]+" (join " " $args) -1 -}}
{{- $root = regexReplaceAll "^--root[-_]path[= ]" $root "" -}}
{{- if ne $root $given -}}
podSpec.containers has the root path {{ $root }} among the server's arguments, but routes and the test use {{ $given | default "none" }}: set server.rootPath instead.
{{ end -}}
{{- end -}}
{{- if $given -}}
{{- $guarded := list -}}
{{- range $path := list "/v1" "/v2" "/inference" "/cohere" "/adapters" -}}
  {{- if or (hasPrefix $given $path) (hasPrefix (printf "%s/" $path) $given) -}}
  {{- $guarded = append $guarded $path -}}
  {{- end -}}
{{- end -}}
{{- with $guarded -}}
server.rootPath is {{ $given }}, which overlaps with {{ join " and " . }}, so that requests there would need no API key or find no route: choose another path, e.g. /llm.
{{ end -}}
{{- if has $given (list "/health" "/metrics") -}}
server.rootPath is {{ $given }}, which probes and monitors request without a root path and would not find: choose another path, e.g. /llm.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.exposedPaths: only paths for clients are exposed, and with API keys only paths that require one. */ -}}
{{- define "vllm.check.exposedPaths" -}}
{{- if or .Values.server.exposedPaths .Values.ingress.enabled .Values.httpRoute.enabled -}}
{{- range include "vllm.exposedPaths" . | fromJsonArray -}}
{{- if not (regexMatch "^/(v1|v2|classify|pooling|score|rerank|health)(/|$)" .) -}}
server.exposedPaths has {{ . }}, which is not for clients outside the cluster: leave it out, and expose /v1, or where the model needs it /v2, /classify, /pooling, /score or /rerank.
{{ else if and (include "vllm.apiKeys" $ | fromJson) (not (regexMatch "^/(v1|v2|health)(/|$)" .)) -}}
server.exposedPaths has {{ . }}, which no API key guards, though server.apiKey.keys is set: set server.exposedPaths to [/v1], or ask for a key in front of the server and switch this check off.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.httpRoute: the HTTPRoute has a Gateway. */ -}}
{{- define "vllm.check.httpRoute" -}}
{{- with .Values.httpRoute -}}
{{- if and .enabled (not .parentRefs) -}}
httpRoute.enabled is true, but no Gateway is named: set httpRoute.parentRefs, as [{name: public, namespace: gateways}].
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.inferencePool: the InferencePool has an endpoint picker, and the server uses plain HTTP. */ -}}
{{- define "vllm.check.inferencePool" -}}
{{- with .Values.inferencePool -}}
{{- if and .enabled (not .endpointPicker.name) -}}
inferencePool.enabled is true, but no endpoint picker is named: set inferencePool.endpointPicker.name to its Service.
{{ end -}}
{{- if and .enabled $.Values.server.tls -}}
inferencePool.enabled is true, and an InferencePool speaks plain HTTP to its servers: leave server.tls out, or inferencePool.enabled.
{{- end -}}
{{- end -}}
{{- end -}}
