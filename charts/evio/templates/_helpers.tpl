{{- define "evio.selector" -}}
app.kubernetes.io/name: evio
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "evio.labels" -}}
{{ include "evio.selector" . }}
app.kubernetes.io/part-of: evio
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The reference of an image: (dict "root" $ "name" "agent") */}}
{{- define "evio.image" -}}
{{- $images := .root.Values.images -}}
{{- get $images .name | default (printf "%s/%s:%s" $images.registry .name ($images.tag | default .root.Chart.AppVersion)) -}}
{{- end }}

{{- define "evio.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Something when the chart makes the network. */}}
{{- define "evio.makesNetwork" -}}
{{- if or .Values.network.create .Values.network.mode }}yes{{ end }}
{{- end }}

{{- /* Its spec, as JSON; network.mode may not say another mode than network.spec. */}}
{{- define "evio.networkSpec" -}}
{{- $network := .Values.network }}
{{- $mode := $network.mode | default $network.spec.mode }}
{{- if and $mode $network.spec.mode (ne $mode $network.spec.mode) }}
{{- fail (printf "network.mode is %s, network.spec.mode %s: leave one of them out" $mode $network.spec.mode) }}
{{- end }}
{{- if $mode }}{{ merge (dict "mode" $mode) $network.spec | toJson }}{{ else }}{{ toJson $network.spec }}{{ end }}
{{- end }}

{{- /* In-cluster configuration with another way to the API server: these come before what the kubelet would set. */}}
{{- define "evio.apiServer" -}}
{{- with .Values.k8sServiceHost }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ . | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ $.Values.k8sServicePort | quote }}
{{- end }}
{{- end }}

{{- /* URLs for the agents; empty: the operator finds them. */}}
{{- define "evio.apiServers" -}}
{{- if .Values.apiServers }}
{{- join "," .Values.apiServers }}
{{- else if .Values.k8sServiceHost }}
{{- $host := .Values.k8sServiceHost }}
{{- printf "https://%s:%v" (contains ":" $host | ternary (printf "[%s]" $host) $host) .Values.k8sServicePort }}
{{- end }}
{{- end }}

{{- /* Where the API servers are now: kube-proxy may wait half a minute for an address of its node, which the operator is to bring. */}}
{{- define "evio.apiServersSeen" -}}
{{- if not (or .Values.apiServers .Values.k8sServiceHost) }}
{{- $urls := list }}
{{- $slice := lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes" | default dict }}
{{- range $port := $slice.ports }}
{{- range $endpoint := $slice.endpoints }}
{{- range $host := $endpoint.addresses }}
{{- $urls = append $urls (printf "https://%s:%v" (contains ":" $host | ternary (printf "[%s]" $host) $host) $port.port) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $urls }}
- name: EVIO_API_SERVERS_SEEN
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* No right that it does not use. */}}
{{- define "evio.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- /* What Helm makes for an event only, and takes away after it; a Job that failed stays, for its log: (dict "events" "test" "weight" 0) */}}
{{- define "evio.hook" -}}
helm.sh/hook: {{ .events }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded{{ if not .job }},hook-failed{{ end }}
{{- end }}

{{- /* A Job that Helm runs: (dict "root" $ "component" "uninstall" "args" (list ...) "seconds" 120) */}}
{{- define "evio.hookJob" -}}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ .seconds }}
  # One that failed is there for an hour, for its log.
  ttlSecondsAfterFinished: 3600
  template:
    metadata:
      labels:
        {{- include "evio.labels" (dict "root" .root "component" .component) | nindent 8 }}
    spec:
      restartPolicy: Never
      serviceAccountName: evio-hooks
      hostNetwork: true
      priorityClassName: {{ .root.Values.operator.priorityClassName | quote }}
      {{- with trim (include "evio.pullSecrets" .root) }}
      {{- . | nindent 6 }}
      {{- end }}
      affinity:
        {{- toYaml .root.Values.operator.affinity | nindent 8 }}
      tolerations:
        - operator: Exists
      containers:
        - name: {{ .component }}
          image: {{ include "evio.image" (dict "root" .root "name" "operator") | quote }}
          imagePullPolicy: {{ .root.Values.images.pullPolicy }}
          command: [/usr/local/bin/node, /opt/evio/evio-chart.mjs]
          args:
            {{- toYaml .args | nindent 12 }}
          {{- with trim (printf "%s\n%s" (include "evio.apiServer" .root | trim) (include "evio.apiServersSeen" .root | trim)) }}
          env:
            {{- . | nindent 12 }}
          {{- end }}
          {{- include "evio.containerSecurity" .root | nindent 10 }}
{{- end }}
