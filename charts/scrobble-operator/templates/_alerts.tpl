{{/* The groups of files/alerts.yaml with what the release is called and what is set for it. */}}
{{- define "scrobble-operator.alerts" -}}
{{- $rule := .Values.metrics.prometheusRule }}
{{- $fullname := include "scrobble-operator.fullname" . }}
{{- $jobs := default (printf "(%s/)?%s" .Release.Namespace $fullname) $rule.job }}
{{- $places := dict "job" $jobs "namespace" .Release.Namespace "fullname" $fullname }}
{{- $text := .Files.Get "files/alerts.yaml" }}
{{- range $name, $value := merge $places (default dict $rule.thresholds) }}
{{- $text = replace (printf "${%s}" $name) (toString $value) $text }}
{{- end }}
{{- with regexFind "\\$\\{[a-zA-Z]+\\}" $text }}
{{- fail (printf "metrics.prometheusRule: there is no value for %s; upgrade with --reset-then-reuse-values" .) }}
{{- end }}
{{- $series := ternary "accounts" "aggregates" (dig "accounts" "enabled" true .Values.metrics) }}
{{- $file := fromYaml $text }}
{{- $names := list }}
{{- range $group := $file.groups }}
{{- $rules := list }}
{{- range $group.rules }}
{{- $names = append $names .alert }}
{{- if and (eq $series (default $series .series)) (not (has .alert (default list $rule.disabled))) }}
{{- $severity := get (default dict $rule.severities) .alert | default .labels.severity }}
{{- $_ := set . "labels" (mergeOverwrite (deepCopy (default dict $rule.ruleLabels)) (dict "severity" $severity)) }}
{{- $_ := set .annotations "runbook_url" (printf "%s/%s.md" (trimSuffix "/" $rule.runbookUrl) .alert) }}
{{- $rules = append $rules (omit . "series") }}
{{- end }}
{{- end }}
{{- $_ := set $group "rules" $rules }}
{{- end }}
{{- range concat (default list $rule.disabled) (keys (default dict $rule.severities)) }}
{{- if not (has . $names) }}
{{- fail (printf "metrics.prometheusRule: there is no alert %s" .) }}
{{- end }}
{{- end }}
{{- toYaml $file }}
{{- end }}
