//! A TCP connect scanner: which ports of an address answer.
//!
//! Not here: where it stands (`Namespace::within`). Thousands of sockets wait at once, so all 65,535 ports of a machine
//! that drops what it does not want take some seconds.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections are begun without a pause: more at once fill a tunnel's queue, and a packet lost there makes an
/// open port look closed. Patience over a second lets the kernel send a lost one again.
const BURST: usize = 256;

/// How a port answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// A connection was made.
    Open,
    /// Refused: nothing listens, and no firewall hides that.
    Refused,
    /// The machine or a router said that it cannot be reached.
    Unreachable,
}

/// Tries every port of `ports` and returns those that answered within `patience`; silence is left out.
pub(crate) fn scan(
    address: IpAddr,
    ports: impl IntoIterator<Item = u16>,
    patience: Duration,
) -> BTreeMap<u16, Answer> {
    let ports: Vec<u16> = ports.into_iter().collect();
    let width = widen_file_limit();
    ports.chunks(width).flat_map(|chunk| scan_chunk(address, chunk, patience)).collect()
}

/// The ports at which a connection was made.
pub(crate) fn open_ports(address: IpAddr, patience: Duration) -> Vec<u16> {
    scan(address, 1..=u16::MAX, patience)
        .into_iter()
        .filter(|(_, answer)| *answer == Answer::Open)
        .map(|(port, _)| port)
        .collect()
}

/// Raises the limit of open files as far as it goes, and returns how many sockets to use at once.
fn widen_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised the scan is slower, not wrong.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let current = getrlimit(Resource::Nofile).current.unwrap_or(16_384);
    usize::try_from(current).unwrap_or(16_384).saturating_sub(256).clamp(64, 16_384)
}

fn scan_chunk(address: IpAddr, ports: &[u16], patience: Duration) -> Vec<(u16, Answer)> {
    let mut answers = Vec::new();
    let mut waiting: Vec<(u16, OwnedFd)> = Vec::new();
    for (number, &port) in ports.iter().enumerate() {
        if number % BURST == BURST - 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
        match start(SocketAddr::new(address, port)) {
            Ok(Started::Waiting(socket)) => waiting.push((port, socket)),
            Ok(Started::Done) => answers.push((port, Answer::Open)),
            Err(error) => answers.extend(answer(error).map(|answer| (port, answer))),
        }
    }
    let end = Instant::now() + patience;
    while !waiting.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let ready = wait(&waiting, left);
        let mut still = Vec::with_capacity(waiting.len());
        for ((port, socket), ready) in waiting.into_iter().zip(ready) {
            if !ready {
                still.push((port, socket));
                continue;
            }
            match sockopt::socket_error(&socket) {
                Ok(Ok(())) => answers.push((port, Answer::Open)),
                Ok(Err(error)) | Err(error) => answers.extend(answer(error).map(|answer| (port, answer))),
            }
        }
        waiting = still;
    }
    answers
}

enum Started {
    Done,
    Waiting(OwnedFd),
}

fn start(target: SocketAddr) -> Result<Started, Errno> {
    let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket =
        socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).expect("a socket to spare");
    match connect(&socket, &target) {
        Ok(()) => Ok(Started::Done),
        Err(Errno::INPROGRESS) => Ok(Started::Waiting(socket)),
        Err(error) => Err(error),
    }
}

fn wait(waiting: &[(u16, OwnedFd)], left: Duration) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> =
        waiting.iter().map(|(_, socket)| PollFd::new(socket, PollFlags::OUT)).collect();
    let left = Timespec::try_from(left).expect("some seconds");
    poll(&mut polled, Some(&left)).expect("polling sockets of ours");
    polled.iter().map(|socket| !socket.revents().is_empty()).collect()
}

fn answer(error: Errno) -> Option<Answer> {
    match error {
        Errno::CONNREFUSED => Some(Answer::Refused),
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::ACCESS | Errno::PERM => Some(Answer::Unreachable),
        _ => None,
    }
}
