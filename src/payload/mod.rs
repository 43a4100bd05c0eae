//! A node's file set becomes user-data, seed, bundle and launch sheet.
