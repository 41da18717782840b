//! What becomes of plays whose target's URL leads to a private address: nothing was sent, so nothing is unknown.

use url::Url;
use wiremock::ResponseTemplate;

use super::testing::{client, scrobbles, server};
use super::{Service, Submission};
use crate::domain::answer::{Delivery, Trouble};

/// A target of each type at this URL.
fn services(url: &Url) -> [Service; 4] {
    let secret = || "secret".to_owned().into();
    let named = || "music/archive".to_owned();
    [
        Service::LastFm { url: url.clone(), api_key: secret(), shared_secret: secret(), session_key: secret() },
        Service::Maloja { url: url.clone(), api_key: secret() },
        Service::ListenBrainz { url: url.clone(), token: secret() },
        Service::Webhook { url: url.clone(), signing_key: Some(secret()), target: named(), listener: named() },
    ]
}

/// Whether the answer says that nothing was sent; where the type is served, because of the address.
fn assert_unsent(service: &Service, delivery: &Delivery, at: &str) {
    let served = matches!(service, Service::ListenBrainz { .. } | Service::Webhook { .. });
    match delivery {
        Delivery::NotNow { retry_after: None, trouble } if served => {
            assert_eq!(*trouble, Trouble::AddressRefused, "{at}");
        }
        Delivery::NotNow { retry_after: None, trouble } => assert!(trouble.was_not_sent(), "{at}: {trouble}"),
        other => panic!("{at}: {other:?}"),
    }
}

#[tokio::test]
async fn a_private_address_costs_no_play_and_leaves_none_unknown() {
    let silent = server(ResponseTemplate::new(200)).await;
    let strict = client(&[]);
    for (from, to) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("http://", "https://")] {
        let at = silent.uri().replace(from, to);
        for service in services(&at.parse().unwrap()) {
            let submitted = service.submit(&strict, &scrobbles(2)).await;
            let Submission::Each(deliveries) = submitted.submission else { panic!("{at}") };
            assert_eq!((deliveries.len(), submitted.pause), (2, None), "{at}");
            for delivery in &deliveries {
                assert_unsent(&service, delivery, &at);
            }
            if let Some(delivery) = service.check_credentials(&strict).await {
                assert_unsent(&service, &delivery, &at);
            }
            if let Some(shown) = service.shown(&strict, 0, 1).await {
                assert_unsent(&service, &shown.unwrap_err(), &at);
            }
        }
    }
    assert!(silent.received_requests().await.unwrap().is_empty());
}
