//! What is read off a token Secret.

use super::*;

const UID: &str = "0b9f3c9e-0000-4000-8000-000000000001";

fn data(entries: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect()
}

fn problem(entries: &[(&str, &str)]) -> ContentProblem {
    TokenSecret::read(&data(entries), UID).map(|_| ()).unwrap_err()
}

#[test]
fn a_refresh_token_alone_is_enough() {
    let secret = TokenSecret::read(&data(&[("refresh-token", "AQAtoken")]), UID).unwrap();
    assert_eq!(secret.refresh_token.expose(), "AQAtoken");
    assert_eq!(secret.access, None);
    assert_eq!(secret.flow, None);
}

#[test]
fn all_keys_are_read() {
    let secret = TokenSecret::read(
        &data(&[
            ("refresh-token", "r"),
            ("access-token", "a"),
            ("expires-at", "2026-11-23T10:00:00Z"),
            ("authorized-at", "2026-11-01T00:00:00Z"),
            ("scope", "user-read-recently-played"),
            ("flow", "pkce"),
        ]),
        UID,
    )
    .unwrap();
    assert_eq!(secret.access.unwrap().expires_at, "2026-11-23T10:00:00Z".parse().unwrap());
    assert_eq!(secret.authorized_at, Some("2026-11-01T00:00:00Z".parse().unwrap()));
    assert_eq!(secret.flow, Some(Flow::Pkce));
    assert_eq!(secret.scope.as_deref(), Some("user-read-recently-played"));
}

#[test]
fn bad_values_are_named_by_key() {
    let long = "x".repeat(1024 * 1024);
    for (entries, key) in [
        (vec![("refresh-token", "")], "refresh-token"),
        (vec![("refresh-token", "   ")], "refresh-token"),
        (vec![("refresh-token", long.as_str())], "refresh-token"),
        (vec![("refresh-token", "token\n")], "refresh-token"),
        (vec![("refresh-token", "to\u{1}ken")], "refresh-token"),
        (vec![("refresh-token", "tökén")], "refresh-token"),
        (vec![("refresh-token", "r"), ("expires-at", "tomorrow")], "expires-at"),
        (vec![("refresh-token", "r"), ("expires-at", "9999-12-31T23:59:59Z")], "expires-at"),
        (vec![("refresh-token", "r"), ("authorized-at", "1")], "authorized-at"),
        (vec![("refresh-token", "r"), ("flow", "implicit")], "flow"),
        (vec![("refresh-token", "r"), ("access-token", "")], "access-token"),
        (vec![("refresh-token", "r"), ("scope", long.as_str())], "scope"),
    ] {
        match problem(&entries) {
            ContentProblem::Invalid { key: found, problem } => {
                assert_eq!(found, key, "{problem}");
                assert!(!problem.contains(&long), "the value must not be repeated");
            }
            other @ ContentProblem::KeyMissing { .. } => panic!("{entries:?}: {other:?}"),
        }
    }
}

#[test]
fn a_missing_refresh_token_is_named() {
    assert_eq!(problem(&[("access-token", "a")]), ContentProblem::KeyMissing { key: "refresh-token".into() });
}

#[test]
fn keys_of_a_previous_token_are_left_aside_even_when_they_are_broken() {
    let old = TokenDigest::of(UID, &RefreshToken::new("old".into()));
    let mark = format!(r#"{{"number":3,"authorization":"a","token":"{}"}}"#, old.as_str());
    let secret = TokenSecret::read(
        &data(&[("refresh-token", "new"), ("access-token", "stale"), ("expires-at", "garbage"), (key::LINEAGE, &mark)]),
        UID,
    )
    .unwrap();
    assert_eq!(secret.access, None);
    assert_eq!(secret.lineage, None);
    assert_eq!(secret.left_over.unwrap().number, 3);
}

#[test]
fn what_an_account_that_is_gone_left_beside_its_token_is_kept() {
    let token = RefreshToken::new("same".into());
    let before = TokenDigest::of("gone", &token);
    let mark = format!(
        r#"{{"number":3,"authorization":"a","token":"{}","authorizedAt":"2026-05-01T00:00:00Z","account":"gone"}}"#,
        before.as_str()
    );
    let claim = format!(
        r#"{{"holder":"h","id":"i","claimedTime":"2026-11-23T10:00:00Z","deadlineTime":"2026-11-23T10:00:05Z","token":"{}","account":"gone"}}"#,
        before.as_str()
    );
    let secret = |token: &str| {
        let entries = [
            ("refresh-token", token),
            ("access-token", "access"),
            ("expires-at", "2026-11-23T11:00:00Z"),
            ("authorized-at", "2026-05-01T00:00:00Z"),
            (key::LINEAGE, &mark),
            (key::CLAIM, &claim),
        ];
        TokenSecret::read(&data(&entries), UID).unwrap()
    };
    let same = secret("same");
    assert!(same.access.is_some());
    assert!(same.authorized_at.is_some(), "it is the same authorization");
    assert_eq!((same.lineage, same.left_over), (None, None), "the new account begins a lineage of its own");
    assert_eq!(same.claim.unwrap().token, TokenDigest::of(UID, &token).as_str(), "the claim is on this token");

    let other = secret("other");
    assert!(other.access.is_none());
    assert_eq!(other.authorized_at, None, "that was the token's before");
    assert_eq!((other.lineage, other.left_over), (None, None));
    assert_eq!(other.claim.unwrap().token, before.as_str());
}

#[test]
fn authorized_at_given_with_a_new_token_is_that_tokens_own() {
    let old = TokenDigest::of(UID, &RefreshToken::new("old".into()));
    let mark = format!(
        r#"{{"number":3,"authorization":"a","token":"{}","authorizedAt":"2026-05-01T00:00:00Z"}}"#,
        old.as_str()
    );
    let read = |authorized_at: &str| {
        TokenSecret::read(
            &data(&[("refresh-token", "new"), ("authorized-at", authorized_at), (key::LINEAGE, &mark)]),
            UID,
        )
        .unwrap()
        .authorized_at
    };
    assert_eq!(read("2026-05-01T00:00:00Z"), None, "left over from the old token");
    assert_eq!(read("2026-11-01T00:00:00Z"), Some("2026-11-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn unreadable_operator_keys_stop_nobody() {
    let secret =
        TokenSecret::read(&data(&[("refresh-token", "r"), (key::CLAIM, "{"), (key::LINEAGE, "[]")]), UID).unwrap();
    assert_eq!(secret.claim, None);
    assert_eq!(secret.lineage, None);
}

#[test]
fn debug_output_holds_no_token() {
    let secret = TokenSecret::read(&data(&[("refresh-token", "hunter2"), ("access-token", "hunter3")]), UID).unwrap();
    let printed = format!("{secret:?}");
    assert!(!printed.contains("hunter"), "{printed}");
}
