//! Certificates by HTTP-01 through an ingress node: the path is proved, a real CA (pebble, of the makers of Let's Encrypt)
//! is asked, and its answer is in use without a dropped connection.
//!
//! Not here: DNS-01 (the home service). The CA asks a resolver of its own, so that it can be made to refuse what the home
//! finds in order.

mod support;

use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

use support::checks::Checks;
use support::client::Tls;
use support::dns::Dns;
use support::lab::{FLEET, Lab};
use support::network::{Background, wait_until};
use support::services::Services;
use support::wires::{INGRESS, OUTSIDE, STRANGER};

/// How long a certificate of the test's CA lives.
const LIFE: Duration = Duration::from_secs(15);

const CLOUD: &str = "cloud.example.org";
const PRIVATE: &str = "private.example.org";

/// What is remembered of refusals.
const STATE: &str = "/var/lib/meshboot/certificates/cloud.example.org";

/// The CA and its resolver.
struct Authority {
    program: Background,
    dns: Dns,
}

impl Authority {
    fn start(lab: &Lab) -> Self {
        let outside = &lab.outside;
        outside.ask(
            "cd /etc/lan && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=acme -keyout acme.key -out acme.csr
            printf 'subjectAltName=DNS:acme.example.net\\n' >acme.ext
            openssl x509 -req -in acme.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile acme.ext -out acme.crt",
        );
        let settings = serde_json::json!({"pebble": {
            "listenAddress": "0.0.0.0:14000",
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": "/etc/lan/acme.crt",
            "privateKey": "/etc/lan/acme.key",
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": LIFE.as_secs(),
        }});
        outside.put("/etc/lan/pebble.json", 0o644, settings.to_string());
        let dns = Dns::start(&outside.network, OUTSIDE[0]);
        let resolver = format!("{}:53", OUTSIDE[0]);
        let environment = ["PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0"];
        let mut argv = vec!["env"];
        argv.extend(environment);
        argv.extend(["pebble", "-config", "/etc/lan/pebble.json", "-dnsserver", &resolver]);
        let program = outside.spawn("pebble", &argv);
        wait_until("the CA", Duration::from_secs(10), || program.log().contains("ACME directory available"))
            .unwrap_or_else(|error| panic!("{error}\n{}", program.log()));
        lab.dns.set("acme.example.net", &[OUTSIDE[0]]);
        Self { program, dns }
    }

    /// How many requests it has had.
    fn requests(&self) -> usize {
        self.program.log().lines().filter(|line| line.contains(" -> calling handler()")).count()
    }
}

struct Scene {
    lab: Lab,
    authority: Authority,
    _services: Services,
}

fn scene() -> Option<Scene> {
    let mut lab = Lab::new(FLEET)?;
    let services = Services::start(&lab);
    lab.start_firewalls();
    lab.start_relays();
    lab.wait_for_paths(&["wan-fiber", "wan-lte"], Duration::from_secs(10));
    let authority = Authority::start(&lab);
    Some(Scene { lab, authority, _services: services })
}

impl Scene {
    /// One pass of the timer's script; what it said.
    #[track_caller]
    fn pass(&self) -> String {
        self.lab.home.ask("/usr/local/lib/meshboot/certificates 2>&1")
    }

    /// Both resolvers know the domain at the ingress node.
    fn publish(&self, domain: &str) {
        self.lab.dns.set(domain, &INGRESS);
        self.authority.dns.set(domain, &INGRESS);
    }

    /// Issuer and serial number of the certificate that a visitor is shown.
    fn shown(&self, domain: &str) -> String {
        let target = Lab::ingress_address(0, 443);
        let line = format!(
            "openssl s_client -connect {target} -servername {domain} </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial -ext subjectAltName"
        );
        self.lab.outside.run_in(&self.lab.wires.visitor, &["sh", "-c", &line]).expect_success()
    }
}

#[test]
fn proves_the_path_before_the_ca_is_asked() {
    let Some(scene) = scene() else { return };
    let (lab, mut checks) = (&scene.lab, Checks::default());
    lab.dns.set(CLOUD, &[]);
    let said = scene.pass();
    checks.that(
        "no DNS: the reason",
        said.contains(&format!("{CLOUD}: no certificate yet: the name {CLOUD} has no address in DNS")),
        &said,
    );
    checks.equal("the reason is said once", scene.pass().as_str(), "");
    let mesh = lab.home_mesh_address().to_owned();
    let [ipv4, ipv6] = INGRESS;
    for (addresses, reason) in [
        (
            vec![ipv4, mesh.as_str()],
            format!("{CLOUD} has the mesh address {mesh} in public DNS, which no CA can reach"),
        ),
        (vec![ipv4, "300:1:2:3::1"], format!("{CLOUD} has the mesh address 300:1:2:3::1 in public DNS")),
        (vec![STRANGER[0]], format!("port 80 of {CLOUD} at {} does not lead here", STRANGER[0])),
        (vec![ipv4, STRANGER[0]], format!("port 80 of {CLOUD} at {} does not lead here", STRANGER[0])),
        (vec![ipv4, ipv6, STRANGER[1]], format!("port 80 of {CLOUD} at {} does not lead here", STRANGER[1])),
        (vec!["192.168.1.10"], format!("{CLOUD} resolves to 192.168.1.10, which is not an internet address")),
        (vec![ipv4, "fd00::7"], format!("{CLOUD} resolves to fd00::7, which is not an internet address")),
        (
            vec![ipv4, "100.64.0.9"],
            format!("{CLOUD} resolves to 100.64.0.9, which is not an internet address"),
        ),
    ] {
        lab.dns.set(CLOUD, &addresses);
        // A reason that has been said already would not be said again.
        lab.home.ask("rm -f /var/lib/meshboot/certificates/*.path");
        let said = scene.pass();
        checks.that(&format!("{addresses:?}: the reason"), said.contains(&reason), (said, reason));
    }
    // An ingress node that relays somewhere else, or nowhere.
    lab.dns.set(CLOUD, &INGRESS);
    lab.wires.lose(&[0, 1]);
    lab.wait_for_paths(&[], Duration::from_secs(10));
    lab.home.ask("rm -f /var/lib/meshboot/certificates/*.path");
    let said = scene.pass();
    checks.that("nothing is relayed: the reason", said.contains("does not lead here"), &said);
    checks.equal("the CA has never been asked", scene.authority.requests(), 0);
    checks.equal("the map is left empty", lab.home.ask_haproxy("show map /etc/meshboot/acme.map").trim(), "");
    checks.finish();
}

#[test]
fn gets_swaps_and_renews_without_a_dropped_connection() {
    let Some(scene) = scene() else { return };
    let lab = &scene.lab;
    let workers = || lab.home.ask("pgrep -x haproxy | sort | tr '\\n' ' '");
    let before = workers();
    let self_signed = scene.shown(CLOUD);
    assert!(
        self_signed.contains("issuer=CN = meshboot") || self_signed.contains("issuer=CN=meshboot"),
        "{self_signed}"
    );

    let target = Lab::ingress_address(0, 443);
    let arguments = ["-servername", CLOUD, "-alpn", "http/1.1"];
    let mut download = Tls::connect(&lab.wires.visitor, &target, &arguments);
    download.write_all(b"GET /drip HTTP/1.1\r\nHost: cloud.example.org\r\n\r\n").expect("a request");
    download.flush().expect("a request");
    let mut buffer = [0; 4096];
    let mut alive = |when: &str| {
        // What came in the meantime, then something new.
        for _ in 0..3 {
            assert!(
                download.read(&mut buffer).is_ok_and(|length| length > 0),
                "the download has ended: {when}"
            );
        }
    };
    alive("before");

    // One service and one of the mesh alone have DNS; the others wait, and hold nobody up.
    scene.publish(CLOUD);
    scene.publish(PRIVATE);
    let said = scene.pass();
    for domain in [CLOUD, PRIVATE] {
        assert!(
            said.contains(&format!("{domain}: certificate from https://acme.example.net:14000/dir")),
            "{said}\n{}",
            scene.authority.program.log()
        );
    }
    assert!(said.contains("git.example.org: no certificate yet"), "{said}");
    let first = scene.shown(CLOUD);
    assert!(first.contains("Pebble Intermediate CA") && first.contains("DNS:cloud.example.org"), "{first}");
    assert!(scene.shown(PRIVATE).contains("Pebble Intermediate CA"));
    let mode = lab.home.ask("stat -c '%a %U' /etc/meshboot/tls/cloud.example.org.pem");
    assert_eq!(mode.trim(), "600 root");
    alive("after the swap");
    let asked = scene.authority.requests();
    assert!(asked > 5, "the CA's log is understood: {}", scene.authority.program.log());
    assert_eq!(scene.pass(), "", "nothing is due");
    assert_eq!(scene.authority.requests(), asked, "nothing is due, nobody is asked");
    assert_eq!(lab.home.ask_haproxy("show map /etc/meshboot/acme.map").trim(), "");
    assert_eq!(lab.home.read("/etc/meshboot/acme.map").as_deref(), Some(""));

    // In the last third of its life.
    std::thread::sleep(LIFE * 2 / 3);
    let said = scene.pass();
    assert!(said.contains(&format!("{CLOUD}: certificate from")), "{said}");
    assert_ne!(scene.shown(CLOUD), first, "a new serial number");
    alive("after the renewal");
    assert_eq!(workers(), before, "haproxy was not even reloaded");

    // Where the runtime API does not take it, a reload does.
    lab.home.ask("sed -i 's#exec timeout#exit 1; exec timeout#' /usr/local/lib/meshboot/haproxy-ask");
    let said = lab.home.ask(
        "RENEWED_LINEAGE=/etc/letsencrypt/live/cloud.example.org /usr/local/lib/meshboot/deploy-certificate",
    );
    assert!(said.contains("reloading haproxy"), "{said}");
    wait_until("a new worker", Duration::from_secs(10), || workers() != before).expect("haproxy is reloaded");
    alive("after the reload");
}

#[test]
fn waits_longer_after_every_refusal() {
    let Some(scene) = scene() else { return };
    let lab = &scene.lab;
    let state = || -> Option<(u64, u64)> {
        let text = lab.home.read(STATE)?;
        let (until, count) = text.trim().split_once(' ').expect("two numbers");
        Some((until.parse().expect("a time"), count.parse().expect("a count")))
    };
    // A CA that does not answer has refused nothing.
    lab.dns.set(CLOUD, &INGRESS);
    lab.dns.set("acme.example.net", &[STRANGER[0]]);
    let said = scene.pass();
    assert!(said.contains("does not answer"), "{said}");
    assert_eq!(state(), None);

    // The home sees the name, the CA does not.
    lab.dns.set("acme.example.net", &[OUTSIDE[0]]);
    for (refusals, hours, next) in [(1, 1, 1), (2, 2, 3), (4, 8, 4), (5, 16, 40), (41, 24, 41)] {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock past 1970").as_secs();
        let said = scene.pass();
        assert!(said.contains(&format!("{CLOUD}: the CA refused (time {refusals})")), "{said}");
        let (until, count) = state().expect("the refusal is remembered");
        assert_eq!(count, refusals);
        let wait = until - now;
        assert!((hours * 3600..hours * 3960 + 30).contains(&wait), "refusal {refusals}: waits {wait} s");
        let asked = scene.authority.requests();
        assert_eq!(scene.pass(), "", "it waits, silently");
        assert_eq!(scene.authority.requests(), asked, "the CA is left alone");
        // The time has passed, and with it so many refusals.
        lab.home.put(STATE, 0o644, format!("{} {next}\n", now - 1));
    }
    scene.publish(CLOUD);
    let said = scene.pass();
    assert!(said.contains(&format!("{CLOUD}: certificate from")), "{said}");
    assert_eq!(state(), None, "a success forgets the refusals");
    // A damaged memory is none.
    lab.home.ask("rm -r /etc/letsencrypt/live");
    lab.home.put(STATE, 0o644, "nonsense\n");
    let said = scene.pass();
    assert!(said.contains(&format!("{CLOUD}: certificate from")), "{said}");
}
