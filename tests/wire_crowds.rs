//! How much of the home's connections a crowd that comes straight to it can take away from everybody else.
//!
//! Not here: crowds at an ingress node (`wire_limits`).

mod support;

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::Duration;

use support::checks::Checks;
use support::client::{connect, get};
use support::lab::{FLEET, Lab};
use support::network::Namespace;
use support::services::Services;
use support::wires::HOME;

/// What one source may hold open.
const OF_ONE_SOURCE: usize = 256;

/// What all mesh users together may hold open at this home: half of what its one node leaves.
const OF_THE_MESH: usize = 50;

/// The fleet with limits that a test can fill.
fn fleet() -> String {
    FLEET
        .replace("  network: dhcp\n", "  network: dhcp\n  max-connections: 700\n")
        .replace("2001:db8:51::20\"]}", "2001:db8:51::20\"], max-connections: 600}")
}

/// Opens `count` connections that say nothing; those that are still open after a moment.
fn hold(network: &Namespace, target: &str, count: usize) -> Vec<TcpStream> {
    let opened: Vec<TcpStream> = (0..count).filter_map(|_| connect(network, target).ok()).collect();
    std::thread::sleep(Duration::from_millis(500));
    opened
        .into_iter()
        .filter_map(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_millis(1))).ok()?;
            match stream.read(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    Some(stream)
                }
                _ => None,
            }
        })
        .collect()
}

/// Status of a page that somebody asks for on a port that has nothing to do with TLS.
fn status(network: &Namespace, target: &str) -> Option<u16> {
    let mut stream = connect(network, target).ok()?;
    get(&mut stream, "cloud.example.org", "/", &[]).ok().map(|answer| answer.status)
}

#[test]
fn nobody_takes_the_connections_of_everybody_else() {
    let Some(mut lab) = Lab::new(&fleet()) else { return };
    let _services = Services::start(&lab);
    lab.start_firewalls();
    lab.start_relays();
    lab.start_mesh();
    let paths = ["wan-fiber", "wan-lte", "mesh"];
    lab.wait_for_paths(&paths, Duration::from_secs(20));
    let mut checks = Checks::default();
    let home_in_the_mesh = format!("[{}]:80", lab.home_mesh_address());
    let node = Lab::ingress_address(0, 80);

    let strangers = hold(&lab.outside.network, &home_in_the_mesh, OF_THE_MESH + 30);
    checks.equal("connections that mesh users keep", strangers.len(), OF_THE_MESH);
    checks.equal("one more of them", status(&lab.outside.network, &home_in_the_mesh), None);
    checks.equal("a visitor meanwhile", status(&lab.wires.visitor, &node), Some(301));
    checks.equal("the LAN meanwhile", status(&lab.wires.lan, &format!("{HOME}:80")), Some(301));
    lab.wait_for_paths(&paths, Duration::from_secs(1));
    drop(strangers);
    checks.equal("a mesh user afterwards", status(&lab.outside.network, &home_in_the_mesh), Some(301));

    let neighbour = hold(&lab.wires.lan, &format!("{HOME}:80"), OF_ONE_SOURCE + 20);
    checks.equal("connections that one machine of the LAN keeps", neighbour.len(), OF_ONE_SOURCE);
    checks.equal("a visitor beside it", status(&lab.wires.visitor, &node), Some(301));
    lab.wait_for_paths(&paths, Duration::from_secs(1));
    checks.finish();
}
