//! Free TCP ports.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use crate::error::Error;

/// Below the range that Linux takes the ports of outgoing connections from (32768 and up), so that a server that is stopped
/// finds its port free when it starts again.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// The ports that this process has given out already: a test may be slow to use its own.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of 127.0.0.1 that nobody listens on now, never the same twice in one process. Another process may be faster:
/// who starts a server on it tries again with another port.
pub fn free_port() -> Result<u16, Error> {
    for _ in 0..1000 {
        let port = rand::random_range(RANGE);
        let fresh = match GIVEN.lock() {
            Ok(mut given) => given.get_or_insert_default().insert(port),
            Err(_) => true,
        };
        if fresh && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::Misuse(format!("no free port found on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end)))
}

/// Whether a server's log says that its port was taken by somebody else.
pub fn lost_race(log: &str) -> bool {
    let log = log.to_ascii_lowercase();
    log.contains("address already in use") || log.contains("address in use")
}
