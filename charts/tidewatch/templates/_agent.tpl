{{/* The agents' DaemonSet. */}}
{{- define "tidewatch.agent" -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: tidewatch-agent
  labels:
    {{- include "tidewatch.selector" (dict "root" $ "component" "agent") | nindent 4 }}
    app.kubernetes.io/part-of: tidewatch
    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
    {{- with .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "tidewatch.selector" (dict "root" $ "component" "agent") | nindent 6 }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: {{ .Values.agent.maxUnavailable }}
  template:
    metadata:
      labels:
        {{- include "tidewatch.selector" (dict "root" $ "component" "agent") | nindent 8 }}
        app.kubernetes.io/part-of: tidewatch
        app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
        {{- with merge (deepCopy .Values.agent.podLabels) .Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.agent.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: tidewatch-agent
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 10
      # The node's conntrack table, which says where a ClusterIP led to, belongs to the node's network namespace.
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
      # The kernel's socket iterator walks the tasks of its own PID namespace and below.
      hostPID: true
      {{- with .Values.agent.podSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with ternary .Values.priorityClass.name .Values.agent.priorityClassName .Values.priorityClass.create }}
      priorityClassName: {{ . }}
      {{- end }}
      containers:
        - name: agent
          image: {{ include "tidewatch.image" (dict "root" $ "image" .Values.agent.image) }}
          imagePullPolicy: {{ .Values.agent.image.pullPolicy }}
          command: [/tidewatch-agent]
          env:
            - name: NODE_NAME
              valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
            - name: HOST_IP
              valueFrom: {fieldRef: {fieldPath: status.hostIP}}
            - name: TIDEWATCH_NODE
              value: $(NODE_NAME)
            {{- with .Values.agent.cgroupPath }}
            - name: TIDEWATCH_CGROUP
              value: {{ . | quote }}
            {{- end }}
            - name: TIDEWATCH_COLLECTOR
              value: https://tidewatch-collector.{{ .Release.Namespace }}.svc:4317
            - name: TIDEWATCH_COLLECTOR_CA
              value: /etc/tidewatch/ca/ca.crt
            - name: TIDEWATCH_TOKEN
              value: /var/run/secrets/tidewatch/token
            - name: TIDEWATCH_WINDOW
              value: {{ .Values.agent.window | quote }}
            - name: TIDEWATCH_LISTEN
              value: {{ printf "%s:%d" .Values.agent.listenHost (int .Values.agent.port) | quote }}
            {{- if .Values.agent.gzip }}
            - name: TIDEWATCH_GZIP
              value: "true"
            {{- end }}
          ports:
            - {name: metrics, containerPort: {{ .Values.agent.port }}}
          livenessProbe:
            httpGet: {path: /healthz, port: {{ .Values.agent.port }}}
            periodSeconds: 20
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /healthz, port: {{ .Values.agent.port }}}
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .Values.agent.resources | nindent 12 }}
          {{- with .Values.agent.securityContext }}
          securityContext:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - {name: cgroup, mountPath: /sys/fs/cgroup, readOnly: true}
            - {name: token, mountPath: /var/run/secrets/tidewatch, readOnly: true}
            - {name: collector-ca, mountPath: /etc/tidewatch/ca, readOnly: true}
      volumes:
        - name: cgroup
          hostPath: {path: /sys/fs/cgroup, type: Directory}
        - name: token
          projected:
            sources:
              - serviceAccountToken: {audience: tidewatch-collector, expirationSeconds: 3600, path: token}
        - name: collector-ca
          configMap: {name: tidewatch-collector-ca}
      {{- with .Values.agent.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.agent.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.agent.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
