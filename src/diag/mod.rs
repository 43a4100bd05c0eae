//! Findings, source snippets, hints and secrets.
