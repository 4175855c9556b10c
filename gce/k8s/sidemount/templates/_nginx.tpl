{{/* The web server's configuration; what each line is for stands in nginx/nginx.conf of the project. */}}
{{- define "sidemount.nginx" -}}
map $http_x_forwarded_proto $visitor_scheme {
    default $scheme;
    https https;
}

server {
    listen {{ .Values.nginx.port }} default_server;
    server_name _;
    server_tokens off;
    client_max_body_size {{ .Values.nginx.maxBodySize }};
    absolute_redirect off;

    sendfile on;
    sendfile_max_chunk 512k;
    aio threads;

    location {{ .Values.nginx.location }} {
        alias /mnt/sidemount/{{ .Values.sidemount.serve | ternary "serve" "uploads" }}/;
        open_file_cache off;
        add_header X-Content-Type-Options nosniff always;

        location ~ /\. {
            return 404;
        }
    }

    location / {
        proxy_pass http://127.0.0.1:{{ .Values.port }};
        proxy_http_version 1.1;
        proxy_request_buffering on;
        proxy_read_timeout 120s;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Proto $visitor_scheme;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
}
{{- end -}}
