{{/* What everything of one customer is called; takes (dict "root" $ "customer" …). */}}
{{- define "sidemount.name" -}}
{{- $name := printf "%s-%s" .root.Release.Name .customer.name -}}
{{- if gt (len $name) 63 }}{{ fail (printf "%s is longer than the 63 characters a Service's name may have" $name) }}{{ end -}}
{{- $name -}}
{{- end -}}

{{- define "sidemount.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
sidemount/customer: {{ .customer.name }}
{{- end -}}

{{- define "sidemount.labels" -}}
{{ include "sidemount.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sidemount.image" -}}
{{ required "image.repository is missing: where sidemount's image is" .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/*
Are the folders live mounts? `stat -f` asks the process that serves them and nobody else, so it costs no request to the
bucket; where nobody serves them the answer is an error or never comes, and then the check is killed.
*/}}
{{- define "sidemount.alive" -}}
exec:
  command:
    - /bin/sh
    - -c
    - >-
      grep -q ' /mnt/sidemount/uploads fuse.sidemount ' /proc/self/mounts &&
      {{- if .Values.sidemount.serve }}
      grep -q ' /mnt/sidemount/serve fuse.sidemount ' /proc/self/mounts &&
      {{- end }}
      timeout -s KILL 4 stat -f /mnt/sidemount/uploads{{ if .Values.sidemount.serve }} /mnt/sidemount/serve{{ end }}
{{- end -}}

{{/* What every container that uses the bucket mounts. */}}
{{- define "sidemount.use" -}}
# The folder above the mounts, read-only: they are mounted into it, and stay writable. When they are gone, a
# program that goes on writing gets an error instead of filling the node's disk.
- name: sidemount
  mountPath: /mnt/sidemount
  mountPropagation: HostToContainer
  readOnly: true
{{- end -}}
