//! A fleet that stands on this machine: networks, nodes, and everything around them.
//!
//! [`Lab::build`] returns once every node is ready and the fleet serves; [`Lab::take_down`] removes all of it, as
//! dropping does. What a scenario needs is in the fields. To add a program around the nodes: a file here, a field, a
//! line in `build` and one in `take_down`.

pub mod acme;
pub mod cgroup;
pub mod disk;
pub mod dns;
pub mod house;
pub mod internet;
pub mod namespace;
pub mod paths;
pub mod pki;
pub mod program;
mod surroundings;
pub mod tls;
pub mod upstream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::event::{Event, Events, Phase};
use super::home_stand_in;
use super::interrupt::Interrupt;
use super::machine::Machine;
use super::payloads::{Payloads, Seed};
use super::plan::Plan;
use super::registry::Registry;
use super::root::Root;
use super::visitor::Visitor;
use crate::identity::MeshAddress;

use acme::Acme;
use disk::Disk;
use dns::Dns;
use house::House;
use internet::Internet;
use namespace::Namespace;
use pki::Pki;
use program::Program;
use upstream::Upstreams;

/// How long all nodes may take to become ready.
const FIRST_BOOT: Duration = Duration::from_mins(5);

/// How often nodes are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// Lines of a node's console that an error shows.
const CONSOLE_LINES: usize = 25;

/// The fleet, the internet around it, and what is needed to play with both. Programs end before disks, and disks
/// before networks: the order of the fields.
#[derive(Debug)]
pub struct Lab {
    /// Who is where.
    pub plan: Plan,
    /// Whom to tell what happens.
    pub events: Events,
    /// Whether to go on; every wait looks here.
    pub interrupt: Interrupt,
    /// Mesh address of the home.
    pub home_mesh_address: MeshAddress,
    /// The home.
    pub home: Machine,
    /// The ingress nodes, in the order of the fleet.
    pub ingress: Vec<Machine>,
    /// Servers behind the home.
    pub upstreams: Upstreams,
    /// The certificate authority.
    pub acme: Acme,
    /// The DNS server.
    pub dns: Dns,
    /// Whoever visits services, trusting [`Lab::acme`].
    pub visitor: Visitor,
    /// DHCP, the router's resolver, the mesh peer.
    programs: Vec<Program>,
    /// A disk with Debian's programs; [`Disk::run`] runs one in any network.
    pub disk: Disk,
    /// The internet and who is on it.
    pub internet: Internet,
    /// The home's router and LAN.
    pub house: House,
    /// The seed of each node: the home's, then those of the ingress nodes.
    pub seeds: Vec<Seed>,
    /// Whether links can be given delay and loss.
    pub delays: bool,
    /// Where everything of this rehearsal lies.
    pub folder: PathBuf,
    registry: Arc<Registry>,
}

/// What a lab is built from.
#[derive(Debug)]
pub struct Ground {
    /// Who is where.
    pub plan: Plan,
    /// What the nodes boot from.
    pub payloads: Payloads,
    /// The cached root.
    pub root: Root,
    /// Everything that is made is written down here.
    pub registry: Arc<Registry>,
    /// A private folder on the disk that the root lies on.
    pub folder: PathBuf,
    /// Whether links can be given delay and loss.
    pub delays: bool,
}

impl Lab {
    /// Builds everything, boots all nodes side by side, and returns once the fleet serves. After an error nothing is
    /// left.
    pub fn build(ground: Ground, events: Events, interrupt: Interrupt) -> Result<Self> {
        let start = Instant::now();
        let Ground { plan, payloads, root, registry, folder, delays } = ground;
        events.step("laying cables");
        let (internet, sockets) = Internet::new(&registry, &plan)?;
        let (house, home_socket) = House::new(&registry, &plan, &internet.core)?;
        interrupt.check()?;
        events.step("starting what is around the nodes");
        let disk = Disk::mount(&registry, root.path(), &folder.join("around"), &interrupt)?;
        let pki = Pki::new()?;
        let programs = surroundings::start(&registry, &disk, &plan, &internet, &house)?;
        let dns = Dns::start(&registry, &disk, &internet.resolver, &plan, &interrupt)?;
        let acme = Acme::start(&registry, &disk, &internet.acme, &plan, &pki, &interrupt)?;
        let upstreams = Upstreams::start(&house.servers, &plan.upstreams, &pki)?;
        let visitor = Visitor::trusting(acme.roots_pem())?;
        events.step("booting the nodes");
        let machine = |seed: &Seed, socket: Namespace| -> Result<Machine> {
            let place = folder.join(format!("node-{}", seed.node));
            let machine = Machine::new(&registry, &seed.node, root.path(), socket, &place)?;
            seed.sow(&machine)?;
            surroundings::trust(&machine, root.path(), &pki)?;
            Ok(machine)
        };
        let home = machine(&payloads.home, home_socket)?;
        let ingress = payloads.ingress.iter().zip(sockets).map(|(seed, socket)| machine(seed, socket));
        let ingress = ingress.collect::<Result<Vec<_>>>()?;
        let seeds = std::iter::once(payloads.home).chain(payloads.ingress).collect();
        let home_mesh_address = payloads.home_mesh_address;
        let mut lab = Self {
            plan,
            events,
            interrupt,
            home_mesh_address,
            home,
            ingress,
            upstreams,
            acme,
            dns,
            visitor,
            programs,
            disk,
            internet,
            house,
            seeds,
            delays,
            folder,
            registry,
        };
        lab.bring_up()?;
        lab.events.tell(Event::Ready { after: start.elapsed() });
        Ok(lab)
    }

    /// Boots all nodes, and waits until the fleet serves.
    fn bring_up(&mut self) -> Result<()> {
        for machine in std::iter::once(&mut self.home).chain(&mut self.ingress) {
            machine.start(&self.interrupt)?;
            let phase = Phase::Booting;
            self.events.tell(Event::Node { name: machine.name.clone(), phase, after: Duration::ZERO });
        }
        self.wait_until_ready()?;
        self.events.step("enrolling the ingress nodes");
        home_stand_in::enrol_all(self)?;
        self.events.step("waiting for every path and certificate");
        self.wait_until_serving()
    }

    /// Waits until first boot is done on every node that is on, and tells of each phase.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        let mut last: Vec<Option<Phase>> = vec![None; self.ingress.len() + 1];
        loop {
            let mut all_ready = true;
            let machines = std::iter::once(&mut self.home).chain(&mut self.ingress);
            for (machine, last) in machines.zip(&mut last) {
                if !machine.is_on() || *last == Some(Phase::Ready) {
                    continue;
                }
                let (phase, after) = machine.phase()?;
                all_ready &= phase == Phase::Ready;
                if last.as_ref() != Some(&phase) {
                    *last = Some(phase.clone());
                    self.events.tell(Event::Node { name: machine.name.clone(), phase, after });
                }
            }
            if all_ready {
                return Ok(());
            }
            if start.elapsed() > FIRST_BOOT {
                let late = std::iter::once(&self.home).chain(&self.ingress).zip(&last);
                let late: Vec<String> = late
                    .filter(|(_, phase)| **phase != Some(Phase::Ready))
                    .map(|(machine, _)| {
                        format!("`{}`:\n{}", machine.name, machine.console_tail(CONSOLE_LINES))
                    })
                    .collect();
                bail!("not ready after {} s: {}", FIRST_BOOT.as_secs(), late.join("\n"));
            }
            self.interrupt.sleep(LOOK)?;
        }
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Result<&Machine> {
        let mut nodes = std::iter::once(&self.home).chain(&self.ingress);
        nodes.find(|machine| machine.name == name).with_context(|| format!("finding the node `{name}`"))
    }

    /// Everything that is made, for programs that a scenario starts.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Gives a name these addresses in DNS, and no others.
    pub fn set_name(&mut self, name: &str, addresses: &[std::net::IpAddr]) -> Result<()> {
        self.dns.set(&self.disk, &self.internet.resolver, name, addresses)
    }

    /// Removes everything, going on after an error. Returns what went wrong.
    #[must_use]
    pub fn take_down(mut self) -> Vec<anyhow::Error> {
        let mut errors = self.home.take_down();
        errors.extend(self.ingress.iter_mut().flat_map(Machine::take_down));
        errors.extend(self.acme.take_down().err());
        errors.extend(self.dns.take_down().err());
        errors.extend(self.programs.iter_mut().filter_map(|program| program.take_down().err()));
        errors.extend(self.disk.take_down().err());
        let namespaces = self.internet.namespaces().chain(self.house.namespaces());
        errors.extend(namespaces.filter_map(|namespace| namespace.take_down().err()));
        errors
    }
}
