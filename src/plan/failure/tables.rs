//! The tables of `docs/reasons.md`.
