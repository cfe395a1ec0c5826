{{- /* vllm.shorten: A name, cut if it is too long, with a hash of the whole name so that two long names never become equal.
Takes a list of the name and the maximum length. */ -}}
{{- define "vllm.shorten" -}}
{{- $name := first . -}}
{{- $length := last . -}}
{{- if le (len $name) (int $length) -}}
{{- $name -}}
{{- else -}}
{{- printf "%s-%s" (trunc (int (sub $length 9)) $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- end -}}

{{- /* vllm.name: Value of the label app.kubernetes.io/name. */ -}}
{{- define "vllm.name" -}}
{{- include "vllm.shorten" (list (default .Chart.Name .Values.nameOverride) 63) -}}
{{- end -}}

{{- /* vllm.fullname: Name of the release's objects. Release names are unique in a namespace, so the release's name alone keeps
two releases apart; a subchart appends its own name. Helm accepts dots and a leading digit in a release's name, and capitals
in an alias, but the name of a Service must not contain them. Such a name is changed and gets a hash of the whole name. */ -}}
{{- define "vllm.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not .Chart.IsRoot -}}
{{- $name = printf "%s-%s" .Release.Name (include "vllm.name" .) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- $legal := regexReplaceAll "[^a-z0-9-]" (lower $name) "-" -}}
{{- $name = printf "%s-%s" (regexReplaceAll "^[^a-z]" $legal "vllm-${0}") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- include "vllm.shorten" (list $name 63) -}}
{{- end -}}

{{- /* vllm.partName: Name of the release with a suffix. Takes a list of the root context and the suffix. */ -}}
{{- define "vllm.partName" -}}
{{- include "vllm.shorten" (list (printf "%s-%s" (include "vllm.fullname" (first .)) (last .)) 63) -}}
{{- end -}}

{{- /* vllm.selectorLabels: Labels by which objects select the pods of a release, as YAML. Selectors are immutable, so only name
and instance. */ -}}
{{- define "vllm.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vllm.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* vllm.labels: Labels of every object, as a JSON map. */ -}}
{{- define "vllm.labels" -}}
{{- $labels := include "vllm.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- toRawJson $labels -}}
{{- end -}}

{{- /* vllm.metadata: Name, namespace, labels and annotations of an object, as YAML. Takes a dict of root, and of name, labels,
annotations and selector (labels instead of vllm.selectorLabels) where they differ. */ -}}
{{- define "vllm.metadata" -}}
{{- $root := .root -}}
{{- $common := $root.Values.commonLabels | default dict -}}
{{- $own := include "vllm.labels" $root | fromJson -}}
{{- /* Helm accepts on, no or 123 as a name, which without quotation marks are no strings in YAML. */ -}}
name: {{ .name | default (include "vllm.fullname" $root) | toYaml }}
namespace: {{ $root.Release.Namespace | toYaml }}
labels:
  {{- mergeOverwrite dict $common (.labels | default dict) $own (.selector | default dict) | toYaml | nindent 2 }}
{{- with mergeOverwrite dict ($root.Values.commonAnnotations | default dict) (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
