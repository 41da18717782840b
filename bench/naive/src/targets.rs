//! Delivery to the two types of target that the load has.

use scrobble_operator::api::v1alpha1::{ScrobbleTargetSpec, TargetType};
use serde_json::{Value, json};

use crate::reconcile::Error;
use crate::spotify::Play;

/// Delivers plays, oldest first.
pub async fn deliver(
    http: &reqwest::Client,
    target: &ScrobbleTargetSpec,
    token: Option<&str>,
    plays: &[Play],
) -> Result<(), Error> {
    let url = target.url.as_deref().ok_or(Error::Missing("the target has no URL"))?;
    match target.target_type {
        TargetType::ListenBrainz => {
            let token = token.ok_or(Error::Missing("the account has no token for the target"))?;
            let listens: Vec<Value> = plays.iter().map(listen).collect();
            let kind = if plays.len() == 1 { "single" } else { "import" };
            let request = http
                .post(format!("{}/1/submit-listens", url.trim_end_matches('/')))
                .header("authorization", format!("Token {token}"))
                .json(&json!({"listen_type": kind, "payload": listens}));
            request.send().await?.error_for_status()?;
        }
        TargetType::Webhook => {
            for play in plays {
                let body = json!({
                    "playedAt": play.heard.to_string(),
                    "track": {
                        "uri": play.uri,
                        "title": play.title,
                        "artists": play.artists,
                        "album": play.album,
                        "durationMs": play.duration_ms,
                    },
                });
                http.post(url).json(&body).send().await?.error_for_status()?;
            }
        }
        TargetType::LastFm | TargetType::Maloja => return Err(Error::Missing("targets of this type are not served")),
    }
    Ok(())
}

fn listen(play: &Play) -> Value {
    json!({
        "listened_at": play.heard.as_second(),
        "track_metadata": {
            "artist_name": play.artists.join(", "),
            "track_name": play.title,
            "release_name": play.album,
            "additional_info": {"duration_ms": play.duration_ms, "origin_url": play.uri},
        },
    })
}
