//! What our relay costs beside haproxy's plainest TCP relay, on the same wires with the same home.
//!
//! Not here: absolute speed; the load comes from the same processor. A soak: `--ignored` runs it and prints the figures.
//! Both relays lead to the home by the port of a game; the plain one adds no PROXY header, counts nobody and checks
//! nothing, and the home's side of it takes no header.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::client::connect_from;
use support::lab::{FLEET, Lab};
use support::node::Node;
use support::upstream::Upstream;
use support::wires::INGRESS;

/// Both nodes' configuration without anything of ours.
const PLAIN: &str = "\
global
    user haproxy
    group haproxy
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin
    maxconn 2000
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen relay
    bind 0.0.0.0:25565
    server home TARGET
";

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 8;
const CLIENTS: usize = 4;

#[test]
#[ignore = "a soak: measures for a minute"]
#[expect(clippy::print_stdout, reason = "the figures are the point")]
fn costs_less_than_a_tenth_of_a_plain_relay() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    let _upstream = Upstream::web(&lab.wires.lan, "192.168.1.50:25565");
    lab.start_firewalls();
    // Enough visitors for the limits of each: an address for every connection (RFC 2544's range, on one machine).
    lab.wires.internet.ip("route add 198.18.0.0/16 via 192.0.2.100");
    lab.wires.visitor.ip("route add local 198.18.0.0/16 dev lo");
    let ours = [&lab.ingress, &lab.home]
        .map(|node| node.read("/etc/meshboot/haproxy.cfg").expect("a configuration"));
    let plain = ["203.0.113.10:25565", "192.168.1.50:25565"].map(|target| PLAIN.replace("TARGET", target));

    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (kind, configuration) in [&plain, &ours].into_iter().enumerate() {
            for (node, text) in [&lab.ingress, &lab.home].into_iter().zip(configuration) {
                node.put("/etc/meshboot/haproxy.cfg", 0o644, text);
                node.shell("pkill -KILL haproxy; rm -f /run/haproxy/admin.sock; sleep 0.2");
            }
            lab.start_relays();
            std::thread::sleep(Duration::from_secs(2));
            figures[kind].push([requests(&lab), connections(&lab), stream(&lab)]);
        }
    }
    let mut worse = Vec::new();
    for (measure, what) in ["keep-alive request", "new connection", "MB of one stream"].iter().enumerate() {
        let best = |kind: usize, of: fn(&Figure) -> f64| {
            figures[kind].iter().map(|round| of(&round[measure])).fold(f64::INFINITY, f64::min)
        };
        println!("per {what}:");
        for (part, of) in [
            ("whole path", (|figure| figure.path) as fn(&Figure) -> f64),
            ("relay alone", |figure| figure.relay),
        ] {
            let (plain, ours) = (best(0, of), best(1, of));
            println!(
                "  {part}: plain {plain:.1} us of the processor, ours {ours:.1} us: {:.0} %",
                100.0 * ours / plain
            );
        }
        println!(
            "  a second: plain {:.0}, ours {:.0}",
            1.0 / best(0, |figure| figure.wait),
            1.0 / best(1, |figure| figure.wait)
        );
        if best(1, |figure| figure.path) > 1.1 * best(0, |figure| figure.path) {
            worse.push(*what);
        }
    }
    assert!(worse.is_empty(), "ours costs more than a tenth: {worse:?}");
}

/// One measurement, for one of whatever was done. What is judged is the processor's time for the whole path, visitor
/// and home included: the rate on a machine that does nothing else is its inverse, and it holds on a busy one too.
#[derive(Debug, Clone, Copy)]
struct Figure {
    /// Seconds on the clock.
    wait: f64,
    /// Microseconds of the processor, visitor, both nodes and upstream.
    path: f64,
    /// Those of the ingress node's haproxy.
    relay: f64,
}

/// Microseconds of the processor that a node's haproxy has taken so far.
fn processor_time(node: &Node) -> f64 {
    // Nanoseconds, per thread (Linux, Documentation/scheduler/sched-stats.rst).
    let times = node.ask("for id in $(pidof haproxy); do cat /proc/$id/task/*/schedstat; done");
    times.lines().filter_map(|line| line.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1000.0
}

/// The same of this process: visitor and upstream.
fn own_processor_time() -> f64 {
    let line = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = line.rsplit(") ").next().expect("a name in parentheses").split(' ').skip(11).take(2);
    // Hundredths of a second on every Linux (proc(5)).
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10_000.0
}

fn measured(lab: &Lab, work: impl FnOnce() -> f64) -> Figure {
    let times = || [own_processor_time(), processor_time(&lab.ingress), processor_time(&lab.home)];
    let (start, before) = (Instant::now(), times());
    let done = work();
    let wait = start.elapsed().as_secs_f64() / done;
    let after = times();
    let path = after.iter().zip(before).map(|(after, before)| after - before).sum::<f64>() / done;
    Figure { wait, path, relay: (after[1] - before[1]) / done }
}

/// A source that hardly anybody has used yet.
fn source() -> SocketAddr {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("198.18.{}.{}:0", number / 250 % 250, number % 250 + 1).parse().expect("an address")
}

fn open() -> std::io::Result<TcpStream> {
    let target = format!("{}:25565", INGRESS[0]).parse().expect("an address");
    connect_from(source(), target)
}

fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut answer = [0; 256];
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut answer[length..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
    }
    Ok(())
}

/// Does `work` on several threads of the visitor's for one round.
fn round(lab: &Lab, work: impl Fn(&mut Option<TcpStream>) -> std::io::Result<()> + Sync) -> Figure {
    measured(lab, || count(lab, work))
}

fn count(lab: &Lab, work: impl Fn(&mut Option<TcpStream>) -> std::io::Result<()> + Sync) -> f64 {
    let path = lab.wires.visitor.path();
    let start = Instant::now();
    let done: u64 = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    support::network::join(&path);
                    let (mut kept, mut count) = (None, 0);
                    while start.elapsed() < ROUND {
                        work(&mut kept).unwrap_or_else(|error| panic!("after {count}: {error}"));
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).sum()
    });
    f64::from(u32::try_from(done).expect("less than four thousand million"))
}

fn requests(lab: &Lab) -> Figure {
    round(lab, |kept| {
        if kept.is_none() {
            *kept = Some(open()?);
        }
        kept.as_mut().map_or(Ok(()), ask)
    })
}

fn connections(lab: &Lab) -> Figure {
    round(lab, |_| ask(&mut open()?))
}

fn stream(lab: &Lab) -> Figure {
    measured(lab, || {
        lab.wires.visitor.within(download);
        200.0
    })
}

/// 200 MB on one connection.
fn download() {
    const SIZE: usize = 200_000_000;
    let mut stream = open().expect("a connection");
    let request = format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut buffer = vec![0; 1 << 18];
    let mut left = SIZE;
    while left > 0 {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => left = left.saturating_sub(length),
            other => panic!("the stream ended with {left} to come: {other:?}"),
        }
    }
}
