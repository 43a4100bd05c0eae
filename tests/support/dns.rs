//! A small DNS server (RFC 1035) over UDP: A and AAAA of the names that it is told, and the ways in which a resolver
//! can be of no use.
//!
//! Not here: other record types (an empty answer), TCP, EDNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::network::Namespace;

/// How the server treats a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers; a name that it was not told does not exist.
    Answers,
    /// Says SERVFAIL.
    Fails,
    /// Says nothing.
    Silent,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    names: BTreeMap<String, Vec<IpAddr>>,
    asked: Vec<String>,
    ended: bool,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Dns(Arc<Mutex<State>>);

impl Dns {
    /// Starts one at port 53 of `address` in `network`.
    pub(crate) fn start(network: &Namespace, address: &str) -> Self {
        let socket = network.within(|| UdpSocket::bind((address, 53))).expect("port 53 of a network of ours");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit on a socket");
        let state = State { mood: Mood::Answers, names: BTreeMap::new(), asked: Vec::new(), ended: false };
        let shared = Arc::new(Mutex::new(state));
        let servers = Arc::clone(&shared);
        std::thread::spawn(move || serve(&socket, &servers));
        Self(shared)
    }

    /// From now on `name` has these addresses, and no others.
    pub(crate) fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        self.state().names.insert(name.to_owned(), addresses);
    }

    /// From now on `name` does not exist.
    pub(crate) fn remove(&self, name: &str) {
        self.state().names.remove(name);
    }

    /// From now on questions are treated like this.
    pub(crate) fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// How often a name was asked for.
    pub(crate) fn times_asked(&self, name: &str) -> usize {
        self.state().asked.iter().filter(|asked| *asked == name).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no thread panics with the state in its hands")
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.state().ended = true;
    }
}

fn serve(socket: &UdpSocket, shared: &Mutex<State>) {
    let mut packet = [0; 1500];
    loop {
        let received = socket.recv_from(&mut packet);
        let Ok(mut state) = shared.lock() else { return };
        if state.ended {
            return;
        }
        let Ok((length, from)) = received else { continue };
        if let Some(answer) = answer(&packet[..length], &mut state) {
            drop(state);
            // The asker asks again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

fn answer(query: &[u8], state: &mut State) -> Option<Vec<u8>> {
    let (name, end) = question_name(query)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    state.asked.push(name.clone());
    let addresses = state.names.get(&name);
    let code = match state.mood {
        Mood::Silent => return None,
        Mood::Fails => 2,
        Mood::Answers if addresses.is_none() => 3,
        Mood::Answers => 0,
    };
    let records: Vec<Vec<u8>> = addresses
        .into_iter()
        .flatten()
        .filter(|_| code == 0)
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(address), TYPE_A) => Some(address.octets().to_vec()),
            (IpAddr::V6(address), TYPE_AAAA) => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut answer = query[..2].to_vec();
    // A response, recursion wanted and available.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0]);
    answer.extend(query.get(12..end + 4)?);
    for record in records {
        // The question's name, its type, class IN, 5 s to live.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 5, 0, u8::try_from(record.len()).ok()?]);
        answer.extend(record);
    }
    Some(answer)
}

/// The name that is asked for, in lower case, and where it ends.
fn question_name(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut place = 12;
    loop {
        let length = usize::from(*query.get(place)?);
        place += 1;
        if length == 0 {
            return Some((labels.join("."), place));
        }
        let label = query.get(place..place + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        place += length;
    }
}
