//! The lab's own tools do what they say: without that, no scenario shows anything. One fleet stands, and a scenario of
//! this test's uses each tool and looks at what it does.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use meshboot::rehearse::event::{Event, Events};
use meshboot::rehearse::interrupt::Interrupt;
use meshboot::rehearse::lab::Lab;
use meshboot::rehearse::lab::house::FURTHER;
use meshboot::rehearse::lab::internet::cloud_port;
use meshboot::rehearse::lab::paths::paths;
use meshboot::rehearse::scenario::{Scenario, Verdict, fits_all};
use meshboot::rehearse::visitor::Question;
use meshboot::rehearse::{self, Order};
use support::requirement::root_and;

const FLEET: &str = r#"version: 1
fleet: cabin
admin:
  email: me@example.org
  ssh-keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon me@hearth"]
home:
  name: cabin
  wans:
    - {name: fiber, address: 203.0.113.10, weight: 2}
    - {name: lte, address: lte.example.net}
ingress:
  - {name: any1, provider: generic}
  - {name: any2, provider: generic}
mesh: {peers: ["tls://peer.example.net:443"]}
services: [{domain: cloud.example.org, to: "http://192.168.1.20:8080"}]
"#;

/// How long a change may take to be seen: marks of the home's peer command come once in 30 s.
const SEEN: Duration = Duration::from_mins(1);

static TOOLS: Scenario =
    Scenario { name: "tools", about: "the lab's tools do what they say", unfit: fits_all, run: use_all };

/// What is tried, by name.
type Trial = (&'static str, fn(&mut Lab) -> Result<()>);

const TRIALS: [Trial; 6] = [
    ("a lost uplink is seen and comes back", lost_uplink),
    ("the mesh dials out over an uplink that is no WAN", further_uplink),
    ("a router that masquerades is closed out, and named", masquerading),
    ("a node without its resolver resolves nothing", nameless),
    ("names move", names_move),
    ("a node without power is off, and comes back by itself", power),
];

fn use_all(lab: &mut Lab) -> Result<Verdict> {
    let mut verdict = Verdict::new();
    for (name, trial) in TRIALS {
        let tried = trial(lab);
        if let Err(error) = tried.and_then(|()| put_back(lab).context("putting everything back")) {
            verdict.fail(format!("{name}: {error:#}"));
            put_back(lab)?;
        }
    }
    Ok(verdict)
}

/// As it was before, whatever happened.
fn put_back(lab: &Lab) -> Result<()> {
    for wan in &lab.plan.wans {
        lab.internet.restore(&wan.interface())?;
    }
    lab.internet.restore(FURTHER)?;
    lab.internet.restore_names(&cloud_port(0))?;
    lab.house.switch_further_uplink(false)?;
    lab.house.set_masquerading(&lab.plan, false)?;
    lab.wait_for_paths()
}

/// Whether any path of a name is up on the first ingress node.
fn is_up(lab: &Lab, server: &str) -> Result<bool> {
    Ok(paths(&lab.ingress[0])?.iter().any(|path| path.server == server && path.up))
}

fn wait_for(lab: &Lab, what: &str, condition: impl FnMut() -> Result<bool>) -> Result<Duration> {
    lab.interrupt.wait_until(what, SEEN, condition)
}

fn visitor_is_served(lab: &Lab) -> Result<()> {
    let address = lab.plan.ingress[0].ipv4.into();
    let answer = lab.visitor.ask(&lab.internet.visitor, &Question::https("cloud.example.org", address))??;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

fn lost_uplink(lab: &mut Lab) -> Result<()> {
    lab.internet.lose("wan1")?;
    wait_for(lab, "the lost uplink to be down", || Ok(!is_up(lab, "wan-fiber")?))?;
    ensure!(is_up(lab, "wan-lte-ipv4")? && is_up(lab, "wan-lte-ipv6")?, "the other uplink is down too");
    visitor_is_served(lab)?;
    lab.internet.restore("wan1")?;
    wait_for(lab, "the uplink to be back", || is_up(lab, "wan-fiber"))?;
    Ok(())
}

fn further_uplink(lab: &mut Lab) -> Result<()> {
    lab.house.switch_further_uplink(true)?;
    for wan in &lab.plan.wans {
        lab.internet.lose(&wan.interface())?;
    }
    wait_for(lab, "the WANs to be down", || Ok(!is_up(lab, "wan-fiber")? && !is_up(lab, "wan-lte-ipv4")?))?;
    // The mesh ran over the lost WAN, and has to notice that first.
    wait_for(lab, "a visitor to be served over the further uplink", || Ok(visitor_is_served(lab).is_ok()))?;
    // That it was this uplink, and no other: without it the mesh goes too.
    lab.internet.lose(FURTHER)?;
    wait_for(lab, "the mesh to be down", || Ok(!is_up(lab, "mesh")?))?;
    Ok(())
}

fn masquerading(lab: &mut Lab) -> Result<()> {
    lab.house.set_masquerading(&lab.plan, true)?;
    wait_for(lab, "the masqueraded path to be down", || Ok(!is_up(lab, "wan-fiber")?))?;
    visitor_is_served(lab).context("by another path")?;
    wait_for(lab, "the alarm", || {
        Ok(lab.home.run(&["grep", "-q", "masqueraded", "/var/lib/meshboot/alarms.json"])?.succeeded())
    })?;
    lab.house.set_masquerading(&lab.plan, false)?;
    wait_for(lab, "the path to be back", || is_up(lab, "wan-fiber"))?;
    Ok(())
}

fn resolves(lab: &Lab, name: &str) -> Result<String> {
    Ok(lab.ingress[0].run(&["resolvectl", "--cache=no", "query", "--legend=no", name])?.stdout)
}

fn nameless(lab: &mut Lab) -> Result<()> {
    ensure!(resolves(lab, "lte.example.net")?.contains("203.0.113."), "it resolved nothing before");
    lab.internet.lose_names(&cloud_port(0))?;
    let lost = resolves(lab, "lte.example.net")?;
    ensure!(!lost.contains("203.0.113."), "it resolved {lost}");
    visitor_is_served(lab)?;
    lab.internet.restore_names(&cloud_port(0))?;
    wait_for(lab, "names to be back", || Ok(resolves(lab, "lte.example.net")?.contains("203.0.113.")))?;
    Ok(())
}

fn names_move(lab: &mut Lab) -> Result<()> {
    let before: Vec<_> = lab.dns.addresses_of("lte.example.net").collect();
    ensure!(before.len() == 2, "{before:?}");
    lab.set_name("moved.example.net", &["203.0.113.99".parse()?])?;
    ensure!(resolves(lab, "moved.example.net")?.contains("203.0.113.99"), "the new name is not there");
    lab.set_name("moved.example.net", &[])?;
    wait_for(lab, "the name to go", || Ok(!resolves(lab, "moved.example.net")?.contains("203.0.113.99")))?;
    Ok(())
}

fn power(lab: &mut Lab) -> Result<()> {
    let Lab { ingress, home, interrupt, .. } = lab;
    ingress[0].cut_power()?;
    ensure!(!ingress[0].is_on() && ingress[0].run(&["true"]).is_err(), "it is on without power");
    ensure!(home.run(&["systemctl", "is-active", "haproxy"])?.succeeded(), "it took the home with it");
    ingress[0].start(interrupt)?;
    wait_for(lab, "the node to serve again", || Ok(visitor_is_served(lab).is_ok()))?;
    lab.home.stop()?;
    ensure!(!lab.home.is_on(), "it is on after its power button");
    ensure!(visitor_is_served(lab).is_err(), "a home that is off serves");
    let Lab { home, interrupt, .. } = lab;
    home.start(interrupt)?;
    wait_for(lab, "the home to serve again", || Ok(visitor_is_served(lab).is_ok()))?;
    Ok(())
}

#[test]
#[expect(clippy::print_stderr, reason = "what happened is told with a failure")]
fn the_labs_tools_do_what_they_say() {
    if !root_and(&["mmdebstrap", "systemd-nspawn", "ip", "nft", "unshare"]) {
        return;
    }
    let fleet = meshboot::fleet::parse(FLEET, "fleet.yaml").expect("a valid fleet").fleet;
    let order = Order { fleet: &fleet, scenarios: vec![&TOOLS], keep: false };
    let (sender, events) = channel();
    let talk = std::thread::spawn(move || {
        for event in events {
            if !matches!(event, Event::Node { .. }) {
                eprintln!("{event:?}");
            }
        }
    });
    let rehearsed = rehearse::run(&order, &Events::to(sender), &Interrupt::default()).expect("it stands up");
    talk.join().expect("all was told");
    assert_eq!(rehearsed.left, [""; 0]);
    for (name, verdict, _) in &rehearsed.verdicts {
        assert!(verdict.passed(), "{name}: {:#?}", verdict.notes);
    }
}
