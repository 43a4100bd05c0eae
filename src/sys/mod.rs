//! What touches the machine: subprocesses, atomic files, the printer.

pub mod atomic;
pub mod printer;
pub mod staging;
pub mod subprocess;
pub mod unchanged;
