{{- /* vllm.checks: nothing, or a failed render with the message of every check that does not hold. A check is a template vllm.check.NAME that returns one sentence, or nothing where all is well. Beside the usual it gets .pod, the spec of the pod as it is installed, and .server, its container. */ -}}
{{- define "vllm.checks" -}}
{{- $pod := include "vllm.pod" . | fromJson -}}
{{- $server := dict -}}
{{- range $pod.containers -}}
  {{- if eq .name "vllm" -}}
  {{- $server = . -}}
  {{- end -}}
{{- end -}}
{{- $context := dict "Values" .Values "Release" .Release "Chart" .Chart "Files" .Files "Capabilities" .Capabilities "flags" .flags "pod" $pod "server" $server -}}
{{- $names := list
  "modelUri"
  "modelTag"
  "modelSource"
  "imageTag"
  "imageVolume"
  "multiNode"
  "apiKeys"
  "accelerator"
  "acceleratorCount"
  "quantization"
  "hostMemory"
  "gracePeriod"
  "volumeSource"
  "cache"
  "claimAccess"
  "metricsOnce"
  "autoscalers"
  "autoscalingRange"
  "kedaServer"
  "scaleToZero"
  "missingApi"
  "engineArgs"
  "extraArgs"
  "literalSecrets"
  "serviceType"
  "nodePort"
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

{{- /* vllm.check.modelUri: the source of the model is one that the chart can mount or vLLM can fetch. */ -}}
{{- define "vllm.check.modelUri" -}}
{{- with .Values.model.uri -}}
{{- if not (or (regexMatch "^hf://[\\w.-]+(/[\\w.-]+)?$" .) (regexMatch "^oci://[^/:@\\s]+[^\\s]*$" .)) -}}
model.uri is "{{ . }}": write hf://organisation/name (a branch or commit belongs in model.revision) or oci://registry/repository:tag.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.modelTag: an oci:// model is named by a tag or digest that stays what it is. */ -}}
{{- define "vllm.check.modelTag" -}}
{{- with include "vllm.modelImage" . -}}
{{- if or (not (regexMatch "[:@]" (base .))) (hasSuffix ":latest" .) -}}
model.uri is "oci://{{ . }}", which may name another model tomorrow: end it with a tag other than latest, or with @sha256:….
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.modelSource: keys that only Hugging Face knows are set only for an hf:// model. */ -}}
{{- define "vllm.check.modelSource" -}}
{{- if include "vllm.modelImage" . -}}
{{- with .Values.model.revision -}}
model.revision is "{{ . }}", but an oci:// model has none: put the tag or digest into model.uri.
{{ end -}}
{{- with .Values.model.credentials -}}
model.credentials names Secret "{{ .existingSecret }}", but an oci:// model is pulled like an image: set imagePullSecrets.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.imageTag: the server's image is named by a tag that exists and stays what it is. */ -}}
{{- define "vllm.check.imageTag" -}}
{{- with .server.image -}}
{{- if hasSuffix ":latest" . -}}
The server's image is {{ . }}, which may be another vLLM tomorrow, with other flags: leave image.tag out, or set it to a version.
{{- end -}}
{{- end -}}
{{- with .Values.image -}}
{{- if and (not .repository) (regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]" .tag) -}}
image.tag is {{ .tag }}, but tags of vLLM's images begin with v: set image.tag to v{{ .tag }}.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.imageVolume: a live cluster mounts image volumes; offline nobody knows the cluster. */ -}}
{{- define "vllm.check.imageVolume" -}}
{{- $live := .Capabilities.APIVersions.Has "apiregistration.k8s.io/v1" -}}
{{- if and (include "vllm.modelImage" .) $live (semverCompare "<1.35.0-0" .Capabilities.KubeVersion.Version) -}}
model.uri is "{{ .Values.model.uri }}", and Kubernetes {{ .Capabilities.KubeVersion.Version }} mounts images as volumes only with the feature gate ImageVolume: use 1.35 or newer, or turn the gate on and switch this check off.
{{- end -}}
{{- end -}}

{{- /* vllm.check.multiNode: one server runs on one node. */ -}}
{{- define "vllm.check.multiNode" -}}
{{- with .Values.parallelism.nodes -}}
{{- if ne (int64 .) 1 -}}
parallelism.nodes is {{ . }}, but this release of the chart serves from one node and multi-node groups come later: set parallelism.nodes to 1 and fit tensor × pipeline × data onto one node.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.apiKeys: at most one key, as vLLM reads one from its environment. */ -}}
{{- define "vllm.check.apiKeys" -}}
{{- $keys := .Values.server.apiKey.keys | default dict -}}
{{- if gt (len $keys) 1 -}}
server.apiKey.keys has {{ len $keys }} keys ({{ keys $keys | sortAlpha | join ", " }}), but vLLM reads one: leave exactly one.
{{- end -}}
{{- end -}}

{{- /* vllm.check.accelerator: the accelerator has an image, and keys about devices are set only where there are devices. */ -}}
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

{{- /* vllm.check.acceleratorCount: devices typed into resources agree with the derived number. */ -}}
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

{{- /* vllm.check.quantization: the quantization method runs on the accelerator. */ -}}
{{- define "vllm.check.quantization" -}}
{{- $method := index (.Values.engine.args | default dict) "quantization" -}}
{{- with (include "vllm.accelerator" . | fromJson).quantization -}}
{{- if and (kindIs "string" $method) (not (has $method .)) -}}
engine.args.quantization is {{ $method }}, which vLLM does not have for accelerator.type {{ $.Values.accelerator.type }}: choose a checkpoint quantized with {{ join ", " . }}, or set the type of another device.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.hostMemory: the memory limit holds what vLLM keeps in host memory. */ -}}
{{- define "vllm.check.hostMemory" -}}
{{- $limit := ((.server.resources).limits).memory -}}
{{- $parts := include "vllm.hostMemory" . | fromJson -}}
{{- if and $limit (lt (include "vllm.gibibytes" $limit | float64) $parts.total) -}}
resources.limits.memory is {{ include "vllm.scalar" $limit }}, but the server needs {{ include "vllm.scalar" $parts.total }}Gi of host memory ({{ $parts.sum }}): raise resources.limits.memory, or lower what is kept there.
{{- end -}}
{{- end -}}

{{- /* vllm.check.gracePeriod: the pod is not killed before its requests are done. */ -}}
{{- define "vllm.check.gracePeriod" -}}
{{- $drain := add .Values.drain.delaySeconds .Values.drain.timeoutSeconds -}}
{{- $given := .pod.terminationGracePeriodSeconds -}}
{{- if and (not (kindIs "invalid" $given)) (lt (int64 $given) (int64 $drain)) -}}
podSpec.terminationGracePeriodSeconds is {{ include "vllm.scalar" $given }}, but the drain takes up to {{ $drain }} s (drain.delaySeconds + drain.timeoutSeconds): leave it out, it is computed, or shorten the drain.
{{- end -}}
{{- end -}}

{{- /* vllm.check.volumeSource: a volume has one source, which podSpec adds to instead of replacing. */ -}}
{{- define "vllm.check.volumeSource" -}}
{{- range .pod.volumes -}}
{{- $sources := omit . "name" | keys | sortAlpha -}}
{{- if gt (len $sources) 1 -}}
Volume {{ .name }} of the pod has {{ len $sources }} sources ({{ join ", " $sources }}): in podSpec.volumes, write null for the one to remove, as {{ first $sources }}: null.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.cache: a cache has what its type needs, and nothing that it has no use for. */ -}}
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
{{- if and (include "vllm.modelImage" .) (ne .Values.cache.model.type "emptyDir") -}}
cache.model.type is {{ .Values.cache.model.type }}, but an oci:// model is mounted and never downloaded: leave cache.model out.
{{ end -}}
{{- end -}}

{{- /* vllm.check.claimAccess: several servers share only claims that several nodes can mount. */ -}}
{{- define "vllm.check.claimAccess" -}}
{{- $replicas := include "vllm.maxReplicas" . | int64 -}}
{{- if gt $replicas 1 -}}
{{- range $name := include "vllm.singleNodeCaches" . | fromJsonArray -}}
{{- $modes := (index $.Values.cache $name).accessModes -}}
There may be {{ $replicas }} replicas, but the claim of cache.{{ $name }} is {{ join ", " $modes }}, which one node mounts at a time: set cache.{{ $name }}.accessModes to [ReadWriteMany] with a storage class that has it, or cache.{{ $name }}.type to emptyDir.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.metricsOnce: one way of scraping is chosen, or each series would be there twice. */ -}}
{{- define "vllm.check.metricsOnce" -}}
{{- $chosen := list -}}
{{- range $name, $way := .Values.metrics -}}
  {{- if $way.enabled -}}
  {{- $chosen = append $chosen (printf "metrics.%s" $name) -}}
  {{- end -}}
{{- end -}}
{{- if gt (len $chosen) 1 -}}
{{ join " and " $chosen }} are all enabled, and each would scrape the same pods: leave one enabled.
{{- end -}}
{{- end -}}

{{- /* vllm.check.autoscalers: one autoscaler owns the number of replicas. */ -}}
{{- define "vllm.check.autoscalers" -}}
{{- with .Values.autoscaling -}}
{{- if and .hpa.enabled .keda.enabled -}}
autoscaling.hpa and autoscaling.keda are both enabled, and would pull the number of replicas to and fro: leave one enabled (KEDA makes an HPA of its own).
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.autoscalingRange: an autoscaler has room. */ -}}
{{- define "vllm.check.autoscalingRange" -}}
{{- range $name, $autoscaler := .Values.autoscaling -}}
{{- with $autoscaler -}}
{{- if and .enabled (lt (int64 .maxReplicas) (int64 .minReplicas)) -}}
autoscaling.{{ $name }}.maxReplicas is {{ include "vllm.scalar" .maxReplicas }}, less than minReplicas {{ include "vllm.scalar" .minReplicas }}: raise maxReplicas.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.kedaServer: KEDA is told which Prometheus to ask. */ -}}
{{- define "vllm.check.kedaServer" -}}
{{- with .Values.autoscaling.keda -}}
{{- if and .enabled (not .serverAddress) -}}
autoscaling.keda.enabled is true, but KEDA has nobody to ask: set autoscaling.keda.serverAddress, as http://prometheus.monitoring:9090.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.scaleToZero: what brings the first server back is not counted by servers. */ -}}
{{- define "vllm.check.scaleToZero" -}}
{{- with .Values.autoscaling.keda -}}
{{- if and .enabled (eq (int64 .minReplicas) 0) (or (not .query) (contains "vllm:" .query)) -}}
autoscaling.keda.minReplicas is 0, but the query reads what only a running server counts, so that none would ever start again: set minReplicas to 1, or autoscaling.keda.query to what a gateway counts.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.missingApi: a live cluster has the custom resources that are asked for; offline nobody knows. */ -}}
{{- define "vllm.check.missingApi" -}}
{{- $wanted := dict
  "metrics.serviceMonitor" (list .Values.metrics.serviceMonitor.enabled "monitoring.coreos.com/v1" "the Prometheus Operator")
  "metrics.podMonitor" (list .Values.metrics.podMonitor.enabled "monitoring.coreos.com/v1" "the Prometheus Operator")
  "autoscaling.keda" (list .Values.autoscaling.keda.enabled "keda.sh/v1alpha1" "KEDA")
-}}
{{- if .Capabilities.APIVersions.Has "apiregistration.k8s.io/v1" -}}
{{- range $key, $need := $wanted -}}
{{- if and (first $need) (not ($.Capabilities.APIVersions.Has (index $need 1))) -}}
{{ $key }}.enabled is true, but the cluster has no {{ index $need 1 }}: install {{ last $need }}, or set {{ $key }}.enabled to false.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.engineArgs: no refused flag slips past the schema by having the schema's message as its value. */ -}}
{{- define "vllm.check.engineArgs" -}}
{{- $flags := include "vllm.flags" . | fromJson -}}
{{- range $name, $value := .Values.engine.args -}}
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

{{- /* vllm.check.extraArgs: raw arguments leave alone what the chart sets, in every spelling that vLLM's parser takes: underscores, short forms, prefixes. */ -}}
{{- define "vllm.check.extraArgs" -}}
{{- $flags := include "vllm.flags" . | fromJson -}}
{{- range $argument := .Values.engine.extraArgs -}}
{{- $argument = include "vllm.scalar" $argument -}}
{{- $long := $argument | splitList "=" | first | replace "_" "-" -}}
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

{{- /* vllm.check.literalSecrets: secrets come from Secrets, not from values. */ -}}
{{- define "vllm.check.literalSecrets" -}}
{{- range $container := concat (.pod.initContainers | default list) (.pod.containers | default list) -}}
{{- range $container.env -}}
{{- if and .value (regexMatch "(^|_)(TOKEN|PASSWORD|SECRET|API_KEY|ACCESS_KEY)$" .name) -}}
{{- if and (eq $container.name "vllm") (hasKey ($.Values.engine.env | default dict) .name) }}engine.env.{{ else }}env of container {{ $container.name }}: {{ end -}}
{{ .name }} holds a secret in plain text: {{ if eq .name "VLLM_API_KEY" }}set server.apiKey.keys{{ else if eq .name "HF_TOKEN" }}set model.credentials{{ else }}write {valueFrom: {secretKeyRef: {name: …, key: …}}}{{ end }}.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.serviceType: vLLM's unguarded paths stay inside the cluster. */ -}}
{{- define "vllm.check.serviceType" -}}
{{- with .Values.service.type -}}
{{- if ne . "ClusterIP" -}}
service.type is {{ . }}, which exposes every path of vLLM, also those that no API key guards (/invocations, /metrics, /scale_elastic_ep): set service.type to ClusterIP and route only /v1 from outside.
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.nodePort: a node port is set only for a Service that has one. */ -}}
{{- define "vllm.check.nodePort" -}}
{{- with .Values.service -}}
{{- if and .nodePort (eq .type "ClusterIP") -}}
service.nodePort is {{ include "vllm.scalar" .nodePort }}, but service.type is ClusterIP: set service.type to NodePort, or leave the port out.
{{- end -}}
{{- end -}}
{{- end -}}
