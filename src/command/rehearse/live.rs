//! What is happening: on a terminal a table that is drawn again and again, elsewhere a line for each event.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::rehearse::event::{Event, Phase};
use crate::rehearse::scenario::{Judgement, Verdict};
use crate::sys::printer::Printer;

/// How often a terminal is drawn.
const TICK: Duration = Duration::from_millis(250);

/// Shows events until nobody sends any more.
pub(super) fn show(events: &Receiver<Event>, printer: &mut Printer) {
    let terminal = printer.talks_to_terminal();
    let mut table = Table::default();
    loop {
        match events.recv_timeout(TICK) {
            Ok(event) => {
                let said = if terminal { table.take(event) } else { lines(&event) };
                printer.redraw(&[]);
                for line in said {
                    printer.talk(&line);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if terminal {
            printer.redraw(&table.lines());
        }
    }
    printer.redraw(&[]);
}

/// What is going on now; what is over has been said above it.
#[derive(Debug, Default)]
struct Table {
    now: Option<(String, Instant)>,
    nodes: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    phase: Phase,
    on_since: Instant,
    ready_after: Option<Duration>,
}

impl Table {
    /// Takes an event in; what it says for good is returned.
    fn take(&mut self, event: Event) -> Vec<String> {
        match event {
            Event::Root(step) => self.begin(format!("making the Debian 13 root (once): {step}")),
            Event::Step(step) => self.begin(step),
            Event::Began { scenario } => self.begin(format!("scenario {scenario}")),
            Event::TakingDown => self.begin("taking everything down".to_owned()),
            Event::Kept => {
                self.now = None;
                return lines(&Event::Kept);
            }
            Event::Node { name, phase, after } => self.set(name, phase, after),
            Event::Ready { .. } => {
                let rows: Vec<String> = self.nodes.iter().map(Row::line).collect();
                self.nodes.clear();
                self.now = None;
                return rows.into_iter().chain(lines(&event)).collect();
            }
            Event::Ended { .. } => {
                self.now = None;
                return lines(&event);
            }
            Event::Note(_) => return lines(&event),
        }
        Vec::new()
    }

    fn begin(&mut self, what: String) {
        self.now = Some((what, Instant::now()));
    }

    fn set(&mut self, name: String, phase: Phase, after: Duration) {
        let ready_after = (phase == Phase::Ready).then_some(after);
        let row = self.nodes.iter_mut().find(|row| row.name == name);
        if let Some(row) = row {
            (row.phase, row.ready_after) = (phase, ready_after);
            return;
        }
        let on_since = Instant::now().checked_sub(after).unwrap_or_else(Instant::now);
        self.nodes.push(Row { name, phase, on_since, ready_after });
    }

    fn lines(&self) -> Vec<String> {
        let now =
            self.now.iter().map(|(what, since)| format!("{what} ... {:.0} s", since.elapsed().as_secs_f64()));
        self.nodes.iter().map(Row::line).chain(now).collect()
    }
}

impl Row {
    fn line(&self) -> String {
        let seconds = self.ready_after.unwrap_or_else(|| self.on_since.elapsed()).as_secs_f64();
        format!("  {:<20} {:<28} {seconds:>6.1} s", self.name, words(&self.phase))
    }
}

fn words(phase: &Phase) -> String {
    match phase {
        Phase::Booting => "booting".to_owned(),
        Phase::FirstBoot(step) => format!("first boot: {step}"),
        Phase::Ready => "ready".to_owned(),
        Phase::Failing(steps) => format!("FAILING: {steps}"),
    }
}

/// An event as lines of a log.
fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Note(note) => vec![format!("note: {note}")],
        Event::Root(step) => vec![format!("making the Debian 13 root (once): {step}")],
        Event::Step(step) => vec![format!("{step} ...")],
        Event::Node { name, phase, after } => {
            vec![format!("{name}: {}, after {:.1} s", words(phase), after.as_secs_f64())]
        }
        Event::Ready { after } => {
            vec![format!("the fleet serves, {:.1} s after the start", after.as_secs_f64())]
        }
        Event::Began { scenario } => vec![format!("scenario {scenario} ...")],
        Event::Ended { scenario, verdict, took } => {
            let mut lines =
                vec![format!("scenario {scenario}: {}, {:.1} s", word(verdict), took.as_secs_f64())];
            lines.extend(verdict.notes.iter().map(|note| format!("  {note}")));
            lines
        }
        Event::Kept => vec![format!(
            "kept: `meshboot rehearse shell NODE` enters a node (`visitor`, `router` and others too), Ctrl-C ends it"
        )],
        Event::TakingDown => vec!["taking everything down ...".to_owned()],
    }
}

/// How a scenario ended, in a word.
pub(super) fn word(verdict: &Verdict) -> &'static str {
    match verdict.result {
        Judgement::Passed => "passed",
        Judgement::Failed => "FAILED",
        Judgement::Skipped => "skipped",
    }
}
