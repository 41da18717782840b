{{/*
The pages that people use, as a JSON list: neither metrics nor probes. `/connect` and `/callback` are reserved for signing in
through the operator's own server, which does not exist yet.
*/}}
{{- define "scrobble-operator.publicPaths" -}}
{{- list "/connect" "/callback" "/diagnostics" | toJson }}
{{- end }}

{{/* What leads to the Service cannot do without it. Takes the name of the value that asks for it. */}}
{{- define "scrobble-operator.needsService" -}}
{{- $root := index . 0 }}
{{- if not ($root.Values.service).enabled }}
{{- fail (printf "%s needs service.enabled=true" (index . 1)) }}
{{- end }}
{{- end }}
