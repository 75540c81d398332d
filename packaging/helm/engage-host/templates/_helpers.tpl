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

{{/* The port of a URL. */}}
{{- define "engage-host.port" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- default (dict "http" "80" "https" "443" | dig $url.scheme "5432") $port -}}
{{- end }}

{{/* config.toml. Strings, numbers and lists of JSON are TOML's too. */}}
{{- define "engage-host.config" -}}
{{- $given := .Values.config }}
{{- $url := $given.base_url | required "config.base_url is missing: how devices reach port 80, such as http://10.44.68.128" }}
{{- $_ := $given.devices.database_url | required "config.devices.database_url is missing: postgres://USER@HOST/DATABASE, without a password" }}
{{- if and (ne .Values.service.externalTrafficPolicy "Local" | or (eq .Values.service.type "ClusterIP")) (empty $given.access.proxy_protocol_from) (empty $given.limits.connections_per_address) }}
{{- fail "devices would arrive under the addresses of nodes, and share the 64 connections of one: set service.externalTrafficPolicy to Local, name the balancers that speak the PROXY protocol in config.access.proxy_protocol_from, or set config.limits.connections_per_address" }}
{{- end }}
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
