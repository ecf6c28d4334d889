//! How the proxies that are not ours are set up: as plain proxies that pass streams on as they come.

use crate::proxies::THREADS;
use std::net::SocketAddr;
use std::path::Path;

/// nginx's configuration.
pub(crate) fn nginx_conf(folder: &Path, listen: SocketAddr, provider: SocketAddr) -> String {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path {folder}/{name};\n"))
        .collect();
    format!(
        "daemon off;\nworker_processes {THREADS};\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n{temporary}  access_log off;\n  keepalive_requests 1000000000;\n\
         \x20 upstream provider {{ server {provider}; keepalive 256; keepalive_requests 1000000000; }}\n\
         \x20 server {{\n    listen {listen};\n    location / {{\n      proxy_pass http://provider;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_buffering off;\n\
         \x20     proxy_read_timeout 600s;\n    }}\n  }}\n}}\n"
    )
}

/// What Envoy is started with.
pub(crate) fn envoy_arguments(config: &Path) -> [String; 7] {
    let config = config.display().to_string();
    let words =
        ["-c", &config, "--concurrency", &THREADS.to_string(), "--disable-hot-restart", "--log-level", "warning"];
    words.map(str::to_owned)
}

/// Envoy's configuration: no access log, no retries, no time-outs.
pub(crate) fn envoy_yaml(listen: SocketAddr, provider: SocketAddr) -> String {
    let address = |address: SocketAddr| {
        format!("{{ socket_address: {{ address: {}, port_value: {} }} }}", address.ip(), address.port())
    };
    let manager =
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    format!(
        r#"static_resources:
  listeners:
  - name: clients
    address: {listen}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {manager}
          stat_prefix: clients
          generate_request_id: false
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: provider, timeout: 0s }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": {router}, suppress_envoy_headers: true }}
  clusters:
  - name: provider
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {{ max_connections: 65536, max_pending_requests: 65536, max_requests: 65536 }}
    load_assignment:
      cluster_name: provider
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {provider} }}
"#,
        listen = address(listen),
        provider = address(provider),
    )
}
