//! What the token Secret becomes after a sign-in.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use super::refusal::Refusal;
use crate::api::secret::{SecretUse, USE_LABEL};
use crate::domain::name::ObjectName;
use crate::domain::sign_in::SCOPE;
use crate::domain::token::{Flow, Grant, RefreshToken};
use crate::domain::token_secret::{TokenSecret, key};

/// A new authorization, as it is stored.
///
/// The access token that came along is not part of it. So the operator exchanges the refresh token as soon as it sees it,
/// and from then on knows it as the newest one, whatever is put back into the Secret.
#[derive(Clone, Debug)]
pub struct Authorization {
    refresh_token: RefreshToken,
    scope: String,
    flow: Flow,
    authorized_at: Timestamp,
}

impl Authorization {
    /// The authorization that a code was exchanged for. The listener gave it at `authorized_at`.
    ///
    /// # Errors
    /// There is no refresh token, or not the scope, or the operator could not use what there is.
    pub fn new(grant: Grant, flow: Flow, authorized_at: Timestamp) -> Result<Self, Refusal> {
        let refresh_token = grant.refresh_token.ok_or(Refusal::NoRefreshToken)?;
        // RFC 6749 section 5.1: an answer without a scope grants the one that was asked for.
        let scope = grant.scope.filter(|scope| !scope.trim().is_empty()).unwrap_or_else(|| SCOPE.to_owned());
        if !scope.split_ascii_whitespace().any(|granted| granted == SCOPE) {
            return Err(Refusal::ScopeMissing);
        }
        let authorization = Self { refresh_token, scope, flow, authorized_at };
        TokenSecret::read(&authorization.data(), "").map_err(Refusal::Unusable)?;
        Ok(authorization)
    }

    /// From when on Spotify may end it: the earliest reading of six months.
    pub fn earliest_end(&self) -> Timestamp {
        self.authorized_at.saturating_add(crate::plan::settle::AUTHORIZATION_LIFE).unwrap_or(Timestamp::MAX)
    }

    fn keys(&self) -> BTreeMap<&'static str, Vec<u8>> {
        BTreeMap::from([
            (key::REFRESH_TOKEN, self.refresh_token.expose().as_bytes().to_vec()),
            (key::SCOPE, self.scope.clone().into_bytes()),
            // To the millisecond: the same text as before would be taken for what is left over from before.
            (key::AUTHORIZED_AT, format!("{:.3}", self.authorized_at).into_bytes()),
            (key::FLOW, self.flow.as_str().as_bytes().to_vec()),
        ])
    }

    /// The data of a token Secret that holds nothing else.
    pub fn data(&self) -> BTreeMap<String, ByteString> {
        self.keys().into_iter().map(|(key, value)| (key.to_owned(), ByteString(value))).collect()
    }

    /// What changes in a token Secret that exists: keys with their new values, or none where a key goes. An access token
    /// is the previous authorization's. The operator's own keys stay: by its mark it sees that this is a new token, and
    /// which one it follows on, and a claim ends with its exchange.
    pub fn change(&self) -> BTreeMap<&'static str, Option<Vec<u8>>> {
        let gone = [(key::ACCESS_TOKEN, None), (key::EXPIRES_AT, None)];
        self.keys().into_iter().map(|(key, value)| (key, Some(value))).chain(gone).collect()
    }

    /// The token Secret.
    pub fn secret(&self, name: &ObjectName) -> Secret {
        Secret { data: Some(self.data()), ..without_token(name) }
    }

    /// The token Secret as YAML, to be applied or sealed by somebody else. Every value is quoted: names may be `no` or
    /// `1e3`, which kubectl takes for something else than text.
    pub fn manifest(&self, name: &ObjectName) -> String {
        let ObjectName { namespace, name } = name;
        let head = format!(
            "apiVersion: \"v1\"\nkind: \"Secret\"\nmetadata:\n  name: \"{name}\"\n  namespace: \"{namespace}\"\n  labels:\n    {USE_LABEL}: \"{}\"\ntype: \"Opaque\"\ndata:\n",
            SecretUse::Token.as_str()
        );
        let data = self.keys().into_iter().map(|(key, value)| format!("  {key}: \"{}\"\n", STANDARD.encode(value)));
        std::iter::once(head).chain(data).collect()
    }
}

/// A token Secret without a token.
pub fn without_token(name: &ObjectName) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.name.clone()),
            namespace: Some(name.namespace.clone()),
            labels: Some(BTreeMap::from([(USE_LABEL.to_owned(), SecretUse::Token.as_str().to_owned())])),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::token::AccessToken;
    use crate::domain::token_secret::ContentProblem;

    const UID: &str = "uid";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn grant() -> Grant {
        Grant {
            access_token: AccessToken::new("access-hunter".into()),
            expires_in: SignedDuration::from_secs(3600),
            refresh_token: Some(RefreshToken::new("refresh-hunter".into())),
            scope: Some(SCOPE.to_owned()),
        }
    }

    fn authorization(grant: Grant) -> Result<Authorization, Refusal> {
        Authorization::new(grant, Flow::Pkce, time("2026-11-23T10:00:00.9Z"))
    }

    fn changed(before: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
        let before = before.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let mut data: BTreeMap<String, ByteString> = before.collect();
        for (key, value) in authorization(grant()).unwrap().change() {
            match value {
                Some(value) => data.insert(key.to_owned(), ByteString(value)),
                None => data.remove(key),
            };
        }
        data
    }

    #[test]
    fn the_operator_reads_a_new_authorization_as_it_was_given() {
        let secret = TokenSecret::read(&authorization(grant()).unwrap().data(), UID).unwrap();
        assert_eq!(secret.refresh_token.expose(), "refresh-hunter");
        assert_eq!(secret.authorized_at, Some(time("2026-11-23T10:00:00.9Z")));
        assert_eq!(secret.flow, Some(Flow::Pkce));
        assert_eq!(secret.scope.as_deref(), Some(SCOPE));
        assert_eq!(secret.access, None);
    }

    #[test]
    fn of_a_previous_authorization_nothing_is_taken_for_the_new_ones() {
        let mark = r#"{"number":3,"authorization":"a","token":"b","authorizedAt":"2026-05-01T00:00:00Z"}"#;
        for marked in [true, false] {
            let mut before = vec![
                ("refresh-token", "old"),
                ("access-token", "old-access"),
                ("expires-at", "not a time"),
                ("authorized-at", "2026-05-01T00:00:00Z"),
                ("flow", "confidential"),
                ("scope", "user-read-email"),
                ("note", "kept"),
                (key::CLAIM, "{}"),
            ];
            before.extend(marked.then_some((key::LINEAGE, mark)));
            let data = changed(&before);
            let read = TokenSecret::read(&data, UID).unwrap();
            assert_eq!(read.refresh_token.expose(), "refresh-hunter");
            assert_eq!(read.access, None);
            assert_eq!(read.authorized_at, Some(time("2026-11-23T10:00:00.9Z")));
            assert_eq!(read.flow, Some(Flow::Pkce));
            assert_eq!(read.left_over.is_some(), marked, "the operator sees what it follows on");
            assert_eq!(data["note"].0, b"kept");
            assert!(data.contains_key(key::CLAIM));
        }
    }

    #[test]
    fn the_manifest_is_the_secret_with_everything_quoted() {
        for name in [ObjectName::new("music", "alice-spotify"), ObjectName::new("no", "1e3")] {
            let authorization = authorization(grant()).unwrap();
            let secret = authorization.secret(&name);
            let data = secret.data.as_ref().unwrap();
            let keys: Vec<&str> = data.keys().map(String::as_str).collect();
            assert_eq!(keys, ["authorized-at", "flow", "refresh-token", "scope"]);
            assert_eq!(secret.metadata.labels.as_ref().unwrap()[USE_LABEL], "token");
            let manifest = authorization.manifest(&name);
            assert_eq!(serde_yaml::from_str::<Secret>(&manifest).unwrap(), secret);
            for line in manifest.lines().filter(|line| !line.ends_with(':')) {
                assert!(line.ends_with('"') && line.contains(": \""), "{line}");
            }
        }
    }

    #[test]
    fn what_the_operator_could_not_use_is_refused() {
        let refused = |grant| authorization(grant).map(|_| ()).unwrap_err();
        assert_eq!(refused(Grant { refresh_token: None, ..grant() }), Refusal::NoRefreshToken);
        let scope = |scope: &str| Grant { scope: Some(scope.to_owned()), ..grant() };
        assert_eq!(refused(scope("user-read-email")), Refusal::ScopeMissing);
        assert_eq!(refused(scope("user-read-recently-played-not")), Refusal::ScopeMissing);
        for odd in ["to\u{1}ken", "t\u{f6}ken", " "] {
            let grant = Grant { refresh_token: Some(RefreshToken::new(odd.to_owned())), ..grant() };
            assert!(matches!(refused(grant), Refusal::Unusable(ContentProblem::Invalid { .. })), "{odd:?}");
        }
    }

    #[test]
    fn an_answer_without_a_scope_grants_the_one_that_was_asked_for() {
        for scope in [None, Some(String::new()), Some(format!("a {SCOPE} b"))] {
            let expected = scope.clone().filter(|scope| !scope.is_empty()).unwrap_or_else(|| SCOPE.to_owned());
            let data = authorization(Grant { scope, ..grant() }).unwrap().data();
            assert_eq!(data[key::SCOPE].0, expected.into_bytes());
        }
    }

    #[test]
    fn the_end_is_the_earliest_reading_of_six_months() {
        assert_eq!(authorization(grant()).unwrap().earliest_end(), time("2027-05-22T10:00:00.9Z"));
    }

    #[test]
    fn debug_output_holds_no_token() {
        let printed = format!("{:?}", authorization(grant()).unwrap());
        assert!(!printed.contains("hunter"), "{printed}");
    }
}
