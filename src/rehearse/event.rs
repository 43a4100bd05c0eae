//! What a rehearsal tells while it runs: the command draws it. Sent by a channel, so that neither waits for the other.

use std::sync::mpsc::Sender;
use std::time::Duration;

use super::scenario::Verdict;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A fact that the reader should know: where the rehearsal differs from the fleet's file or from life.
    Note(String),
    /// A step of making the cached root; each ends the one before.
    Root(String),
    /// A step of building the lab; each ends the one before.
    Step(String),
    /// A node came into a phase.
    Node {
        /// Node's name.
        name: String,
        /// What it does now.
        phase: Phase,
        /// Since it was switched on.
        after: Duration,
    },
    /// All nodes are ready, and the fleet serves.
    Ready {
        /// Since the lab was begun.
        after: Duration,
    },
    /// A scenario began.
    Began {
        /// Its name.
        scenario: &'static str,
    },
    /// A scenario ended.
    Ended {
        /// Its name.
        scenario: &'static str,
        /// What came out.
        verdict: Verdict,
        /// How long it took.
        took: Duration,
    },
    /// The fleet stays up until somebody ends it.
    Kept,
    /// Everything is being taken down.
    TakingDown,
}

/// Where a node is on its way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Its kernel runs, nothing of ours yet.
    Booting,
    /// A step of first boot, as it says on the console.
    FirstBoot(String),
    /// First boot is done.
    Ready,
    /// First boot ended with an error, and is tried again.
    Failing(String),
}

/// Tells somebody who may have stopped listening.
#[derive(Debug, Clone)]
pub struct Events(Sender<Event>);

impl Events {
    /// To this channel.
    #[must_use]
    pub fn to(sender: Sender<Event>) -> Self {
        Self(sender)
    }

    /// Tells it.
    pub fn tell(&self, event: Event) {
        // Nobody listens any more: the work goes on.
        let _ = self.0.send(event);
    }

    /// Tells of a step of building the lab.
    pub fn step(&self, what: impl Into<String>) {
        self.tell(Event::Step(what.into()));
    }
}
