{{- /* vllm.shorten: the name as it is, or cut with a hash of the whole so that two long names never meet. Takes a list of name and length. */ -}}
{{- define "vllm.shorten" -}}
{{- $name := first . -}}
{{- $length := last . -}}
{{- if le (len $name) (int $length) -}}
{{- $name -}}
{{- else -}}
{{- printf "%s-%s" (trunc (int (sub $length 9)) $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- end -}}

{{- /* vllm.name: the value of the label app.kubernetes.io/name. */ -}}
{{- define "vllm.name" -}}
{{- include "vllm.shorten" (list (default .Chart.Name .Values.nameOverride) 63) -}}
{{- end -}}

{{- /* vllm.fullname: the name of the release's objects. Release names are unique in a namespace, so the release's name alone keeps two releases apart; a subchart adds its own name. Helm takes dots and a digit in front, and capitals in an alias; a Service does not, so such a name is changed, with a hash of the whole. Kept in .fullname. */ -}}
{{- define "vllm.fullname" -}}
{{- if not .fullname -}}
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
{{- $_ := include "vllm.shorten" (list $name 63) | set . "fullname" -}}
{{- end -}}
{{- .fullname -}}
{{- end -}}

{{- /* vllm.selectorLabels: the labels by which objects find the pods of a release; immutable, so only name and instance. */ -}}
{{- define "vllm.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vllm.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* vllm.podLabels: the labels of the pods, without anything that changes with the chart's version. */ -}}
{{- define "vllm.podLabels" -}}
{{- mergeOverwrite dict (.Values.commonLabels | default dict) (.Values.podLabels | default dict) (include "vllm.selectorLabels" . | fromYaml) | toYaml -}}
{{- end -}}

{{- /* vllm.podMetadata: labels and annotations of the pods, as YAML. */ -}}
{{- define "vllm.podMetadata" -}}
labels:
  {{- include "vllm.podLabels" . | nindent 2 }}
{{- with include "vllm.podAnnotations" . | fromJson }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* vllm.labels: the labels that every object has, as a JSON map. Kept in .labels. */ -}}
{{- define "vllm.labels" -}}
{{- if not .labels -}}
{{- $labels := include "vllm.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- $_ := toRawJson $labels | set . "labels" -}}
{{- end -}}
{{- .labels -}}
{{- end -}}

{{- /* vllm.metadata: name, namespace, labels and annotations of an object. Takes a dict of root, and of name, labels, annotations and selector (labels instead of vllm.selectorLabels) where they differ. */ -}}
{{- define "vllm.metadata" -}}
{{- $root := .root -}}
{{- /* Helm takes on, no or 123 for a name, which YAML takes for something else without quotation marks. */ -}}
name: {{ .name | default (include "vllm.fullname" $root) | toYaml }}
namespace: {{ $root.Release.Namespace | toYaml }}
labels:
  {{- mergeOverwrite dict ($root.Values.commonLabels | default dict) (.labels | default dict) (include "vllm.labels" $root | fromJson) (.selector | default dict) | toYaml | nindent 2 }}
{{- with mergeOverwrite dict ($root.Values.commonAnnotations | default dict) (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* vllm.partName: the release's name with a word at its end. Takes a list of root and the word. */ -}}
{{- define "vllm.partName" -}}
{{- include "vllm.shorten" (list (printf "%s-%s" (include "vllm.fullname" (first .)) (last .)) 63) -}}
{{- end -}}

{{- /* vllm.podAnnotations: the annotations of the pods, as a JSON map; checksums change with the files that the server reads once, so that a change restarts the pods. */ -}}
{{- define "vllm.podAnnotations" -}}
{{- $annotations := dict "checksum/lifecycle" (include "vllm.lifecycleFiles" . | sha256sum) -}}
{{- with .Values.engine.files -}}
{{- $_ := set $annotations "checksum/files" (toRawJson . | sha256sum) -}}
{{- end -}}
{{- if .Values.metrics.scrapeAnnotations.enabled -}}
{{- $_ := set $annotations "prometheus.io/scrape" "true" -}}
{{- $_ := set $annotations "prometheus.io/port" (include "vllm.scalar" .Values.server.port) -}}
{{- $_ := set $annotations "prometheus.io/path" "/metrics" -}}
{{- with .Values.server.tls -}}
{{- $_ := set $annotations "prometheus.io/scheme" "https" -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite $annotations (.Values.podAnnotations | default dict) | toRawJson -}}
{{- end -}}

{{- /* vllm.serviceAccountName: the name of the pod's service account. */ -}}
{{- define "vllm.serviceAccountName" -}}
{{- with .Values.serviceAccount -}}
{{- .name | default (.create | ternary (include "vllm.fullname" $) "default") -}}
{{- end -}}
{{- end -}}
