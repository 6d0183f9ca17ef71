{{- define "adg.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "adg.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "adg.labels" -}}
{{ include "adg.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "adg.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "adg.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "adg.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "adg.check" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is missing: build the image (deploy/README.md says how) and name where you pushed it" -}}
{{- end -}}
{{- if not .Values.seal.secret -}}
{{- fail "seal.secret is missing: make a key with 'adg key new', put it into a secret (kubectl create secret generic adg-seal --from-file=seal.key=…), and name that" -}}
{{- end -}}
{{- if and (not .Values.tls.secret) (not .Values.insecureHTTP) -}}
{{- fail "tls.secret is missing: name a secret of type kubernetes.io/tls; or, where a sidecar ends TLS, set insecureHTTP" -}}
{{- end -}}
{{- if and .Values.tls.secret .Values.insecureHTTP -}}
{{- fail "tls.secret and insecureHTTP exclude each other" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.postgres.secret) -}}
{{- fail "more than one replica needs PostgreSQL: name the secret with its address in postgres.secret" -}}
{{- end -}}
{{- end -}}
