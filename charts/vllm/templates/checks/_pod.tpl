{{- /* vllm.check.hostMemory: The memory limit covers what vLLM keeps in host memory. */ -}}
{{- define "vllm.check.hostMemory" -}}
{{- $limit := ((.server.resources).limits).memory -}}
{{- $parts := include "vllm.hostMemory" . | fromJson -}}
{{- if and $limit (lt (include "vllm.gibibytes" $limit | float64) $parts.total) -}}
resources.limits.memory is {{ include "vllm.scalar" $limit }}, but the server needs {{ include "vllm.scalar" $parts.total }}Gi
  of host memory ({{ $parts.sum }}): raise resources.limits.memory, or lower what is kept there.
{{- end -}}
{{- end -}}

{{- /* vllm.check.gracePeriod: The termination grace period covers the drain. */ -}}
{{- define "vllm.check.gracePeriod" -}}
{{- $drain := add .Values.drain.delaySeconds .Values.drain.timeoutSeconds -}}
{{- $given := list -}}
{{- range .pods -}}
{{- if hasKey . "terminationGracePeriodSeconds" -}}
{{- $seconds := .terminationGracePeriodSeconds -}}
{{- $given = append $given (dict "seconds" (int64 $seconds) "text" (include "vllm.scalar" $seconds)) -}}
{{- else -}}
{{- $given = append $given (dict "seconds" 30 "text" "null, for which Kubernetes takes 30") -}}
{{- end -}}
{{- end -}}
{{- range uniq $given -}}
{{- if lt (int64 .seconds) (int64 $drain) -}}
{{ if include "vllm.group" $ -}}
The podSpec of a group has terminationGracePeriodSeconds {{ .text }}
{{- else -}}
podSpec.terminationGracePeriodSeconds is {{ .text }}
{{- end }}, but the drain takes up to {{ $drain }} s (drain.delaySeconds + drain.timeoutSeconds): leave it out, it is computed, or
  shorten the drain.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.podSpec: Overlays of the pod keep the command, the arguments and the preStop hook on which other keys depend. */ -}}
{{- define "vllm.check.podSpec" -}}
{{- $leader := merge dict . -}}
{{- $roles := list (dict "root" $leader "pod" .pod "key" "podSpec") -}}
{{- if include "vllm.group" . -}}
{{- with .Values.distributed -}}
{{- $worker := merge (dict "worker" true) $ -}}
{{- $roles = list
  (dict "root" $leader "pod" $.pod "key" "distributed.leaderPodSpec" "over" .leaderPodSpec)
  (dict "root" $worker "pod" (last $.pods) "key" "distributed.workerPodSpec" "over" .workerPodSpec)
-}}
{{- end -}}
{{- end -}}
{{- $sentences := list -}}
{{- range $roles -}}
{{- $root := .root -}}
{{- $container := printf "%s.containers" (empty .over | ternary "podSpec" .key) -}}
{{- $server := dict -}}
{{- range .pod.containers -}}
  {{- if eq .name "vllm" -}}
  {{- $server = . -}}
  {{- end -}}
{{- end -}}
{{- $words := concat ($server.command | default list) ($server.args | default list) | join "\n" | printf "\n%s\n" -}}
{{- $command := list "vllm" "serve" -}}
{{- if include "vllm.group" $ -}}
{{- $command = include "vllm.groupCommand" $root | fromJsonArray -}}
{{- end -}}
{{- $given := or $server.command (include "vllm.group" $) -}}
{{- if and $given (not (regexMatch (join "\n" $command | regexQuoteMeta | printf "[\n/]%s\n") $words)) -}}
{{- $sentences = append $sentences (printf
  (print "%s has a command for vllm with which the chart's arguments do not reach vLLM: end the command with the words %s, "
  "e.g. [numactl, --interleave=all, %s], and leave args out.")
  $container (join " " $command) (join ", " $command)
) -}}
{{- end -}}
{{- /* Those of the chart alone: a flag of the user's may be dropped by the user. */ -}}
{{- $needed := include "vllm.groupArgs" $root | fromJsonArray -}}
{{- if not $root.worker -}}
{{- if include "vllm.apiKeys" $ | fromJson -}}
{{- $needed = append $needed "--config /etc/vllm/config/server.yaml" -}}
{{- end -}}
{{- $owned := "^--(middleware=vllm_lifecycle|shutdown-timeout=|max-num-queued-reqs=|root-path=|ssl-(cert|key)file=)" -}}
{{- range include "vllm.args" $leader | fromJsonArray -}}
  {{- if regexMatch $owned . -}}
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
{{- $sentences = append $sentences (printf
  (print "%s has args for vllm without %s, and other keys depend on them, such as API keys and the drain: leave args out and "
  "set engine.args or engine.extraArgs, or add these arguments.")
  $container (join ", " .)
) -}}
{{- end -}}
{{- $hook := dict "exec" (dict "command" (include "vllm.preStop" $root | fromJsonArray)) -}}
{{- if ne (toRawJson $hook) (toRawJson ($server.lifecycle).preStop) -}}
{{- $sentences = append $sentences (printf
  (print "%s removes or replaces the preStop hook of vllm, without which requests are cut off: leave lifecycle.preStop out, and "
  "set drain.delaySeconds and drain.timeoutSeconds.")
  $container
) -}}
{{- end -}}
{{- end -}}
{{- uniq $sentences | join "\n" -}}
{{- end -}}

{{- /* vllm.check.serverFiles: The vLLM container mounts the chart's programs and its API keys. */ -}}
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
{{- /* the parentheses let hasKey take null for an empty map */ -}}
{{- $own := hasKey ($.Values.extraVolumes) $name -}}
{{- $sentences = append $sentences (printf
  (print "%s or a mount removes or replaces what the server reads in %s, which is %s: leave the volume %s and this folder to the "
  "chart.")
  ($own | ternary (printf "extraVolumes.%s" $name) "podSpec.volumes")
  $folder (eq $name "lifecycle" | ternary "the chart's middleware" "its list of API keys") $name
) -}}
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
{{- $source := dict -}}
{{- range .pod.volumes -}}
  {{- if eq .name "api-keys" -}}
  {{- $source = omit . "name" -}}
  {{- end -}}
{{- end -}}
{{- if ne (toRawJson $source) (include "vllm.apiKeysVolume" .) -}}
{{- $own := hasKey (.Values.extraVolumes) "api-keys" -}}
{{- $sentences = append $sentences (printf
  (print "%s.api-keys removes or replaces the volume with the keys of server.apiKey.keys: leave it to the chart, or switch the "
  "check off if your volume has a file for each key.")
  ($own | ternary "extraVolumes" "podSpec.volumes")
) -}}
{{- end -}}
{{- $wanted := index (include "vllm.apiKeyContainers" . | fromJson) "api-keys" -}}
{{- if ne (toRawJson $writer.command) (toRawJson $wanted.command) -}}
{{- $sentences = append $sentences (print
  "initContainers.api-keys is removed or has another command, but writes the list of API keys: leave it to the chart, or set "
  "server.apiKey.keys to null."
) -}}
{{- end -}}
{{- end -}}
{{- uniq $sentences | join "\n" -}}
{{- end -}}

{{- /* vllm.check.pythonPath: The environment variable PYTHONPATH contains the folder of the chart's middleware. */ -}}
{{- define "vllm.check.pythonPath" -}}
{{- $folder := include "vllm.lifecycleFolder" . -}}
{{- $given := dict -}}
{{- range .server.env -}}
{{- if eq .name "PYTHONPATH" -}}
{{- $given = . -}}
{{- end -}}
{{- end -}}
{{- if not (has $folder (splitList ":" ($given.value | default ""))) -}}
The server's environment has PYTHONPATH {{ $given.value | default "unset or from elsewhere" }}, where vLLM doesn't find the
  chart's middleware: write PYTHONPATH as a text in engine.env (the chart puts {{ $folder }} in front), and leave it out of
  podSpec.
{{- end -}}
{{- end -}}

{{- /* vllm.check.volumeSource: Each volume has exactly one source after podSpec is merged. */ -}}
{{- define "vllm.check.volumeSource" -}}
{{- $volumes := list -}}
{{- range .pods -}}
{{- $volumes = concat $volumes (.volumes | default list) -}}
{{- end -}}
{{- range uniq $volumes -}}
{{- $sources := omit . "name" | keys | sortAlpha -}}
{{- if gt (len $sources) 1 -}}
Volume {{ .name }} of the pod has {{ len $sources }} sources ({{ join ", " $sources }}): in podSpec.volumes, write null for
  the one to remove, as {{ first $sources }}: null.
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.literalSecrets: No environment variable or argument contains a secret in plain text. */ -}}
{{- define "vllm.check.literalSecrets" -}}
{{- $containers := list -}}
{{- range .pods -}}
{{- $containers = concat $containers (.initContainers | default list) (.containers | default list) -}}
{{- end -}}
{{- range $container := uniq $containers -}}
{{- range regexFindAll "--(api-key|hf-token)[= ][^ $]" (join " " $container.args) -1 -}}
args of container {{ $container.name }}: {{ regexFind "--[a-z-]+" . }} holds a secret in plain text:
  {{ contains "api" . | ternary "set server.apiKey.keys" "set model.credentials" }}.
{{ end -}}
{{- range $container.env -}}
{{- if and .value (regexMatch "(^|_)(TOKEN|PASSWORD|SECRET|API_KEY|ACCESS_KEY)$" .name) -}}
{{- $own := and (eq $container.name "vllm") (hasKey ($.Values.engine.env) .name) -}}
{{- $remedies := dict "VLLM_API_KEY" "set server.apiKey.keys" "HF_TOKEN" "set model.credentials" -}}
{{ if $own }}engine.env.{{ else }}env of container {{ $container.name }}: {{ end }}{{ .name }} holds a secret in plain text:
  {{ index $remedies .name | default "write {valueFrom: {secretKeyRef: {name: …, key: …}}}" }}.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
