//! What stands behind the home: web servers that say what reached them, plain or over TLS, `WebSocket`s, and servers
//! of plain TCP. Threads of ours with sockets in the servers' network.
//!
//! Paths that mean something: `/bytes/N` (N bytes), `/drip` (a byte every 100 ms, without end), `/healthz` (200, or 503
//! when sick); everything else is answered with the request as it arrived, after a line that names the server. To add
//! one: an arm in `respond`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha1::{Digest as _, Sha1};

use super::super::plan::{UpstreamKind, UpstreamPlan};
use super::namespace::Namespace;
use super::pki::{self, Pki};
use super::tls;

/// Longest request head that is read.
const LONGEST_HEAD: usize = 64 << 10;

/// How long a connection may say nothing.
const PATIENCE: Duration = Duration::from_mins(10);

/// All servers behind the home, by address.
#[derive(Debug)]
pub struct Upstreams(BTreeMap<SocketAddr, Upstream>);

/// A server; it takes no more connections once dropped.
#[derive(Debug)]
pub struct Upstream {
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

/// What serves a connection.
type Serve = Arc<dyn Fn(TcpStream, SocketAddr, &Shared) + Send + Sync>;

impl Upstreams {
    /// Starts all that the plan names.
    pub fn start(network: &Namespace, plans: &[UpstreamPlan], pki: &Pki) -> Result<Self> {
        let start = |plan: &UpstreamPlan| Ok((plan.address, Upstream::start(network, plan, pki)?));
        Ok(Self(plans.iter().map(start).collect::<Result<_>>()?))
    }

    /// The one at an address.
    pub fn at(&self, address: SocketAddr) -> Result<&Upstream> {
        self.0.get(&address).with_context(|| format!("finding an upstream server at {address}"))
    }

    /// Requests that all of them have answered so far, health checks left out.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.0.values().map(Upstream::requests).sum()
    }
}

impl Upstream {
    fn start(network: &Namespace, plan: &UpstreamPlan, pki: &Pki) -> Result<Self> {
        let serve: Serve = match &plan.kind {
            UpstreamKind::Echo => Arc::new(serve_echo),
            UpstreamKind::Web => Arc::new(|stream, _, shared: &Shared| serve_web(stream, shared)),
            UpstreamKind::SecureWeb { names, trusted } => {
                let identity = if *trusted { pki.issue(names)? } else { pki::self_signed(names)? };
                let configuration = tls::server(&identity)?;
                Arc::new(move |stream, _, shared: &Shared| serve_secure(stream, &configuration, shared))
            }
        };
        let address = plan.address;
        let listener = network.within(|| TcpListener::bind(address))?;
        let listener = Arc::new(listener.with_context(|| format!("listening at {address} on the LAN"))?);
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
                let (serve, serving) = (Arc::clone(&serve), Arc::clone(&taken));
                std::thread::spawn(move || {
                    // One that says nothing for ever must not keep its thread for ever.
                    if stream.set_read_timeout(Some(PATIENCE)).is_ok() {
                        serve(stream, peer, &serving);
                    }
                });
            }
        });
        Ok(Self { shared, listener })
    }

    /// Requests answered so far, health checks left out.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Connections taken so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Whether `/healthz` is answered with 503 from now on.
    pub fn set_sick(&self, sick: bool) {
        self.shared.sick.store(sick, Ordering::Relaxed);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // Ends the accepting thread, and with it the listener.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
    }
}

fn serve_echo(mut stream: TcpStream, peer: SocketAddr, shared: &Shared) {
    let mut buffer = [0; 16384];
    shared.requests.fetch_add(1, Ordering::Relaxed);
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

fn serve_secure(stream: TcpStream, configuration: &Arc<ServerConfig>, shared: &Shared) {
    // Whoever does not shake hands is not served.
    if let Ok(session) = ServerConnection::new(Arc::clone(configuration)) {
        serve_web(StreamOwned::new(session, stream), shared);
    }
}

fn serve_web(mut stream: impl Read + Write, shared: &Shared) {
    let mut buffered = Vec::new();
    while let Ok(Some(request)) = read_head(&mut stream, &mut buffered) {
        if respond(&request, &mut buffered, &mut stream, shared).is_none() {
            return;
        }
    }
}

/// Request line and header lines, without line ends; what came after them stays in `buffered`.
fn read_head(stream: &mut impl Read, buffered: &mut Vec<u8>) -> io::Result<Option<Vec<String>>> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = buffered.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = buffered.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            return Ok(Some(head.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()));
        }
        let length = stream.read(&mut piece)?;
        if length == 0 || buffered.len() > LONGEST_HEAD {
            return Ok(None);
        }
        buffered.extend_from_slice(&piece[..length]);
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
    buffered: &mut Vec<u8>,
    stream: &mut (impl Read + Write),
    shared: &Shared,
) -> Option<()> {
    let path = request.first()?.split(' ').nth(1)?;
    if path == "/healthz" {
        let status = if shared.sick.load(Ordering::Relaxed) { "503 Sick" } else { "200 OK" };
        return send(stream, status, b"");
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    if header(request, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return web_socket(header(request, "sec-websocket-key")?, buffered, stream);
    }
    if let Some(count) = path.strip_prefix("/bytes/") {
        return send(stream, "200 OK", &vec![b'x'; count.parse().ok()?]);
    }
    if path == "/drip" {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
        loop {
            stream.write_all(b"1\r\nx\r\n").ok()?;
            stream.flush().ok()?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let text = format!("served-by: {}\n{}\n", shared.name, request.join("\n"));
    send(stream, "200 OK", text.as_bytes())
}

fn send(stream: &mut impl Write, status: &str, body: &[u8]) -> Option<()> {
    let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    stream.write_all(&answer).ok()?;
    stream.flush().ok()
}

/// Takes the WebSocket (RFC 6455 section 4.2.2) and sends every byte back; frames are not looked into.
fn web_socket(key: &str, buffered: &mut Vec<u8>, stream: &mut (impl Read + Write)) -> Option<()> {
    let accept = STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).ok()?;
    stream.write_all(buffered).ok()?;
    stream.flush().ok()?;
    buffered.clear();
    let mut piece = [0; 4096];
    loop {
        let length = stream.read(&mut piece).ok()?;
        if length == 0 {
            return None;
        }
        stream.write_all(&piece[..length]).ok()?;
        stream.flush().ok()?;
    }
}
