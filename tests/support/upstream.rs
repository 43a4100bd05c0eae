//! What stands behind the home: web servers that say what reached them, web sockets, and servers of plain TCP.
//!
//! Not here: TLS (`Lab` puts Debian's own haproxy in front of one). Paths that mean something: `/healthz` (200 or, when
//! sick, 503), `/bytes/N` (N bytes), `/drip` (a byte every 100 ms, without end); everything else is echoed.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::network::Namespace;

/// A server on the LAN; it takes no more connections once dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    shared: Arc<Shared>,
    listener: Arc<TcpListener>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    requests: AtomicUsize,
    connections: AtomicUsize,
    sick: AtomicBool,
}

impl Upstream {
    /// Starts a web server at `address`.
    pub(crate) fn web(network: &Namespace, address: &str) -> Self {
        Self::start(network, address, serve_web)
    }

    /// Starts a server that sends back whatever it gets.
    pub(crate) fn echo(network: &Namespace, address: &str) -> Self {
        Self::start(network, address, serve_echo)
    }

    fn start(network: &Namespace, address: &str, serve: fn(TcpStream, SocketAddr, &Shared)) -> Self {
        let address: SocketAddr = address.parse().expect("an address with a port");
        let listener =
            Arc::new(network.within(|| TcpListener::bind(address)).expect("a port of a network of ours"));
        let shared = Arc::new(Shared {
            name: address.to_string(),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            sick: AtomicBool::new(false),
        });
        let (accepting, taken) = (Arc::clone(&listener), Arc::clone(&shared));
        std::thread::spawn(move || {
            while let Ok((stream, peer)) = accepting.accept() {
                taken.connections.fetch_add(1, Ordering::Relaxed);
                let serving = Arc::clone(&taken);
                std::thread::spawn(move || serve(stream, peer, &serving));
            }
        });
        Self { shared, listener }
    }

    /// Requests answered so far, health checks left out.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Whether `/healthz` is answered with 503 from now on.
    pub(crate) fn set_sick(&self, sick: bool) {
        self.shared.sick.store(sick, Ordering::Relaxed);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // Ends the accepting thread, and with it the listener.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
    }
}

fn serve_echo(mut stream: TcpStream, peer: SocketAddr, _: &Shared) {
    let mut buffer = [0; 16384];
    // First who it is that calls, as seen from here.
    if stream.write_all(format!("{peer}\n").as_bytes()).is_err() {
        return;
    }
    while let Ok(length) = stream.read(&mut buffer) {
        if length == 0 || stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn serve_web(stream: TcpStream, _: SocketAddr, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let Ok(reading) = stream.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    let mut writer = stream;
    while let Some(request) = read_head(&mut reader) {
        if respond(&request, &mut reader, &mut writer, shared).is_none() {
            return;
        }
    }
}

/// Request line and header lines, without line ends.
fn read_head(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            return Some(lines);
        }
        lines.push(line);
    }
}

fn header<'a>(request: &'a [String], name: &str) -> Option<&'a str> {
    request.iter().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Answers one request; nothing when the connection is to end.
fn respond(
    request: &[String],
    reader: &mut impl Read,
    writer: &mut TcpStream,
    shared: &Shared,
) -> Option<()> {
    let path = request.first()?.split(' ').nth(1)?;
    if path == "/healthz" {
        let status = if shared.sick.load(Ordering::Relaxed) { "503 Sick" } else { "200 OK" };
        return send(writer, status, b"");
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    if header(request, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return web_socket(header(request, "sec-websocket-key")?, reader, writer);
    }
    if let Some(count) = path.strip_prefix("/bytes/") {
        return send(writer, "200 OK", &vec![b'x'; count.parse().ok()?]);
    }
    if path == "/drip" {
        writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
        loop {
            writer.write_all(b"1\r\nx\r\n").ok()?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let mut text = format!("served-by: {}\n", shared.name);
    for line in request {
        let _ = writeln!(text, "{line}");
    }
    send(writer, "200 OK", text.as_bytes())
}

fn send(writer: &mut TcpStream, status: &str, body: &[u8]) -> Option<()> {
    let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    writer.write_all(&answer).ok()
}

/// Takes the WebSocket (RFC 6455 section 4.2.2) and sends every byte back; frames are not looked into.
fn web_socket(key: &str, reader: &mut impl Read, writer: &mut TcpStream) -> Option<()> {
    let accept = STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    writer.write_all(answer.as_bytes()).ok()?;
    let mut buffer = [0; 4096];
    loop {
        let length = reader.read(&mut buffer).ok()?;
        if length == 0 {
            return None;
        }
        writer.write_all(&buffer[..length]).ok()?;
    }
}
