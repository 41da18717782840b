//! Where traces are sent: the base URL of an OTLP receiver.

use std::str::FromStr;

use url::Url;

/// The base URL of a receiver of OTLP over HTTP, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it (OpenTelemetry Protocol Exporter,
/// "Endpoint URLs for OTLP/HTTP").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// A URL that traces cannot be sent to. It is not repeated: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No URL.
    #[error("it is no URL; one looks like http://collector:4318")]
    NoUrl,
    /// Another scheme.
    #[error("its scheme is neither http nor https")]
    Scheme,
    /// A user name or password.
    #[error("it holds a user name or password: OTEL_EXPORTER_OTLP_HEADERS is for what the receiver wants to see")]
    UserInfo,
    /// A query or fragment.
    #[error("it has a query or fragment; it is a base URL, to which /v1/traces is added")]
    Rest,
    /// The path that is added is there.
    #[error("it ends with /v1/traces, which is added to it: leave it out")]
    Whole,
}

/// What is added to the base URL for traces.
const PATH: &str = "/v1/traces";

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url: Url = text.parse().map_err(|_| EndpointError::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Rest);
        }
        if url.path().trim_end_matches('/').ends_with(PATH) {
            return Err(EndpointError::Whole);
        }
        Ok(Self(url))
    }
}

impl Endpoint {
    /// Where traces are posted.
    pub(super) fn traces(&self) -> String {
        format!("{}{PATH}", self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_posted_below_the_base_url() {
        for (text, expected) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://example.org/otlp", "https://example.org/otlp/v1/traces"),
            ("https://example.org/otlp/", "https://example.org/otlp/v1/traces"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.traces()).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_and_not_repeated() {
        for (text, expected) in [
            ("collector", EndpointError::NoUrl),
            ("collector:4318", EndpointError::Scheme),
            ("grpc://collector:4317", EndpointError::Scheme),
            ("http://me:hidden@collector:4318", EndpointError::UserInfo),
            ("http://me@collector:4318", EndpointError::UserInfo),
            ("http://:hidden@collector:4318", EndpointError::UserInfo),
            ("http://collector:4318?token=hidden", EndpointError::Rest),
            ("http://collector:4318/v1/traces", EndpointError::Whole),
            ("http://collector:4318/v1/traces/", EndpointError::Whole),
            ("http://", EndpointError::NoUrl),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }
}
