//! docs/listenbrainz.md is held against what is sent and understood.

use serde_json::Value;

use super::*;

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/listenbrainz.md")).unwrap()
}

#[test]
fn the_example_is_what_is_sent() {
    let page = page();
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let sent: Value = serde_json::from_str(&body(&[scrobble(full_play())])).unwrap();
    assert_eq!(example.trim_end(), serde_json::to_string_pretty(&sent).unwrap());
}

/// The row's first cell, the number of plays sent, answers to them, and whether what became of the plays is meant.
type Row = (&'static str, i64, Vec<(u16, &'static str)>, fn(&Submission) -> bool);

#[test]
fn the_table_of_answers_is_true() {
    let page = page();
    let table = page.split("| answer | meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let json = |status: u16| (status, r#"{"error": "later"}"#);
    let html = |status: u16| (status, "<html>");
    let ok = |status: u16| (status, r#"{"status": "ok"}"#);
    let known: [Row; 8] = [
        ("2xx with `{\"status\": \"ok\"}`", 2, vec![ok(200), ok(201), ok(299)], |answer| {
            *answer == Submission::all(2, &Delivery::Accepted)
        }),
        ("2xx with anything else", 2, vec![json(200), html(200), (204, "")], |answer| {
            *answer == Submission::all(2, &unreadable())
        }),
        (
            "400 or 413 to one play",
            1,
            vec![json(400), json(413), html(413)],
            |answer| matches!(answer, Submission::Each(all) if matches!(all[..], [Delivery::Never { .. }])),
        ),
        ("400 or 413 to a batch", 2, vec![json(400), json(413), html(413)], |answer| {
            *answer == Submission::BatchRefused
        }),
        ("401, 403", 2, vec![json(401), json(403)], |answer| {
            *answer == Submission::all(2, &Delivery::CredentialsRefused)
        }),
        ("429", 2, vec![json(429), html(429)], |answer| *answer == Submission::all(2, &not_now(429, None))),
        ("an HTML page with 400, 401 or 403", 2, vec![html(400), html(401), html(403)], is_not_now),
        ("5xx, 3xx, any other", 2, vec![json(500), html(502), json(503), json(302), json(404), json(409)], is_not_now),
    ];
    let rows = table.lines().filter(|line| line.starts_with("| ")).count();
    // The heading's rest is the first line; a lost answer has no status and is the last row.
    assert_eq!(rows, known.len() + 1);
    for (row, plays, answers, is_meant) in known {
        assert!(table.contains(&format!("\n| {row} |")), "{row}");
        for (status, text) in answers {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: http::HeaderMap::new(),
                body: text.as_bytes().to_vec(),
            };
            assert!(is_meant(&submitted(&answer, &scrobbles(plays))), "{row}: {status} {text}");
        }
    }
}

fn is_not_now(submission: &Submission) -> bool {
    matches!(submission, Submission::Each(all) if all.iter().all(|delivery| matches!(delivery, Delivery::NotNow { .. })))
}

#[test]
fn the_limits_are_the_codes() {
    let page = page();
    for number in ["10,240 bytes", "10,240,000 bytes"] {
        assert!(page.contains(number), "{number}");
    }
    assert_eq!((LARGEST_LISTEN_BYTES, LARGEST_REQUEST_BYTES), (10_240, 10_240_000));
    assert!(page.contains(MALOJA_USER));
}
