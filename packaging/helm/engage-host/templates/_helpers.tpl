{{- define "engage-host.selector" -}}
app.kubernetes.io/name: engage-host
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "engage-host.labels" -}}
{{ include "engage-host.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "engage-host.name" -}}
{{ .Release.Name | trunc 48 | trimSuffix "-" }}
{{- end }}

{{/* config.toml. Strings, numbers and lists of JSON are TOML's too. */}}
{{- define "engage-host.config" -}}
{{- $given := .Values.config }}
{{- $url := $given.base_url | required "config.base_url is missing: how devices reach port 80, such as http://10.44.68.128" }}
{{- $_ := $given.devices.database_url | required "config.devices.database_url is missing: postgres://USER@HOST/DATABASE, without a password" }}
{{- $admin := printf "%s-admin" (include "engage-host.name" .) }}
{{- $written := dict
    "http" (dict "listen" "0.0.0.0:8080")
    "https" (dict "listen" "0.0.0.0:8443" "certificate" "pki/partner_server.pem" "private_key" "pki/partner_server.key")
    "admin" (dict
        "listen" "0.0.0.0:9480" "certificate" "admin/tls.crt" "private_key" "admin/tls.key" "token_file" "admin-tokens"
        "hosts" (list $admin (printf "%s.%s" $admin .Release.Namespace) (printf "%s.%s.svc" $admin .Release.Namespace)))
    "devices" (dict "directory" "/var/lib/engage-host" "database_password_file" "database/password") }}
{{- $tables := mergeOverwrite $written (omit $given "base_url" | deepCopy) -}}
base_url = {{ toJson $url }}
{{- range $table, $keys := $tables }}

[{{ $table }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- range .Values.sites }}

[[site]]
{{- $files := dict "key_file" (printf "pki/%s" .key) "certificate" (printf "static/Device_Certificates/%s" .certificate) }}
{{- range $key, $value := merge $files (omit . "key") }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}
