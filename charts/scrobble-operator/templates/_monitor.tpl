{{/* One endpoint of a ServiceMonitor or PodMonitor, from its values. */}}
{{- define "scrobble-operator.monitorEndpoint" -}}
- port: http
  path: /metrics
  honorLabels: true
  {{- with .interval }}
  interval: {{ . }}
  {{- end }}
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Metadata of a ServiceMonitor or PodMonitor: a list of the root and of the values. */}}
{{- define "scrobble-operator.monitorMetadata" -}}
{{- $root := index . 0 }}
{{- $labels := mergeOverwrite (deepCopy (default dict (index . 1).labels)) (include "scrobble-operator.labels" $root | fromYaml) }}
name: {{ include "scrobble-operator.fullname" $root }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- end }}
