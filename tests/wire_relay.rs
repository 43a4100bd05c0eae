//! What a visitor sees of the fleet through an ingress node, and what a service sees of the visitor.
//!
//! Not here: who is believed (`wire_trust`) and paths that fail (`wire_failover`). The real programs run in network
//! namespaces with the files that the library renders.

mod support;

use std::io::{Read as _, Write as _};

use support::checks::Checks;
use support::client::{Tls, connect, curl, get};
use support::command::Outcome;
use support::lab::{FLEET, Lab};
use support::network::Namespace;
use support::services::Services;
use support::wires::{INGRESS, STRANGER, VISITOR};

/// Names of the families, by their number everywhere here.
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

fn ingress_host(family: usize) -> String {
    if family == 0 { INGRESS[0].to_owned() } else { format!("[{}]", INGRESS[1]) }
}

/// A page of a service over TLS, by the ingress node's address in a family.
fn page(lab: &Lab, family: usize, domain: &str, path: &str, further: &[&str]) -> Outcome {
    let connect = format!("::{}:", ingress_host(family));
    let url = format!("https://{domain}{path}");
    let mut arguments = vec!["--connect-to", &connect, &url];
    arguments.extend(further);
    curl(&lab.outside, &lab.wires.visitor, &arguments)
}

#[test]
fn relays_web_and_tcp_end_to_end() {
    let Some(mut lab) = Lab::new(FLEET) else { return };
    let services = Services::start(&lab);
    lab.start_firewalls();
    lab.start_relays();
    let mut checks = Checks::default();

    for node in [&lab.ingress, &lab.home] {
        let judged = node.shell("haproxy -c -V -f /etc/meshboot/haproxy.cfg 2>&1");
        checks.that(
            "configuration without warning",
            judged.succeeded() && !judged.stdout.contains("WARN"),
            &judged,
        );
        let user = node.ask("ps -C haproxy -o user= | sort | uniq -c");
        checks.that("workers run as the package's user", user.contains(" haproxy"), &user);
    }
    for (family, label) in FAMILIES.iter().enumerate() {
        a_visitor_sees_every_service(&lab, &mut checks, family, label);
        a_service_sees_the_visitor(&lab, &mut checks, family, label);
        a_port_is_relayed(&lab, &mut checks, family, label);
        a_web_socket_is_relayed(&lab, &mut checks, family, label);
    }
    checks.that(
        "both servers of a service are used",
        services.photos.iter().all(|server| server.requests() > 0),
        &services,
    );
    checks.finish();
}

fn a_visitor_sees_every_service(lab: &Lab, checks: &mut Checks, family: usize, label: &str) {
    for (domain, status, why) in [
        ("cloud.example.org", "200", "plain upstream"),
        ("git.example.org", "200", "TLS upstream, not verified"),
        ("trusted.example.org", "200", "TLS upstream, verified"),
        ("strict.example.org", "503", "TLS upstream that nobody vouches for"),
        ("misnamed.example.org", "503", "TLS upstream with another's certificate"),
        ("photos.example.org", "200", "several upstreams"),
        ("photos.example.org", "200", "several upstreams, again"),
    ] {
        let answer = page(lab, family, domain, "/hello?a=b", &[]);
        let good = answer.stdout.starts_with(&format!("HTTP/2 {status}"));
        checks.that(&format!("{label}: {domain}, {why}, over HTTP/2"), good, &answer);
        if status == "200" {
            checks.that(
                &format!("{label}: {domain}, {why}: the path"),
                answer.stdout.contains("GET /hello?a=b "),
                &answer,
            );
        }
    }
    let answer = page(lab, family, "cloud.example.org", "/", &["--http1.1"]);
    checks.that(&format!("{label}: HTTP/1.1"), answer.stdout.starts_with("HTTP/1.1 200"), &answer);
    let answer = page(
        lab,
        family,
        "cloud.example.org",
        "/bytes/3000000",
        &["--output", "/dev/null", "--write-out", "%{size_download}"],
    );
    checks.that(&format!("{label}: a long answer"), answer.stdout.ends_with("3000000"), &answer);

    let mut stream =
        connect(&lab.wires.visitor, &Lab::ingress_address(family, 80)).expect("port 80 is relayed");
    let answer = get(&mut stream, "cloud.example.org", "/a?b=c", &[]).expect("port 80 is answered");
    let moved = answer.status == 301
        && answer.head.to_ascii_lowercase().contains("location: https://cloud.example.org/a?b=c\r\n");
    checks.that(&format!("{label}: plain HTTP is sent to TLS"), moved, &answer);
}

fn a_service_sees_the_visitor(lab: &Lab, checks: &mut Checks, family: usize, label: &str) {
    let forged = [
        "--header",
        "X-Forwarded-For: 10.1.2.3",
        "--header",
        "x-forwarded-for: 10.3.2.1",
        "--header",
        "Forwarded: for=10.1.2.3",
        "--header",
        "X-Real-IP: 10.1.2.3",
        "--header",
        "X-Forwarded-Host: evil.example",
        "--header",
        "X-Forwarded-Proto: http",
    ];
    for http in ["--http1.1", "--http2"] {
        let mut further = forged.to_vec();
        further.push(http);
        let answer = page(lab, family, "cloud.example.org", "/", &further);
        let seen = answer.stdout.to_ascii_lowercase();
        let line = format!("x-forwarded-for: {}\n", VISITOR[family]);
        checks.that(&format!("{label} {http}: the visitor's true address"), seen.contains(&line), &answer);
        checks.equal(
            &format!("{label} {http}: it stands there once"),
            seen.matches("x-forwarded-for:").count(),
            1,
        );
        checks.that(
            &format!("{label} {http}: nothing forged is passed on"),
            !seen.contains("10.1.2.3") && !seen.contains("10.3.2.1") && !seen.contains("evil"),
            &answer,
        );
        let rest = [
            "x-forwarded-proto: https\n",
            "x-forwarded-host: cloud.example.org\n",
            "x-forwarded-port: 443\n",
        ];
        checks.that(
            &format!("{label} {http}: how he came"),
            rest.iter().all(|line| seen.contains(line)),
            &answer,
        );
    }
    let stranger = curl(
        &lab.outside,
        &lab.wires.stranger,
        &["--connect-to", &format!("::{}:", ingress_host(family)), "https://cloud.example.org/"],
    );
    let line = format!("x-forwarded-for: {}\n", STRANGER[family]);
    checks.that(
        &format!("{label}: another visitor's address"),
        stranger.stdout.to_ascii_lowercase().contains(&line),
        &stranger,
    );
}

fn a_port_is_relayed(lab: &Lab, checks: &mut Checks, family: usize, label: &str) {
    let mut stream =
        connect(&lab.wires.visitor, &Lab::ingress_address(family, 25565)).expect("the port is relayed");
    stream.write_all(b"hello\n").expect("the port takes data");
    let mut said = String::new();
    while said.lines().count() < 2 || !said.ends_with('\n') {
        let mut buffer = [0; 100];
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => said.push_str(&String::from_utf8_lossy(&buffer[..length])),
            _ => break,
        }
    }
    checks.that(
        &format!("{label}: a further port"),
        said.starts_with("192.168.1.10:") && said.ends_with("\nhello\n"),
        &said,
    );
}

const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

fn a_web_socket_is_relayed(lab: &Lab, checks: &mut Checks, family: usize, label: &str) {
    let target = Lab::ingress_address(family, 443);
    let mut tls =
        Tls::connect(&lab.wires.visitor, &target, &["-servername", "cloud.example.org", "-alpn", "http/1.1"]);
    let answer = get(&mut tls, "cloud.example.org", "/socket", &UPGRADE);
    let taken = answer
        .as_ref()
        .is_ok_and(|answer| answer.status == 101 && answer.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    checks.that(&format!("{label}: a WebSocket over HTTP/1.1"), taken, &answer);
    let frame = b"\x81\x85\x01\x02\x03\x04hello";
    tls.write_all(frame).expect("the connection takes data");
    tls.flush().expect("the connection takes data");
    let mut back = vec![0; frame.len()];
    let read = tls.read_exact(&mut back);
    checks.that(
        &format!("{label}: a WebSocket's frames come back"),
        read.is_ok() && back == frame,
        (&read, &back),
    );

    let answer = extended_connect(&lab.wires.visitor, &target);
    checks.equal(
        &format!("{label}: a WebSocket over HTTP/2 (RFC 8441)"),
        answer.as_deref(),
        Ok("hello over h2"),
    );
}

/// Opens a WebSocket by extended CONNECT, sends a text and returns what comes back.
fn extended_connect(network: &Namespace, target: &str) -> Result<String, String> {
    let mut tls = Tls::connect(network, target, &["-servername", "cloud.example.org", "-alpn", "h2"]);
    support::http2::extended_connect(&mut tls, "cloud.example.org", "/socket", b"hello over h2")
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|error| error.to_string())
}
