//! What one source may take, and that nobody's flood takes the paths down.
//!
//! Not here: floods that fill a line. Sizes keep to the limit of open files that an ordinary machine has.

mod support;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use support::lab::{FLEET, Lab};
use support::load::{Manner, Stream};
use support::network::Namespace;
use support::upstream::Upstream;
use support::wires::{INGRESS, load};

/// Connections that one source may have open.
const PER_SOURCE: usize = 256;

fn lab() -> Option<(Lab, Upstream)> {
    let mut lab = Lab::new(FLEET)?;
    let game = Upstream::echo(&lab.wires.lan, "192.168.1.50:25565");
    lab.start_firewalls();
    lab.start_relays();
    lab.wait_for_paths(&["wan-fiber", "wan-lte"], Duration::from_secs(10));
    Some((lab, game))
}

/// Opens so many connections to a port of the ingress node, one after another, and says nothing on them.
fn open_idle(network: &Namespace, target: &str, count: usize) -> Vec<TcpStream> {
    let target: SocketAddr = target.parse().expect("an address with a port");
    network.within(|| {
        (0..count).filter_map(|_| TcpStream::connect_timeout(&target, Duration::from_secs(2)).ok()).collect()
    })
}

/// How many of them are still open.
fn still_open(streams: &[TcpStream]) -> usize {
    let alive = |stream: &&TcpStream| {
        stream.set_nonblocking(true).expect("a mode of a socket");
        let mut buffer = [0; 64];
        loop {
            match std::io::Read::read(&mut &**stream, &mut buffer) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    };
    streams.iter().filter(alive).count()
}

#[test]
fn one_source_is_cut_while_others_are_served() {
    let Some((lab, _game)) = lab() else { return };
    for family in [0, 1] {
        let target = Lab::ingress_address(family, 25565);
        let streams = open_idle(&lab.wires.visitor, &target, 300);
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(still_open(&streams), PER_SOURCE, "family {family}");
        // All ports count together.
        let web = open_idle(&lab.wires.visitor, &Lab::ingress_address(family, 80), 5);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(still_open(&web), 0, "family {family}: another port");
        if family == 0 {
            let other = Stream::start(&lab.wires.stranger, std::slice::from_ref(&target), Manner::Echo, 20);
            std::thread::sleep(Duration::from_secs(1));
            let report = other.end();
            assert!(report.failed().is_empty() && report.worst() < Duration::from_millis(500), "{report}");
        } else {
            // The other machine is in the same /64: for the relay it is the same visitor.
            let neighbour = open_idle(&lab.wires.stranger, &target, 5);
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(still_open(&neighbour), 0, "a /64 is one source");
        }
        drop(streams);
        std::thread::sleep(Duration::from_millis(500));
        let again = open_idle(&lab.wires.visitor, &target, 5);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(still_open(&again), 5, "family {family}: whoever lets go is let in again");
    }
}

/// Checks of all paths that have failed so far, and that have brought one down.
fn failed_checks(lab: &Lab) -> Vec<(String, u64)> {
    let statistics = lab.ingress.ask_haproxy("show stat");
    let cell =
        |line: &[&str], number: usize| line.get(number).and_then(|cell| cell.parse().ok()).unwrap_or(0);
    statistics
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|line| line.len() > 22 && line[0].starts_with("home-") && line[1].starts_with("wan-"))
        .map(|line| (format!("{}/{}", line[0], line[1]), cell(&line, 21) + cell(&line, 22)))
        .collect()
}

#[test]
fn floods_take_no_path_down() {
    let Some((lab, _game)) = lab() else { return };
    let before = failed_checks(&lab);
    assert_eq!(before.len(), 6, "two uplinks, three ports: {before:?}");

    // 5,000 idle connections: of one source, then of twenty-five.
    let one = open_idle(&lab.wires.stranger, &Lab::ingress_address(0, 443), 5000);
    std::thread::sleep(Duration::from_millis(500));
    assert!(still_open(&one) <= PER_SOURCE, "{} of one source are open", still_open(&one));
    drop(one);
    lab.wires.internet.ip("route add 198.18.0.0/24 via 192.0.2.66");
    lab.wires.stranger.ip("route add local 198.18.0.0/24 dev lo");
    let mut many = Vec::new();
    for source in 1..=25 {
        let from: SocketAddr = format!("198.18.0.{source}:0").parse().expect("an address");
        let target = format!("{}:443", INGRESS[0]).parse().expect("an address");
        let opened = lab.wires.stranger.within(|| {
            (0..200).filter_map(|_| support::client::connect_from(from, target).ok()).collect::<Vec<_>>()
        });
        many.extend(opened);
    }
    // Half-open ones: the answers to a stranger's SYNs never reach him.
    load(
        &lab.wires.stranger,
        "table ip deaf { chain input { type filter hook input priority 0; tcp flags & (syn | ack) == syn | ack drop; } ; }",
    );
    let flood = lab.wires.stranger.within(|| {
        let target = format!("{}:443", INGRESS[0]).parse().expect("an address");
        (0..4000).filter_map(|_| support::client::half_open(target).ok()).collect::<Vec<_>>()
    });
    assert!(flood.len() > 3000 && many.len() > 1500, "the flood is one: {} and {}", flood.len(), many.len());

    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(8) {
        assert_eq!(lab.paths_up("home-443"), ["wan-fiber", "wan-lte"]);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(failed_checks(&lab), before, "a check has failed");
    drop((many, flood));
    // And the visitor is served.
    let visitors = Stream::start(&lab.wires.visitor, &[Lab::ingress_address(0, 80)], Manner::Web, 20);
    std::thread::sleep(Duration::from_secs(2));
    let report = visitors.end();
    assert!(report.failed().is_empty() && report.worst() < Duration::from_secs(1), "{report}");
}
