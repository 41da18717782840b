//! The ledger as text for `status.ledger`: versioned, compact, opaque to everybody else.
//!
//! In base64: the version; attachments (count; id, time, initial), the newest forgotten time (whether there is one;
//! time), the counted losses (count; short hashes), rows (count; time as a difference to the row before, two short hashes,
//! two bits a mark); since version 2 also the settled journal entries (count; id, runs: count; first as a difference to
//! the end of the run before, length) and the chosen seconds (count; target's position, short hash, time, second as a
//! difference to it). Whole numbers are little-endian base-128 (LEB128), signed ones zigzag first. Hashes are big-endian.
//! A byte holds four marks, the first in its lowest bits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::ledger::{Attachment, Ledger, Mark, PLACED_CAPACITY, Placed, Row, SettledEntries};

const VERSION: u8 = 2;
/// The version before: without settled journal entries.
const VERSION_1: u8 = 1;
/// What an API server would have to be fooled to hold: larger texts are not looked at.
const MAXIMUM_TEXT_BYTES: usize = 8 * 1024;
const MAXIMUM_ATTACHMENTS: u64 = 64;
const MAXIMUM_ROWS: u64 = 1024;
/// More runs than this are not kept: a crash right now would then count a delivery twice, and nothing else.
const MAXIMUM_RUNS: usize = 24;

/// The text in `status.ledger` is not a ledger that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("status.ledger cannot be read by this version")]
pub struct UnreadableLedger;

/// Writes a ledger.
pub fn encode(ledger: &Ledger) -> String {
    let mut bytes = vec![VERSION];
    unsigned(&mut bytes, ledger.attachments.len() as u64);
    for attachment in &ledger.attachments {
        bytes.extend_from_slice(&attachment.id);
        signed(&mut bytes, attachment.attached_ms);
        bytes.push(u8::from(attachment.initial));
    }
    match ledger.forgotten_ms {
        Some(forgotten) => {
            bytes.push(1);
            signed(&mut bytes, forgotten);
        }
        None => bytes.push(0),
    }
    unsigned(&mut bytes, ledger.counted_lost.len() as u64);
    for hash in &ledger.counted_lost {
        bytes.extend_from_slice(&hash.to_be_bytes());
    }
    unsigned(&mut bytes, ledger.rows.len() as u64);
    let mut before = 0;
    for row in &ledger.rows {
        signed(&mut bytes, row.played_ms - before);
        before = row.played_ms;
        bytes.extend_from_slice(&row.uri.to_be_bytes());
        bytes.extend_from_slice(&row.title.to_be_bytes());
        for marks in row.marks.chunks(4) {
            bytes.push(marks.iter().enumerate().fold(0, |byte, (index, mark)| byte | (bits(*mark) << (index * 2))));
        }
    }
    unsigned(&mut bytes, ledger.settled.len() as u64);
    let mut room = MAXIMUM_RUNS;
    for settled in &ledger.settled {
        bytes.extend_from_slice(&settled.attachment);
        let kept = &settled.runs[..settled.runs.len().min(room)];
        room -= kept.len();
        unsigned(&mut bytes, kept.len() as u64);
        let mut end = 0;
        for (first, count) in kept {
            unsigned(&mut bytes, first - end);
            unsigned(&mut bytes, *count);
            end = first + count;
        }
    }
    let position = |id: &[u8; 6]| ledger.attachments.iter().position(|attachment| attachment.id == *id);
    let placed: Vec<(usize, &Placed)> =
        ledger.placed.iter().filter_map(|placed| Some((position(&placed.attachment)?, placed))).collect();
    unsigned(&mut bytes, placed.len() as u64);
    for (position, placed) in placed {
        unsigned(&mut bytes, position as u64);
        bytes.extend_from_slice(&placed.title.to_be_bytes());
        signed(&mut bytes, placed.played_ms);
        signed(&mut bytes, placed.second - placed.played_ms.div_euclid(1000));
    }
    STANDARD_NO_PAD.encode(bytes)
}

/// Reads a ledger.
///
/// # Errors
/// The text was not written by [`encode`] of a version that this one knows.
pub fn decode(text: &str) -> Result<Ledger, UnreadableLedger> {
    if text.len() > MAXIMUM_TEXT_BYTES {
        return Err(UnreadableLedger);
    }
    let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| UnreadableLedger)?;
    let mut reader = Reader { bytes: &bytes };
    read(&mut reader).filter(|_| reader.bytes.is_empty()).ok_or(UnreadableLedger)
}

fn read(reader: &mut Reader<'_>) -> Option<Ledger> {
    let version = reader.byte().filter(|version| matches!(*version, VERSION_1 | VERSION))?;
    let mut ledger = Ledger::default();
    let attachments = reader.unsigned().filter(|count| *count <= MAXIMUM_ATTACHMENTS)?;
    for _ in 0..attachments {
        let id = reader.take::<6>()?;
        let attached_ms = reader.signed()?;
        ledger.attachments.push(Attachment { id, attached_ms, initial: reader.byte()? == 1 });
    }
    if reader.byte()? == 1 {
        ledger.forgotten_ms = Some(reader.signed()?);
    }
    let lost = reader.unsigned().filter(|count| *count <= MAXIMUM_ROWS)?;
    for _ in 0..lost {
        ledger.counted_lost.push(u32::from_be_bytes(reader.take()?));
    }
    let rows = reader.unsigned().filter(|count| *count <= MAXIMUM_ROWS)?;
    let mut before: i64 = 0;
    for _ in 0..rows {
        before = before.checked_add(reader.signed()?)?;
        let uri = u32::from_be_bytes(reader.take()?);
        let title = u32::from_be_bytes(reader.take()?);
        let mut marks = Vec::with_capacity(ledger.attachments.len());
        while marks.len() < ledger.attachments.len() {
            let byte = reader.byte()?;
            for index in 0..4 {
                if marks.len() < ledger.attachments.len() {
                    marks.push(mark(byte >> (index * 2)));
                }
            }
        }
        ledger.rows.push(Row { played_ms: before, uri, title, marks });
    }
    if version == VERSION {
        read_settled(reader, &mut ledger)?;
    }
    Some(ledger)
}

fn read_settled(reader: &mut Reader<'_>, ledger: &mut Ledger) -> Option<()> {
    let targets = reader.unsigned().filter(|count| *count <= MAXIMUM_ATTACHMENTS)?;
    for _ in 0..targets {
        let attachment = reader.take::<6>()?;
        let count = reader.unsigned().filter(|count| *count <= MAXIMUM_RUNS as u64)?;
        let mut runs = Vec::new();
        let mut end: u64 = 0;
        for _ in 0..count {
            let first = end.checked_add(reader.unsigned()?)?;
            // A journal holds no more entries than this.
            let length = reader.unsigned().filter(|length| *length <= 65_536)?;
            end = first.checked_add(length)?;
            runs.push((first, length));
        }
        ledger.settled.push(SettledEntries { attachment, runs });
    }
    let placed = reader.unsigned().filter(|count| *count <= PLACED_CAPACITY as u64)?;
    for _ in 0..placed {
        let position = usize::try_from(reader.unsigned()?).ok()?;
        let attachment = ledger.attachments.get(position)?.id;
        let title = u32::from_be_bytes(reader.take()?);
        let played_ms = reader.signed()?;
        let second = played_ms.div_euclid(1000).checked_add(reader.signed()?)?;
        ledger.placed.push(Placed { attachment, title, played_ms, second });
    }
    Some(())
}

fn bits(mark: Mark) -> u8 {
    match mark {
        Mark::Open => 0,
        Mark::Delivered => 1,
        Mark::Quarantined => 2,
        Mark::Unkept => 3,
    }
}

fn mark(bits: u8) -> Mark {
    match bits & 0b11 {
        0 => Mark::Open,
        1 => Mark::Delivered,
        2 => Mark::Quarantined,
        _ => Mark::Unkept,
    }
}

fn unsigned(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or_default()
}

fn signed(bytes: &mut Vec<u8>, value: i64) {
    unsigned(bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn take<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let (head, rest) = self.bytes.split_first_chunk::<COUNT>()?;
        self.bytes = rest;
        Some(*head)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

#[cfg(test)]
mod versions;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::config;

    fn ledgers() -> impl Strategy<Value = Ledger> {
        (0_usize..17).prop_flat_map(|attachments| {
            let attachment = (any::<[u8; 6]>(), any::<i64>(), any::<bool>())
                .prop_map(|(id, attached_ms, initial)| Attachment { id, attached_ms, initial });
            let marks = prop::collection::vec(
                prop_oneof![Just(Mark::Open), Just(Mark::Delivered), Just(Mark::Quarantined), Just(Mark::Unkept)],
                attachments,
            );
            let row = (0_i64..4_102_444_800_000, any::<u32>(), any::<u32>(), marks)
                .prop_map(|(played_ms, uri, title, marks)| Row { played_ms, uri, title, marks });
            (
                prop::collection::vec(attachment, attachments),
                prop::collection::vec(row, 0..100),
                prop::option::of(0_i64..4_102_444_800_000),
                prop::collection::vec(any::<u32>(), 0..50),
                prop::collection::vec((any::<[u8; 6]>(), prop::collection::btree_set(0_u64..40, 1..8)), 0..3),
            )
                .prop_map(|(attachments, rows, forgotten_ms, counted_lost, delivered)| {
                    let mut ledger = Ledger {
                        attachments,
                        rows,
                        forgotten_ms,
                        counted_lost,
                        settled: Vec::new(),
                        placed: Vec::new(),
                    };
                    for (attachment, number) in
                        delivered.iter().flat_map(|(id, numbers)| numbers.iter().map(move |number| (*id, *number)))
                    {
                        ledger.settle(attachment, number);
                    }
                    let ids: Vec<[u8; 6]> = ledger.attachments.iter().map(|attachment| attachment.id).collect();
                    for (number, attachment) in (0_i64..).zip(ids) {
                        let played_ms = 1_795_430_000_000 + number;
                        ledger.place(Placed { attachment, title: 7, played_ms, second: 1_795_430_000 + number % 60 });
                    }
                    ledger
                })
        })
    }

    proptest! {
        #![proptest_config(config(256))]

        #[test]
        fn what_is_written_is_read_back(ledger in ledgers()) {
            prop_assert_eq!(decode(&encode(&ledger)), Ok(ledger));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[A-Za-z0-9+/]{0,200}") {
            let _ = decode(&text);
        }
    }

    #[test]
    fn a_full_ledger_of_two_targets_has_about_two_kibibytes_and_one_of_sixteen_at_most_three() {
        for (targets, bound) in [(2_u8, 2_300), (16, 3_072)] {
            let mut ledger = Ledger::default();
            for target in 0..targets {
                ledger.attach(Attachment { id: [target; 6], attached_ms: 1_795_430_000_000, initial: true });
            }
            for number in 0..100_i64 {
                let hash = 0x9e37_79b9_u32.wrapping_mul(u32::try_from(number).unwrap() + 1);
                ledger.insert(super::super::ledger::Identity {
                    played_ms: 1_795_430_000_000 + number * 214_337,
                    uri: hash,
                    title: !hash,
                });
            }
            let length = encode(&ledger).len();
            assert!(length <= bound, "{targets} targets: {length} bytes");
        }
    }

    #[test]
    fn other_versions_and_torn_texts_are_refused() {
        let text = encode(&Ledger::default());
        assert!(decode(&text[..text.len() - 1]).is_err());
        assert!(decode("").is_err());
        assert!(decode(&STANDARD_NO_PAD.encode([3, 0, 0, 0, 0, 0])).is_err());
        assert_eq!(decode(&STANDARD_NO_PAD.encode([1, 0, 0, 0, 0])), Ok(Ledger::default()), "the version before");
        assert!(decode(&STANDARD_NO_PAD.encode([1, 0, 0, 0, 0, 0])).is_err(), "trailing bytes");
    }
}
