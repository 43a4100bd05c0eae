//! Many named checks on one scene that is dear to set up: all are looked at, and the failed ones are shown together.
//!
//! Not here: tests that change the scene for those after them; they end at the first failure.

use std::fmt::Debug;

/// The failed checks so far; [`Checks::finish`] judges.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    count: usize,
    failed: Vec<String>,
}

impl Checks {
    /// The check `name` holds when `good`; `seen` is shown when it does not.
    pub(crate) fn that(&mut self, name: &str, good: bool, seen: impl Debug) {
        self.count += 1;
        if !good {
            self.failed.push(format!("{name}: {seen:#?}"));
        }
    }

    /// The check `name` holds when both are equal.
    pub(crate) fn equal<T: PartialEq<U> + Debug, U: Debug>(&mut self, name: &str, seen: T, wanted: U) {
        let good = seen == wanted;
        self.that(name, good, (seen, "wanted:", wanted));
    }

    /// Panics with every failed check, and when there was none at all.
    #[track_caller]
    pub(crate) fn finish(self) {
        assert!(self.count > 0, "nothing was checked");
        let Self { count, failed } = self;
        assert!(failed.is_empty(), "{} of {count} checks failed:\n{}", failed.len(), failed.join("\n"));
    }
}
