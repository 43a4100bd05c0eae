//! Visitors who come at a steady rate, and what each of them noticed.
//!
//! Not here: throughput (`cost`). A visitor who has no answer after [`LIMIT`] has failed, as has one who is refused.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::network::{Namespace, join};

/// How long a visitor waits.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What a visitor says, and how he knows that he was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Asks for a page on port 80; the answer is the way to TLS.
    Web,
    /// Waits for the first line of an echo server.
    Echo,
}

/// What one visitor noticed.
#[derive(Debug)]
pub(crate) struct Visit {
    /// When he came, since the start.
    pub(crate) at: Duration,
    /// How long he waited, or why he has no answer.
    pub(crate) waited: Result<Duration, String>,
}

/// Visitors who keep coming until the value is asked for its result.
#[derive(Debug)]
pub(crate) struct Stream {
    ended: Arc<AtomicBool>,
    sender: JoinHandle<Vec<Visit>>,
}

impl Stream {
    /// Starts with `rate` visitors a second from `network` to each of the targets in turn.
    pub(crate) fn start(network: &Namespace, targets: &[String], manner: Manner, rate: u32) -> Self {
        let targets: Vec<SocketAddr> =
            targets.iter().map(|target| target.parse().expect("an address with a port")).collect();
        let ended = Arc::new(AtomicBool::new(false));
        let (path, stop) = (network.path(), Arc::clone(&ended));
        let sender = std::thread::spawn(move || send(&path, &targets, manner, rate, &stop));
        Self { ended, sender }
    }

    /// Sends no more visitors, waits for those under way, and returns what all noticed.
    pub(crate) fn end(self) -> Report {
        self.ended.store(true, Ordering::Relaxed);
        Report(self.sender.join().expect("the sender does not panic"))
    }
}

fn send(network: &Path, targets: &[SocketAddr], manner: Manner, rate: u32, ended: &AtomicBool) -> Vec<Visit> {
    let start = Instant::now();
    let mut visitors = Vec::new();
    for number in 0_u32.. {
        let due = Duration::from_secs(1) * number / rate;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let target = targets[number as usize % targets.len()];
        let network: PathBuf = network.to_owned();
        visitors.push(std::thread::spawn(move || {
            join(&network);
            let (at, began) = (start.elapsed(), Instant::now());
            let waited = visit(target, manner).map(|()| began.elapsed()).map_err(|error| error.to_string());
            Visit { at, waited }
        }));
    }
    visitors.into_iter().map(|visitor| visitor.join().expect("a visitor does not panic")).collect()
}

fn visit(target: SocketAddr, manner: Manner) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&target, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let wanted: &[u8] = match manner {
        Manner::Web => {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: cloud.example.org\r\nConnection: close\r\n\r\n")?;
            b"HTTP/1.1 301"
        }
        Manner::Echo => b"192.168.1.10:",
    };
    let mut start = vec![0; wanted.len()];
    stream.read_exact(&mut start)?;
    if start == wanted {
        Ok(())
    } else {
        Err(std::io::Error::other(String::from_utf8_lossy(&start).into_owned()))
    }
}

/// What all visitors noticed.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) Vec<Visit>);

impl Report {
    /// How many came.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those without an answer: when they came, and why.
    pub(crate) fn failed(&self) -> Vec<(Duration, &str)> {
        self.0.iter().filter_map(|visit| Some((visit.at, visit.waited.as_ref().err()?.as_str()))).collect()
    }

    /// The longest that anybody with an answer waited.
    pub(crate) fn worst(&self) -> Duration {
        self.0.iter().filter_map(|visit| visit.waited.as_ref().ok()).max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, failed) = (self.count(), self.failed());
        write!(f, "{} of {count} failed, worst {:.2} s", failed.len(), self.worst().as_secs_f64())?;
        if let Some((at, why)) = failed.first() {
            write!(f, " (first after {:.1} s: {why})", at.as_secs_f64())?;
        }
        Ok(())
    }
}
