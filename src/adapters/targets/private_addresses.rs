//! What becomes of plays whose target's URL leads to a private address: nothing was sent, so nothing is unknown.

use wiremock::ResponseTemplate;

use super::Submission;
use super::testing::{client, scrobbles, server, services};
use crate::domain::answer::{Delivery, Trouble};

/// Whether the answer says that nothing was sent, because of the address.
fn assert_unsent(delivery: &Delivery, at: &str) {
    assert_eq!(*delivery, Delivery::NotNow { retry_after: None, trouble: Trouble::AddressRefused }, "{at}");
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
                assert_unsent(delivery, &at);
            }
            if let Some(delivery) = service.check_credentials(&strict).await {
                assert_unsent(&delivery, &at);
            }
            if let Some(shown) = service.shown(&strict, 0, 1).await {
                assert_unsent(&shown.unwrap_err(), &at);
            }
        }
    }
    assert!(silent.received_requests().await.unwrap().is_empty());
}
