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
{{- prepend (default list .Values.rbac.namespaces) .Release.Namespace | uniq | toJson }}
{{- end }}

{{- define "scrobble-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "scrobble-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object: those of `commonLabels`, and the chart's own, which win. */}}
{{- define "scrobble-operator.labels" -}}
{{- $own := include "scrobble-operator.selectorLabels" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- mergeOverwrite (deepCopy (default dict .Values.commonLabels)) $own | toYaml }}
{{- end }}

{{/* Labels of pods: not the versions, so that no chart starts pods anew that it does not change otherwise. */}}
{{- define "scrobble-operator.podLabels" -}}
{{- $given := mergeOverwrite (deepCopy (default dict .Values.commonLabels)) (default dict .Values.podLabels) }}
{{- mergeOverwrite $given (include "scrobble-operator.selectorLabels" . | fromYaml) | toYaml }}
{{- end }}

{{/* Spread constraints; one without a selector means the pods of this release. */}}
{{- define "scrobble-operator.topologySpreadConstraints" -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "scrobble-operator.selectorLabels" . | fromYaml)) }}
{{- range .Values.topologySpreadConstraints }}
- {{ hasKey . "labelSelector" | ternary . (merge (deepCopy .) $own) | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}

{{/* Labels of what `helm test` makes. Its pod is none of the Deployment's, of the Service's or of the budget's. */}}
{{- define "scrobble-operator.testLabels" -}}
{{- $own := include "scrobble-operator.labels" . | fromYaml }}
{{- set $own "app.kubernetes.io/name" (printf "%s-test" (include "scrobble-operator.name" . | trunc 58 | trimSuffix "-")) | toYaml }}
{{- end }}

{{/* The name of an image, from its repository, tag and digest. */}}
{{- define "scrobble-operator.imageName" -}}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository .tag }}
{{- end }}
{{- end }}

{{- define "scrobble-operator.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag }}
{{- include "scrobble-operator.imageName" (dict "repository" .Values.image.repository "digest" .Values.image.digest "tag" $tag) }}
{{- end }}

{{- define "scrobble-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "scrobble-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
