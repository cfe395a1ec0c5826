{{- /* vllm.check.engineArgs: No rejected flag in engine.args passes the schema by having the schema's own message as its
value. */ -}}
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

{{- /* vllm.check.extraArgs: No argument in engine.extraArgs is a flag that the chart sets, in any spelling that vLLM
accepts. */ -}}
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

{{- /* vllm.check.serverPort: The arguments of the vLLM container set no other port than server.port. */ -}}
{{- define "vllm.check.serverPort" -}}
{{- $port := include "vllm.scalar" .Values.server.port -}}
{{- $args := .server.args -}}
{{- range .Values.engine.extraArgs -}}
{{- $args = without $args (include "vllm.scalar" .) -}}
{{- end -}}
{{- range regexFindAll "--port[= ][0-9]+" (join " " $args) -1 -}}
{{- if not (hasSuffix (printf "port%s" $port) (regexReplaceAll "[= ]" . "")) -}}
podSpec has {{ . }} among the server's arguments, but probes, Service and monitors look for it on {{ $port }}: set server.port
  instead.
{{ end -}}
{{- end -}}
{{- end -}}
