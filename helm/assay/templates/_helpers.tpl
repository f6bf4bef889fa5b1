{{/* Each service: its port, and the name under which it tells its readiness (grpc.health.v1). */}}
{{- define "assay.services" -}}
config: { port: 7071, health: assay.config.v1.ExperimentService }
assignment: { port: 7070, health: assay.assignment.v1.AssignmentService }
ingest: { port: 7072, health: assay.ingest.v1.IngestService }
analysis: { port: 7073, health: assay.analysis.v1.AnalysisService }
{{- end }}

{{/* First part of all names. The longest suffix has 11 characters, and names have at most 63. */}}
{{- define "assay.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "assay.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "assay.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "assay.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "assay.labels" -}}
{{ include "assay.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Settings common to all services: where the stores are, and where telemetry goes. */}}
{{- define "assay.commonEnv" -}}
- name: ASSAY__STORES__POSTGRES_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.stores.postgres.existingSecret }}
      key: {{ .Values.stores.postgres.key }}
- name: ASSAY__STORES__REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.stores.redis.existingSecret }}
      key: {{ .Values.stores.redis.key }}
- name: ASSAY__STORES__ETCD_ENDPOINTS
  {{- with .Values.stores.etcd.endpoints }}
  value: {{ toJson . | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.stores.etcd.existingSecret }}
      key: {{ .Values.stores.etcd.key }}
  {{- end }}
- name: ASSAY__AUTH__MODE
  value: {{ .Values.auth.mode }}
{{- if eq .Values.auth.mode "keys" }}
- name: ASSAY__AUTH__SERVICE_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.auth.existingSecret }}
      key: {{ .Values.auth.serviceKey }}
- name: ASSAY__AUTH__ADMIN_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.auth.existingSecret }}
      key: {{ .Values.auth.adminKey }}
{{- end }}
{{- with .Values.telemetry.otlpEndpoint }}
- name: ASSAY__TELEMETRY__OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.telemetry.logFormat }}
- name: ASSAY__TELEMETRY__LOG_FORMAT
  value: {{ . | quote }}
{{- end }}
{{- end }}
