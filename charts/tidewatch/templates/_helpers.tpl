{{/* Labels of everything that the chart makes. Call with (dict "root" $ "component" "operator"). */}}
{{- define "tidewatch.labels" -}}
{{ include "tidewatch.selector" . }}
app.kubernetes.io/part-of: tidewatch
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels that select a component's pods. */}}
{{- define "tidewatch.selector" -}}
app.kubernetes.io/name: tidewatch
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* repository:tag, or repository@digest. Call with (dict "root" $ "image" .Values.agent.image). */}}
{{- define "tidewatch.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}
