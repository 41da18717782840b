//! Who is told that an account needs a human: the operator as a process, the simulator as the app's webhook.

mod kills;
mod schedule;
mod trouble;

use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::{NotificationStatus, SpotifyAccount, SpotifyAccountStatus, SpotifyApp};
use scrobble_operator::domain::digest::{hexadecimal, message_authentication_code};
use scrobble_simulator::api::{Delivery, NewAccount};
use serde_json::{Value, json};

use crate::world::{CLIENT_ID, DEADLINE, World};

const KEY: &str = "notification-signing-key";

impl World {
    /// The app `main` tells the webhook `notices`, signed.
    pub async fn notified(&self) {
        self.secret("hooks", "client", &[("hmac", KEY)]).await;
        self.notifies("notices").await;
    }

    async fn notifies(&self, webhook: &str) {
        let notifications =
            json!({"url": self.script.webhook_url(webhook), "signingKeyRef": {"name": "hooks", "key": "hmac"}});
        self.patch::<SpotifyApp>("main", json!({"spec": {"notifications": notifications}})).await;
    }

    /// An account that reads every `interval` and delivers to a webhook.
    async fn listener_with_its_hook(&self, name: &str, interval: &str) {
        self.listener_as(NewAccount::new(name, CLIENT_ID)).await;
        self.account_with_hook(name, interval).await;
    }

    async fn account_with_hook(&self, name: &str, interval: &str) {
        if self.api::<scrobble_operator::api::v1alpha1::ScrobbleTarget>().get_opt("hook").await.unwrap().is_none() {
            self.webhook().await;
        }
        let mut spec = self.spec(name, interval);
        spec["targets"].as_array_mut().unwrap().remove(0);
        self.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }

    /// The same with a token that Spotify does not accept.
    async fn revoked_account(&self, name: &str) {
        self.listener_as(NewAccount::new(name, CLIENT_ID)).await;
        self.script.revoke(name).await.unwrap();
        self.account_with_hook(name, "1s").await;
    }

    /// Asks for a pass and waits for what came of it.
    async fn visited_again(&self, name: &str, token: &str) -> SpotifyAccountStatus {
        self.request(name, token).await;
        let handled = |status: &SpotifyAccountStatus| status.last_handled_reconcile_at.as_deref() == Some(token);
        self.wait(name, &format!("an answer to {token}"), handled).await.status.unwrap()
    }

    /// What the webhook was told about an account, in the order of its numbers.
    async fn notices_about(&self, name: &str) -> Vec<(Delivery, Value)> {
        let deliveries = self.script.deliveries("notices").await.unwrap();
        let parsed = deliveries.into_iter().map(|delivery| {
            let body: Value = serde_json::from_str(&delivery.body).unwrap();
            (delivery, body)
        });
        let mut told: Vec<(Delivery, Value)> = parsed.filter(|(_, body)| body["account"]["name"] == name).collect();
        told.sort_by_key(|(delivery, _)| delivery.first_seq);
        told
    }

    /// Waits until the webhook was told so often about an account.
    async fn wait_notices_about(&self, name: &str, count: usize) -> Vec<(Delivery, Value)> {
        wait_until(&format!("{count} notices about {name}"), DEADLINE, async || {
            let told = self.notices_about(name).await;
            if told.len() == count { Ok(told) } else { Err(format!("{told:?}")) }
        })
        .await
        .unwrap()
    }

    /// The command that signs a listener in.
    fn connect_command(&self, name: &str) -> String {
        format!("scrobble-operator connect --namespace {} --account {name}", self.namespace)
    }
}

/// How many notices a status counts.
fn counted(status: &SpotifyAccountStatus) -> i32 {
    status.notifications.as_ref().map_or(0, |known: &NotificationStatus| known.auth_notification_count)
}

/// Whether the signature of a notice is that of its key.
fn is_signed(delivery: &Delivery) -> bool {
    let message = format!("{}.{}", delivery.headers["scrobble-operator-timestamp"], delivery.body);
    let code = hexadecimal(&message_authentication_code(KEY.as_bytes(), message.as_bytes()));
    delivery.headers["scrobble-operator-signature"] == format!("v1={code}")
}
