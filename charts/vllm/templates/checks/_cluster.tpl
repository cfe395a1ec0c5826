{{- /* vllm.check.imageVolume: The cluster supports image volumes if an oci:// model is mounted as one. Skipped without a live
cluster. */ -}}
{{- define "vllm.check.imageVolume" -}}
{{- $live := .Capabilities.APIVersions.Has "apiregistration.k8s.io/v1" -}}
{{- $version := .Capabilities.KubeVersion.Version -}}
{{- if and $live (not .Values.model.copyFrom) (semverCompare "<1.35.0-0" $version) -}}
{{- range include "vllm.sources" . | fromJsonArray -}}
{{- if eq .scheme "oci" -}}
{{ .key }}.uri is "{{ .uri }}", and Kubernetes {{ $version }} mounts images as volumes only with the feature gate ImageVolume:
  use 1.35 or newer, turn the gate on and switch this check off, or set model.copyFrom to the folder of the image to copy.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* vllm.check.leaderWorkerSet: The cluster has LeaderWorkerSet if parallelism.nodes is above 1. Skipped without a live
cluster. */ -}}
{{- define "vllm.check.leaderWorkerSet" -}}
{{- $has := .Capabilities.APIVersions -}}
{{- if and (include "vllm.group" .) ($has.Has "apiregistration.k8s.io/v1") (not ($has.Has "leaderworkerset.x-k8s.io/v1")) -}}
parallelism.nodes is {{ include "vllm.nodes" . }}, but the cluster has no leaderworkerset.x-k8s.io/v1: install LeaderWorkerSet
  (kubectl apply --server-side -f https://github.com/kubernetes-sigs/lws/releases/download/v0.8.0/manifests.yaml), or set
  parallelism.nodes to 1.
{{- end -}}
{{- end -}}

{{- /* vllm.check.missingApi: The cluster has each custom resource that the values enable. Skipped without a live cluster. */ -}}
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
{{ $key }}.enabled is true, but the cluster has no {{ index $need 1 }}: install {{ last $need }}, or set {{ $key }}.enabled to
  false.
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
