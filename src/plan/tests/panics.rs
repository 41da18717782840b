//! What a panic leaves on its account, and when it is tried again.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;
