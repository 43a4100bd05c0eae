//! A visitor's side of a connection: plain HTTP/1.1 written by hand, so that everything wrong can be said too, PROXY
//! headers, and `curl` and `openssl` of Debian for everything with TLS.
//!
//! Not here: load (`load`).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with, sockopt};

use super::command::Outcome;
use super::network::Namespace;
use super::node::Node;

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// An HTTP/1.1 answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// Header lines.
    pub(crate) head: String,
    /// Body.
    pub(crate) body: String,
}

/// Connects within a network.
pub(crate) fn connect(network: &Namespace, target: &str) -> io::Result<TcpStream> {
    let target: SocketAddr = target.parse().expect("an address with a port");
    let stream = network.within(|| TcpStream::connect_timeout(&target, PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects from an address of the caller's choice; the calling thread is in the right network.
pub(crate) fn connect_from(source: SocketAddr, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(target)?;
    rustix::net::bind(&socket, &source)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))?;
    rustix::net::connect(&socket, &target)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a SYN and waits for nothing; the calling thread is in the right network.
pub(crate) fn half_open(target: SocketAddr) -> io::Result<OwnedFd> {
    let socket = socket(target)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn socket(target: SocketAddr) -> io::Result<OwnedFd> {
    let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    Ok(socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?)
}

/// Asks for one page; `headers` are complete lines.
pub(crate) fn get(
    stream: &mut (impl Read + Write),
    host: &str,
    path: &str,
    headers: &[&str],
) -> io::Result<Answer> {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
    for line in headers {
        request.push_str(line);
        request.push_str("\r\n");
    }
    stream.write_all((request + "\r\n").as_bytes())?;
    read_answer(stream)
}

/// Reads one answer with a `Content-Length`, or with none.
pub(crate) fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok(Answer {
        status: status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, head.clone()))?,
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// How a connection of somebody who is not believed ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Closed or reset without a byte.
    Silent,
    /// Something was said; what, as far as it can be read.
    Said(String),
    /// Still open after [`PATIENCE`].
    Open,
}

/// Sends these bytes and waits for the connection's end.
pub(crate) fn end_of(stream: io::Result<TcpStream>, bytes: &[u8]) -> End {
    let Ok(mut stream) = stream else { return End::Silent };
    // The other side may have ended it already.
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => said.extend(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return if said.is_empty() {
                    End::Open
                } else {
                    End::Said(String::from_utf8_lossy(&said).into_owned())
                };
            }
            Err(_) => break,
        }
    }
    if said.is_empty() { End::Silent } else { End::Said(String::from_utf8_lossy(&said).into_owned()) }
}

/// A PROXY protocol header, version 2 (haproxy's `doc/proxy-protocol.txt`), that claims `source`.
pub(crate) fn proxy_header(source: &str, destination: &str) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    match (source.parse().expect("an address"), destination.parse().expect("an address")) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header.extend([0x11, 0, 12]);
            header.extend(source.octets());
            header.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            header.extend([0x21, 0, 36]);
            header.extend(source.octets());
            header.extend(destination.octets());
        }
        _ => panic!("a PROXY header has addresses of one family"),
    }
    header.extend(50_000_u16.to_be_bytes());
    header.extend(443_u16.to_be_bytes());
    header
}

/// A PROXY header of the LOCAL kind: a connection of the sender's own, as a health check is.
pub(crate) fn proxy_local() -> Vec<u8> {
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec()
}

/// Lets programs in `network` that know no PROXY protocol speak it: the returned address there leads to `target`,
/// with `header` in front. Lasts as long as the test.
pub(crate) fn with_header(network: &Namespace, target: &str, header: Vec<u8>) -> SocketAddr {
    let target: SocketAddr = target.parse().expect("an address with a port");
    let listener = network.within(|| TcpListener::bind("127.0.0.1:0")).expect("a port of loopback");
    let address = listener.local_addr().expect("a bound listener");
    let path = network.path();
    std::thread::spawn(move || {
        super::network::join(&path);
        while let Ok((inner, _)) = listener.accept() {
            let Ok(mut outer) = TcpStream::connect_timeout(&target, PATIENCE) else { continue };
            if outer.write_all(&header).is_ok() {
                pass(&inner, &outer);
                pass(&outer, &inner);
            }
        }
    });
    address
}

/// Copies one direction on a thread of its own, the end included.
fn pass(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
    std::thread::spawn(move || {
        // However it ends, it ends for both.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}

/// Runs `curl` of a node's root in a network; the answer's head and body are its standard output.
pub(crate) fn curl(root: &Node, network: &Namespace, arguments: &[&str]) -> Outcome {
    let mut argv = vec![
        "curl",
        "--silent",
        "--show-error",
        "--insecure",
        "--include",
        "--noproxy",
        "*",
        "--max-time",
        "10",
    ];
    argv.extend(arguments);
    root.run_in(network, &argv)
}

/// A TLS connection of `openssl s_client`.
#[derive(Debug)]
pub(crate) struct Tls {
    child: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    pending: Vec<u8>,
}

impl Tls {
    /// Connects within a network; `arguments` go to `openssl s_client` as they are.
    pub(crate) fn connect(network: &Namespace, target: &str, arguments: &[&str]) -> Self {
        let name = network.path();
        let name = name.file_name().and_then(|name| name.to_str()).expect("a namespace has a name");
        let mut child = Command::new("ip")
            .args(["netns", "exec", name, "setpriv", "--pdeathsig", "KILL"])
            .args(["openssl", "s_client", "-quiet", "-connect", target])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let input = child.stdin.take().expect("a pipe was asked for");
        let mut stdout = child.stdout.take().expect("a pipe was asked for");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 16384];
            while let Ok(length) = stdout.read(&mut buffer) {
                if length == 0 || sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, input, output, pending: Vec::new() }
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            self.pending = match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => bytes,
                Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            };
        }
        let length = buffer.len().min(self.pending.len());
        buffer[..length].copy_from_slice(&self.pending[..length]);
        self.pending.drain(..length);
        Ok(length)
    }
}

impl Write for Tls {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.input.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.flush()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
