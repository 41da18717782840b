//! What earlier versions of the operator wrote, byte for byte: a version that cannot read it would lose plays.

use super::*;

/// What version 1 tells of [`small`].
const TEXT: &str = concat!(
    r#"{"n":42,"a":["010203040506","a1b2c3d4e5f6"],"e":[{"n":7,"p":{"m":1795428000381,"#,
    r#""u":"spotify:track:4uLU6hMCjMI75M1A2tKUQC","t":"Karmacoma","a":["Massive Attack","Tricky"],"b":"Protection","#,
    r#""c":["Massive Attack"],"d":316000,"n":3,"i":"GBAAA9400001","k":"4uLU6hMCjMI75M1A2tKUQC"},"#,
    r#""t":[{"a":0},{"a":1,"q":"the receiver answered 422"}]},{"n":41,"p":{"m":1795428316000,"#,
    r#""u":"spotify:local:Me::\"Démo\":120","t":"\"Démo\"","a":["Me"]},"t":[{"a":1,"f":3,"w":true}]}]}"#,
);

/// The same as it is stored, packed by another program than ours.
const VERSION_1: &str = concat!(
    "534f4a31",
    "789c7590416e83301444af82feda0bdb1848bca3a9545529522b35ab8685638c42093835a651843850cfd18bf513a551a4a62ba461c6f3fe",
    "0cd082149c8002f90694514e432a684463408d6db80e0b61a232869c8041cf300512027b9003342059328f049f514ac31923d083846e6f7d",
    "551ea5774ad752f44fab789b2ddeb3c724ca58cafd72f5b2c0d73d5a97ca354adb46c19920535d577d9a20f51ec3a8beba4ad7c7a97d83fe",
    "6767bdd1beb22dfed23702e82b40862c462032a186042a0c3edca5693a17a85286d11aa57fc0c61319de893c7424a72f1ef68109bf358133",
    "da609f0b54db1d8c3345203887319f9cd394eccf34bf30d7d3ecac563b991929d770fffdd5d835da393daf72d12eab18c8afb9b0a43c9d76",
    "005cb937589f8f3fa9138163",
);

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let pairs = hexadecimal.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Every field of the format, each with something in it and, where that may be, with nothing.
fn small() -> Journal {
    let [first, second] = [[1, 2, 3, 4, 5, 6], [0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6]];
    let track = Play {
        played_at: "2026-11-23T10:00:00.381Z".parse().unwrap(),
        uri: "spotify:track:4uLU6hMCjMI75M1A2tKUQC".to_owned(),
        title: "Karmacoma".to_owned(),
        artists: vec!["Massive Attack".to_owned(), "Tricky".to_owned()],
        album: Some("Protection".to_owned()),
        album_artists: vec!["Massive Attack".to_owned()],
        duration_ms: Some(316_000),
        track_number: Some(3),
        isrc: Some("GBAAA9400001".to_owned()),
        track_id: Some("4uLU6hMCjMI75M1A2tKUQC".to_owned()),
    };
    let file = Play {
        played_at: "2026-11-23T10:05:16Z".parse().unwrap(),
        uri: "spotify:local:Me::\"Démo\":120".to_owned(),
        title: "\"Démo\"".to_owned(),
        artists: vec!["Me".to_owned()],
        album: None,
        album_artists: Vec::new(),
        duration_ms: None,
        track_number: None,
        isrc: None,
        track_id: None,
    };
    let refused = Standing::Quarantined { reason: "the receiver answered 422".to_owned() };
    let parked = Standing::Waiting(Wait { failures: 3, parked: true });
    let entries = vec![
        Entry::new(7, Arc::new(track), vec![(first, Standing::WAITING), (second, refused)]),
        Entry::new(41, Arc::new(file), vec![(second, parked)]),
    ];
    Journal { next: 42, entries }
}

#[test]
fn version_1_is_read() {
    let journal = decode(&bytes(VERSION_1)).unwrap();
    assert_eq!(journal, small());
    assert_eq!(decode(&encode(&journal).unwrap()), Ok(journal));
}

#[test]
fn version_1_is_written_as_it_was() {
    let written = encode(&small()).unwrap();
    let mut text = String::new();
    ZlibDecoder::new(written.strip_prefix(b"SOJ1").unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!(text, TEXT, "an operator that is put back to an earlier version reads it");
}
