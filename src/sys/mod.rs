//! What touches the machine: subprocesses, atomic files, the printer.
