{{- define "adg.pod" -}}
metadata:
  labels:
    {{- include "adg.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "adg.account" . }}
  automountServiceAccountToken: {{ not (empty .Values.rbac.namespaces) }}
  # The variables that Kubernetes makes of services begin like those of the server.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add (int .Values.drainSeconds) 30 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: adg
      image: {{ include "adg.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [server, --config, /etc/adg/adg.yaml]
      env:
        - name: ADG_SERVER_GUARD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: ADG_SEAL_KEY
          valueFrom: {secretKeyRef: {name: {{ .Values.seal.secret | quote }}, key: {{ .Values.seal.key | quote }}}}
        {{- range $i, $key := .Values.seal.older }}
        - name: ADG_SEAL_KEY_OLDER_{{ $i }}
          valueFrom: {secretKeyRef: {name: {{ $.Values.seal.secret | quote }}, key: {{ $key | quote }}}}
        {{- end }}
        {{- if .Values.postgres.secret }}
        - name: ADG_POSTGRES_DSN
          valueFrom: {secretKeyRef: {name: {{ .Values.postgres.secret | quote }}, key: {{ .Values.postgres.key | quote }}}}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: api, containerPort: 8443}
        - {name: metrics, containerPort: {{ .Values.metrics.port }}}
      startupProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      resources: {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/adg, readOnly: true}
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if .Values.tls.secret }}
        - {name: tls, mountPath: /tls, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "adg.name" . }}}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if .Values.postgres.secret }}
    - name: data
      emptyDir: {sizeLimit: 1Gi}
    {{- end }}
    {{- if .Values.tls.secret }}
    - name: tls
      secret: {secretName: {{ .Values.tls.secret | quote }}, defaultMode: 288}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "adg.selector" . | nindent 10 }}
    {{- end }}
{{- end -}}
