//! nginx, as a careful operator would set it up for the same service.

use fs_err as fs;
use std::process::{Command, Stdio};

use crate::installation::Installation;
use crate::process::{Server, free_address};
use crate::trouble::{Outcome, While};

/// Starts nginx with two workers on free ports.
pub(crate) fn spawn(installation: &Installation) -> Outcome<Server> {
    let (http, https) = (free_address()?, free_address()?);
    let work = installation.work.display();
    let text = CONFIG
        .replace("{work}", &work.to_string())
        .replace("{http}", &http.to_string())
        .replace(
            "{announcement}",
            &String::from_utf8_lossy(&installation.announcement),
        )
        .replace("{https}", &https.to_string());
    let folder = installation.work.join("nginx");
    let file = folder.join("nginx.conf");
    fs::write(&file, text).doing("writing nginx.conf")?;
    let mut command = Command::new(&installation.nginx);
    command
        .arg("-p")
        .arg(&folder)
        .arg("-c")
        .arg(&file)
        .arg("-e")
        .arg(folder.join("error.log"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Server::spawn(&mut command, http, https)
}

/// Debian's own settings (`sendfile`, `tcp_nopush`, log format, `worker_connections` aside), two
/// workers as there are cores, no resumption as devices do not resume, a file cache so that
/// nothing is opened for a request, and a queue and descriptors for a whole building.
const CONFIG: &str = r"
daemon off;
worker_processes 2;
worker_rlimit_nofile 20000;
pid {work}/nginx/nginx.pid;
error_log {work}/nginx/error.log;
events { worker_connections 16384; }
http {
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    default_type application/octet-stream;
    access_log {work}/nginx/access.log;
    keepalive_timeout 30s;
    keepalive_requests 1000000000;
    client_header_timeout 15s;
    open_file_cache max=16 inactive=1h;
    open_file_cache_valid 1h;
    client_body_temp_path {work}/nginx/body;
    proxy_temp_path {work}/nginx/proxy;
    fastcgi_temp_path {work}/nginx/fastcgi;
    uwsgi_temp_path {work}/nginx/uwsgi;
    scgi_temp_path {work}/nginx/scgi;
    ssl_certificate {work}/pki/partner_server.pem;
    ssl_certificate_key {work}/pki/partner_server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets off;
    server {
        listen {http} backlog=4096;
        listen {https} ssl backlog=4096;
        root {work}/nginx/root;
        location = /swordfish/lock/certificates/current { default_type application/json; return 200 '{announcement}'; }
    }
}
";
