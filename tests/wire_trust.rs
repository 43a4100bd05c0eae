//! Whom the home believes: PROXY headers, claimed addresses, health checks, and services that are not for the internet.
//!
//! Not here: the firewall in front of it (`wire_firewall`). Somebody whom `firewall.allow` lets in stands for everyone
//! who gets past it: what haproxy decides has to hold without it.

mod support;

use std::io::{Read as _, Write as _};

use support::checks::Checks;
use support::client::{End, Tls, connect, curl, end_of, get, proxy_header, proxy_local, with_header};
use support::command::Outcome;
use support::lab::{FLEET, Lab};
use support::network::Namespace;
use support::services::Services;
use support::wires::{HOME, INGRESS, LAN, STRANGER, WANS};

/// What no visitor's address can be.
const NEVER_CLAIMED: [&str; 23] = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.5",
    "192.168.1.10",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:192.168.1.5",
    "::ffff:127.0.0.1",
    "64:ff9b::c0a8:105",
    "200::1",
    "300::1",
    "3ff::1",
    "fd00::1",
    "fe80::1",
    "ff02::1",
    "192.0.2.130",
];

/// A request that shows who the home thinks is calling.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: cloud.example.org\r\nConnection: close\r\n\r\n";

fn fleet() -> String {
    // A LAN may have public addresses.
    let fleet = FLEET.replace("lan: [192.168.1.0/24]", "lan: [192.168.1.0/24, 192.0.2.128/28]");
    format!("{fleet}firewall: {{allow: [\"{}\", \"{}\"]}}\n", STRANGER[0], STRANGER[1])
}

/// Every way to reach the home's own address from a network: host, and in which family.
fn home_addresses(lab: &Lab) -> Vec<(String, &'static str, usize)> {
    vec![
        (WANS[0][0].to_owned(), "IPv4", 0),
        (format!("[{}]", WANS[0][1]), "IPv6", 1),
        (format!("[{}]", lab.home_mesh_address()), "mesh", 1),
    ]
}

fn with_port(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

#[test]
fn believes_only_listed_ingress_nodes_and_no_local_claim() {
    let Some(mut lab) = Lab::new(&fleet()) else { return };
    let _services = Services::start(&lab);
    lab.start_firewalls();
    lab.start_relays();
    lab.start_mesh();
    let mut checks = Checks::default();
    strangers_are_not_believed(&lab, &mut checks);
    local_claims_end_the_connection(&lab, &mut checks);
    own_checks_are_answered(&lab, &mut checks);
    visitors_get_no_health(&lab, &mut checks);
    lab.wait_for_paths(&["wan-fiber", "wan-lte", "mesh"], std::time::Duration::from_secs(10));
    checks.finish();
}

fn strangers_are_not_believed(lab: &Lab, checks: &mut Checks) {
    let mesh = format!("[{}]", lab.home_mesh_address());
    let callers: [(&str, &Namespace, &str, usize); 5] = [
        ("somebody let in by `firewall.allow`", &lab.wires.stranger, WANS[0][0], 0),
        ("the same over IPv6", &lab.wires.stranger, "[2001:db8:10::10]", 1),
        ("a LAN machine", &lab.wires.lan, HOME, 0),
        ("a LAN machine over IPv6", &lab.wires.lan, "[2001:db8:10::10]", 1),
        ("a mesh node that is not ours", &lab.outside.network, &mesh, 1),
    ];
    for (who, network, host, family) in callers {
        let claim = ["192.0.2.200", "2001:db8:192::200"][family];
        let destination = ["203.0.113.10", "2001:db8:10::10"][family];
        for header in [
            proxy_header(claim, destination),
            proxy_local(),
            format!("PROXY TCP4 {claim} 1.1.1.1 5 80\r\n").into_bytes(),
        ] {
            let mut bytes = header.clone();
            bytes.extend(REQUEST);
            let end = end_of(connect(network, &with_port(host, 80)), &bytes);
            // It is taken for a request, and is none.
            let refused = matches!(&end, End::Silent)
                || matches!(&end, End::Said(text) if text.starts_with("HTTP/1.1 400"));
            checks.that(&format!("{who} with a forged header, port 80"), refused, &end);
            let end = end_of(connect(network, &with_port(host, 443)), &bytes);
            checks.that(
                &format!("{who} with a forged header, port 443"),
                !matches!(&end, End::Open) && !said_http(&end),
                &end,
            );
            let local = with_header(network, &with_port(host, 443), header);
            let answer = page(lab, network, &local.to_string(), "cloud.example.org", &[]);
            checks.that(
                &format!("{who} with a forged header before TLS"),
                !answer.stdout.contains("HTTP/"),
                &answer,
            );
        }
        let answer = page(lab, network, &with_port(host, 443), "cloud.example.org", &[]);
        checks.that(
            &format!("{who} without a header is served"),
            answer.stdout.starts_with("HTTP/2 200"),
            &answer,
        );
    }
}

fn local_claims_end_the_connection(lab: &Lab, checks: &mut Checks) {
    for (host, label, _) in home_addresses(lab) {
        for claim in NEVER_CLAIMED {
            let destination = if claim.contains(':') { "2001:db8:10::10" } else { "203.0.113.10" };
            let mut bytes = proxy_header(claim, destination);
            bytes.extend(REQUEST);
            for port in [80, 25565] {
                let end = end_of(connect(&lab.ingress.network, &with_port(&host, port)), &bytes);
                checks.equal(
                    &format!("{label}: the ingress node claims {claim} on port {port}"),
                    end,
                    End::Silent,
                );
            }
            let header = proxy_header(claim, destination);
            let local = with_header(&lab.ingress.network, &with_port(&host, 443), header);
            let mut tls =
                Tls::connect(&lab.ingress.network, &local.to_string(), &["-servername", "cloud.example.org"]);
            let answer = get(&mut tls, "cloud.example.org", "/", &[]);
            checks.that(
                &format!("{label}: the ingress node claims {claim} on port 443"),
                answer.is_err(),
                &answer,
            );
        }
        for claim in ["192.0.2.200", "2001:db8:192::200"] {
            let destination = if claim.contains(':') { "2001:db8:10::10" } else { "203.0.113.10" };
            let local =
                with_header(&lab.ingress.network, &with_port(&host, 443), proxy_header(claim, destination));
            let answer = page(lab, &lab.ingress.network, &local.to_string(), "cloud.example.org", &[]);
            let believed =
                answer.stdout.to_ascii_lowercase().contains(&format!("x-forwarded-for: {claim}\n"));
            checks.that(
                &format!("{label}: the ingress node claims {claim} and is believed"),
                believed,
                &answer,
            );
        }
        let end = end_of(connect(&lab.ingress.network, &with_port(&host, 80)), REQUEST);
        checks.that(&format!("{label}: an ingress node without a header"), !said_page(&end), &end);
    }
}

fn own_checks_are_answered(lab: &Lab, checks: &mut Checks) {
    const HEALTH: &str = "/.well-known/meshboot/health";
    for (host, label, family) in home_addresses(lab) {
        let mut own = vec![("LOCAL", proxy_local())];
        if label != "mesh" {
            let destination = ["203.0.113.10", "2001:db8:10::10"][family];
            own.push(("its own address", proxy_header(INGRESS[family], destination)));
        }
        for (how, header) in own {
            let mut stream =
                connect(&lab.ingress.network, &with_port(&host, 80)).expect("port 80 takes ingress nodes");
            stream.write_all(&header).expect("a fresh connection takes data");
            let answer = get(&mut stream, "health.meshboot.invalid", HEALTH, &[]);
            checks.that(
                &format!("{label}: a check with {how} on port 80"),
                answer.as_ref().is_ok_and(|answer| answer.status == 200),
                &answer,
            );
            let local = with_header(&lab.ingress.network, &with_port(&host, 443), header.clone()).to_string();
            let mut tls =
                Tls::connect(&lab.ingress.network, &local, &["-servername", "health.meshboot.invalid"]);
            let answer = get(&mut tls, "health.meshboot.invalid", HEALTH, &[]);
            checks.that(
                &format!("{label}: a check with {how} on port 443"),
                answer.as_ref().is_ok_and(|answer| answer.status == 200),
                &answer,
            );
            // A check is no way to a service that is not for the internet.
            let local = with_header(&lab.ingress.network, &with_port(&host, 443), header).to_string();
            let answer = page(lab, &lab.ingress.network, &local, "private.example.org", &[]);
            checks.that(
                &format!("{label}: with {how} nothing of the mesh alone"),
                answer.stdout.starts_with("HTTP/2 421"),
                &answer,
            );
        }
    }
}

fn visitors_get_no_health(lab: &Lab, checks: &mut Checks) {
    const HEALTH: &str = "/.well-known/meshboot/health";
    let ways: [(&str, &Namespace, String); 3] = [
        ("through an ingress node", &lab.wires.visitor, INGRESS[0].to_owned()),
        ("from the LAN", &lab.wires.lan, HOME.to_owned()),
        ("over the mesh", &lab.outside.network, format!("[{}]", lab.home_mesh_address())),
    ];
    for (way, network, host) in ways {
        let mut stream = connect(network, &with_port(&host, 80)).expect("port 80 is open");
        let answer = get(&mut stream, "health.meshboot.invalid", HEALTH, &[]);
        checks.that(
            &format!("no health {way} on port 80"),
            answer.as_ref().is_ok_and(|answer| answer.status == 421),
            &answer,
        );
        let mut tls =
            Tls::connect(network, &with_port(&host, 443), &["-servername", "health.meshboot.invalid"]);
        let answer = get(&mut tls, "health.meshboot.invalid", HEALTH, &[]);
        checks.that(
            &format!("no health {way} on port 443"),
            answer.as_ref().is_ok_and(|answer| answer.status == 421),
            &answer,
        );
    }
}

#[test]
fn keeps_mesh_only_services_off_the_internet() {
    let Some(mut lab) = Lab::new(&fleet()) else { return };
    let services = Services::start(&lab);
    lab.start_firewalls();
    lab.start_relays();
    lab.start_mesh();
    let mut checks = Checks::default();
    nothing_through_an_ingress_node(&lab, &mut checks);
    checks.equal("no request for it has come through", services.private.requests(), 0);
    everything_from_mesh_and_lan(&lab, &mut checks);
    checks.that("then requests came", services.private.requests() > 0, services.private.requests());
    challenges_are_answered(&lab, &mut checks);
    names_that_are_not_served(&lab, &mut checks);
    checks.finish();
}

fn nothing_through_an_ingress_node(lab: &Lab, checks: &mut Checks) {
    let visitor = &lab.wires.visitor;
    let ways = [
        ("IPv4", visitor, with_port(INGRESS[0], 443)),
        ("IPv6", visitor, with_port(&format!("[{}]", INGRESS[1]), 443)),
        ("directly, let in by `firewall.allow`", &lab.wires.stranger, with_port(WANS[0][0], 443)),
    ];
    for (label, network, target) in &ways {
        for http in ["--http1.1", "--http2"] {
            let answer = page(lab, network, target, "private.example.org", &[http]);
            checks.that(&format!("{label} {http}: its own name"), answer.stdout.contains(" 421 "), &answer);
            for host in [
                "private.example.org",
                "PRIVATE.example.org",
                "private.example.org:443",
                "private.example.org.",
            ] {
                let header = format!("Host: {host}");
                let answer = page(lab, network, target, "cloud.example.org", &[http, "--header", &header]);
                checks.that(
                    &format!("{label} {http}: `{header}` under another SNI"),
                    !answer.stdout.contains(" 200 "),
                    &answer,
                );
            }
        }
        let connect_to = format!("::{target}");
        let both = [
            "--http2",
            "--connect-to",
            &connect_to,
            "https://cloud.example.org/first",
            "--next",
            "--silent",
            "--insecure",
            "--include",
            "--max-time",
            "10",
            "--http2",
            "--connect-to",
            &connect_to,
            "--header",
            "Host: private.example.org",
            "--write-out",
            "connects=%{num_connects}",
            "https://cloud.example.org/second",
        ];
        let answer = curl(&lab.outside, network, &both);
        let text = &answer.stdout;
        let good = text.contains("HTTP/2 200") && text.contains("HTTP/2 421") && text.ends_with("connects=0");
        checks.that(&format!("{label}: the second request of one HTTP/2 connection"), good, &answer);
        let mut tls = Tls::connect(network, target, &["-servername", "cloud.example.org"]);
        let first = get(&mut tls, "cloud.example.org", "/", &[]);
        let second = get(&mut tls, "private.example.org", "/", &[]);
        let good = first.as_ref().is_ok_and(|answer| answer.status == 200)
            && second.as_ref().is_ok_and(|answer| answer.status == 421);
        checks.that(
            &format!("{label}: the second request of one HTTP/1.1 connection"),
            good,
            (&first, &second),
        );
        for request in [
            "GET https://private.example.org/ HTTP/1.1\r\nHost: cloud.example.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: cloud.example.org\r\nHost: private.example.org\r\n\r\n",
            "GET https://cloud.example.org/ HTTP/1.1\r\nHost: private.example.org\r\n\r\n",
        ] {
            let mut tls = Tls::connect(network, target, &["-servername", "cloud.example.org"]);
            tls.write_all(request.as_bytes()).expect("a fresh connection takes data");
            tls.flush().expect("a fresh connection takes data");
            let mut answer = vec![0; 4096];
            let length = tls.read(&mut answer).unwrap_or(0);
            let text = String::from_utf8_lossy(&answer[..length]).into_owned();
            checks.that(
                &format!("{label}: {request:?}"),
                !text.contains("192.168.1.40") && !text.is_empty(),
                &text,
            );
        }
    }
    for port_80 in [INGRESS[0].to_owned(), format!("[{}]", INGRESS[1])] {
        let mut stream = connect(visitor, &with_port(&port_80, 80)).expect("port 80 is relayed");
        let answer = get(&mut stream, "private.example.org", "/", &[]);
        checks.that(
            "port 80 does not know it",
            answer.as_ref().is_ok_and(|answer| answer.status == 421),
            &answer,
        );
    }
}

fn everything_from_mesh_and_lan(lab: &Lab, checks: &mut Checks) {
    let mesh_user = Lab::mesh_address_of(&lab.outside);
    let ways: [(&str, &Namespace, String, &str); 4] = [
        ("LAN, IPv4", &lab.wires.lan, HOME.to_owned(), LAN[0]),
        ("LAN, IPv6", &lab.wires.lan, "[2001:db8:10::10]".to_owned(), LAN[1]),
        ("mesh", &lab.outside.network, format!("[{}]", lab.home_mesh_address()), &mesh_user),
        // An ingress node is a mesh user too, but what it relays is not.
        ("mesh, public service", &lab.outside.network, format!("[{}]", lab.home_mesh_address()), &mesh_user),
    ];
    for (label, network, host, source) in ways {
        let domain =
            if label.ends_with("public service") { "cloud.example.org" } else { "private.example.org" };
        let answer = page(lab, network, &with_port(&host, 443), domain, &[]);
        let seen = answer.stdout.to_ascii_lowercase();
        let good =
            answer.stdout.starts_with("HTTP/2 200") && seen.contains(&format!("x-forwarded-for: {source}\n"));
        checks.that(&format!("{label}: served, with its address"), good, &answer);
        let mut stream = connect(network, &with_port(&host, 80)).expect("port 80 is open");
        let answer = get(&mut stream, domain, "/", &[]);
        checks.that(
            &format!("{label}: sent to TLS"),
            answer.as_ref().is_ok_and(|answer| answer.status == 301),
            &answer,
        );
    }
}

fn challenges_are_answered(lab: &Lab, checks: &mut Checks) {
    lab.home.ask_haproxy("add map /etc/meshboot/acme.map token-1 token-1.thumbprint");
    for domain in ["private.example.org", "cloud.example.org"] {
        for (family, host) in [INGRESS[0].to_owned(), format!("[{}]", INGRESS[1])].iter().enumerate() {
            let mut stream = connect(&lab.wires.visitor, &with_port(host, 80)).expect("port 80 is relayed");
            let answer = get(&mut stream, domain, "/.well-known/acme-challenge/token-1", &[]);
            let good = answer
                .as_ref()
                .is_ok_and(|answer| answer.status == 200 && answer.body == "token-1.thumbprint");
            checks.that(&format!("family {family}: the challenge of {domain}"), good, &answer);
            let answer = get(&mut stream, domain, "/.well-known/acme-challenge/token-2", &[]);
            checks.that("no challenge", answer.as_ref().is_ok_and(|answer| answer.status == 404), &answer);
        }
    }
    lab.home.ask_haproxy("del map /etc/meshboot/acme.map token-1");
}

fn names_that_are_not_served(lab: &Lab, checks: &mut Checks) {
    let target = with_port(INGRESS[0], 443);
    for host in
        ["unknown.example.org", "198.51.100.20", "[2001:db8::1]:443", "", "cloud.example.org.evil.example"]
    {
        let mut tls = Tls::connect(&lab.wires.visitor, &target, &["-servername", "cloud.example.org"]);
        let answer = get(&mut tls, host, "/", &[]);
        checks.that(
            &format!("TLS: `Host: {host}`"),
            answer.as_ref().is_ok_and(|answer| answer.status == 421),
            &answer,
        );
        let mut stream = connect(&lab.wires.visitor, &with_port(INGRESS[0], 80)).expect("port 80 is relayed");
        let answer = get(&mut stream, host, "/", &[]);
        checks.that(
            &format!("port 80: `Host: {host}`"),
            answer.as_ref().is_ok_and(|answer| answer.status == 421),
            &answer,
        );
    }
    for (how, arguments) in [
        ("no SNI", vec!["-noservername"]),
        ("an address as SNI", vec!["-servername", "198.51.100.20"]),
        ("an unknown SNI", vec!["-servername", "unknown.example.org"]),
    ] {
        let line = format!(
            "openssl s_client -connect {target} {} </dev/null 2>/dev/null | openssl x509 -noout -subject -ext subjectAltName",
            arguments.join(" ")
        );
        let shown = lab.outside.run_in(&lab.wires.visitor, &["sh", "-c", &line]);
        let good = shown.succeeded()
            && shown.stdout.contains("meshboot.invalid")
            && !shown.stdout.contains("example.org");
        checks.that(&format!("{how}: a certificate that names no service"), good, &shown);
    }
}

fn page(lab: &Lab, network: &Namespace, target: &str, domain: &str, further: &[&str]) -> Outcome {
    let connect = format!("::{target}");
    let url = format!("https://{domain}/");
    let mut arguments = vec!["--connect-to", &connect, &url];
    arguments.extend(further);
    curl(&lab.outside, network, &arguments)
}

fn said_http(end: &End) -> bool {
    matches!(end, End::Said(text) if text.contains("HTTP/"))
}

fn said_page(end: &End) -> bool {
    matches!(end, End::Said(text) if text.contains("HTTP/1.1 200") || text.contains("HTTP/1.1 301"))
}
