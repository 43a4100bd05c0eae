//! What the integration tests share: real programs, real roots, real networks.
//!
//! Not here: facts about meshboot's output; those stand in the test that checks them. To add a room: a file beside
//! this one and a line below. Every test program includes this module whole and uses a part of it.
#![allow(dead_code, reason = "each test program uses a part of the shared code")]

pub(crate) mod builder;
pub(crate) mod built;
pub(crate) mod checks;
pub(crate) mod client;
pub(crate) mod command;
pub(crate) mod dns;
pub(crate) mod fleets;
pub(crate) mod generate;
pub(crate) mod http2;
pub(crate) mod internet;
pub(crate) mod judge;
pub(crate) mod lab;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod requirement;
pub(crate) mod scan;
pub(crate) mod scratch;
pub(crate) mod seed_device;
pub(crate) mod services;
pub(crate) mod upstream;
pub(crate) mod wires;
