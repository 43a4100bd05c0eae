//! `fleet.yaml`: as written (`raw`), the rules it must keep (`rules`), and valid by type (`model`).

pub mod model;
