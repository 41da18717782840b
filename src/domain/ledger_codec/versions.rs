//! What earlier versions of the operator wrote, byte for byte: a version that cannot read it would lose or double plays.

use super::*;

/// [`small`] as version 1 has it, in hexadecimal, after the byte of the version.
const SHARED: &str = concat!(
    "05", // attachments: id, time, initial
    "1111111111118084c9fdc06801",
    "2222222222228084c9fdc06801",
    "3333333333338096bdffc06800",
    "4444444444440100",
    "5555555555550000",
    "01f6fccefcc068",     // forgotten: there is one, time
    "02deadbeef00000001", // counted as lost
    "03",                 // rows: time since the row before, URI, title, marks
    "fa89c9fdc068010203040a0b0c0de100",
    "c0c926fffefdfc000000005503",
    "0000000000000000010000",
);

/// What version 2 has of it besides.
const SINCE_VERSION_2: &str = concat!(
    "02", // settled journal entries: id, count of runs, runs
    "111111111111020503c80101",
    "222222222222010029",
    "02", // chosen seconds: position, title, time, second
    "010a0b0c0dfa89c9fdc0680e",
    "0000000001bad3effdc068d704",
);

/// The texts that stood in `status.ledger`.
const VERSION_1_TEXT: &str = concat!(
    "AQURERERERGAhMn9wGgBIiIiIiIigITJ/cBoATMzMzMzM4CWvf/AaABEREREREQBAFVVVVVVVQAAAfb8zvzAaALerb7vAAAAAQP6icn9wGgBAgME",
    "CgsMDeEAwMkm//79/AAAAABVAwAAAAAAAAAAAQAA",
);
const VERSION_2_TEXT: &str = concat!(
    "AgURERERERGAhMn9wGgBIiIiIiIigITJ/cBoATMzMzMzM4CWvf/AaABEREREREQBAFVVVVVVVQAAAfb8zvzAaALerb7vAAAAAQP6icn9wGgBAgME",
    "CgsMDeEAwMkm//79/AAAAABVAwAAAAAAAAAAAQAAAhEREREREQIFA8gBASIiIiIiIgEAKQIBCgsMDfqJyf3AaA4AAAAAAbrT7/3AaNcE",
);

fn text(version: u8, parts: &[&str]) -> String {
    let digits = parts.concat();
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap());
    STANDARD_NO_PAD.encode(std::iter::once(version).chain(bytes).collect::<Vec<u8>>())
}

/// What both versions hold.
fn small() -> Ledger {
    use Mark::{Delivered, Open, Quarantined, Unkept};
    let attachment = |id: u8, attached_ms, initial| Attachment { id: [id; 6], attached_ms, initial };
    let row = |played_ms, uri, title, marks: [Mark; 5]| Row { played_ms, uri, title, marks: marks.to_vec() };
    Ledger {
        attachments: vec![
            attachment(0x11, 1_795_428_000_000, true),
            attachment(0x22, 1_795_428_000_000, true),
            attachment(0x33, 1_795_430_000_000, false),
            attachment(0x44, -1, false),
            attachment(0x55, 0, false),
        ],
        rows: vec![
            row(1_795_428_000_381, 0x0102_0304, 0x0a0b_0c0d, [Delivered, Open, Quarantined, Unkept, Open]),
            row(1_795_428_316_381, 0xfffe_fdfc, 0, [Delivered, Delivered, Delivered, Delivered, Unkept]),
            row(1_795_428_316_381, 0, 1, [Open; 5]),
        ],
        forgotten_ms: Some(1_795_427_000_123),
        counted_lost: vec![0xdead_beef, 1],
        settled: Vec::new(),
        placed: Vec::new(),
    }
}

/// What version 2 holds.
fn complete() -> Ledger {
    let settled = |id: u8, runs: &[(u64, u64)]| SettledEntries { attachment: [id; 6], runs: runs.to_vec() };
    let placed = |id: u8, title, played_ms, second| Placed { attachment: [id; 6], title, played_ms, second };
    Ledger {
        settled: vec![settled(0x11, &[(5, 3), (208, 1)]), settled(0x22, &[(0, 41)])],
        placed: vec![
            placed(0x22, 0x0a0b_0c0d, 1_795_428_000_381, 1_795_428_007),
            placed(0x11, 1, 1_795_428_316_381, 1_795_428_016),
        ],
        ..small()
    }
}

#[test]
fn version_1_is_read_and_written_as_the_newest() {
    assert_eq!(text(1, &[SHARED]), VERSION_1_TEXT);
    let ledger = decode(VERSION_1_TEXT).unwrap();
    assert_eq!(ledger, small());
    assert_eq!(decode(&encode(&ledger)), Ok(ledger));
}

#[test]
fn version_2_is_read_and_written_as_it_was() {
    assert_eq!(text(2, &[SHARED, SINCE_VERSION_2]), VERSION_2_TEXT);
    let ledger = decode(VERSION_2_TEXT).unwrap();
    assert_eq!(ledger, complete());
    assert_eq!(encode(&ledger), VERSION_2_TEXT, "an operator that is put back to an earlier version reads it");
}
