{{/* The chart's name, or what stands for it. */}}
{{- define "scrobble-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of objects in the release's namespace. */}}
{{- define "scrobble-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "scrobble-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The name of objects that releases of several namespaces could otherwise share: those of the cluster, and those in
namespaces that are not the release's own. A colon stands in no namespace and no release name, so no two releases meet.
*/}}
{{- define "scrobble-operator.sharedName" -}}
{{- printf "%s:%s:%s" .Chart.Name .Release.Namespace .Release.Name }}
{{- end }}

{{- define "scrobble-operator.serviceAccountName" -}}
{{- default (include "scrobble-operator.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{/* The namespaces of mode `namespaces`, each once, the release's own first: a JSON list. */}}
{{- define "scrobble-operator.namespaces" -}}
{{- prepend .Values.rbac.namespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{- define "scrobble-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "scrobble-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "scrobble-operator.labels" -}}
{{ include "scrobble-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "scrobble-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "scrobble-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "scrobble-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
