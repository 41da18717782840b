//! Which path is which endpoint, who is calling it, and whose logic answers.

use axum::Router;
use axum::extract::Request;
use axum::routing::any;

use crate::api::{Endpoint, Facts};
use crate::call::{Answer, Call, Visit};
use crate::faults::Caller;
use crate::site::Site;
use crate::spotify;
use crate::state::World;
use crate::{digest, lastfm, listenbrainz, webhook};

/// Routes of all simulated services.
pub(crate) fn router(site: &Site) -> Router {
    let route = |endpoint: Endpoint| {
        let site = site.clone();
        any(move |request: Request| site.serve(endpoint, request))
    };
    Router::new()
        .route("/spotify/accounts/authorize", route(Endpoint::Authorize))
        .route("/spotify/accounts/api/token", route(Endpoint::Token))
        .route("/spotify/api/v1/me", route(Endpoint::Me))
        .route("/spotify/api/v1/me/player/recently-played", route(Endpoint::RecentlyPlayed))
        .route("/listenbrainz/1/validate-token", route(Endpoint::ListenbrainzValidate))
        .route("/listenbrainz/1/submit-listens", route(Endpoint::ListenbrainzSubmit))
        .route("/listenbrainz/1/user/{name}/listens", route(Endpoint::ListenbrainzListens))
        .route("/lastfm/2.0/", route(Endpoint::LastfmOther))
        .route("/lastfm/2.0", route(Endpoint::LastfmOther))
        .route("/lastfm/api/auth", route(Endpoint::LastfmOther))
        .route("/lastfm/api/auth/", route(Endpoint::LastfmOther))
        .route("/webhook/{name}", route(Endpoint::Webhook))
        .fallback(route(Endpoint::Unknown))
}

/// Last.fm has one path; its `method` is the endpoint.
pub(crate) fn refine(endpoint: Endpoint, call: &Call) -> Endpoint {
    if endpoint != Endpoint::LastfmOther || call.segments.get(1).is_none_or(|part| part != "2.0") {
        return endpoint;
    }
    match lastfm::parameter(call, "method").unwrap_or_default().to_ascii_lowercase().as_str() {
        "auth.gettoken" => Endpoint::LastfmToken,
        "auth.getsession" => Endpoint::LastfmSession,
        "user.getrecenttracks" => Endpoint::LastfmRecentTracks,
        "user.getinfo" => Endpoint::LastfmUserInfo,
        "track.scrobble" => Endpoint::LastfmScrobble,
        _ => Endpoint::LastfmOther,
    }
}

/// Who is calling, from what the request carries; also for tokens that are dead.
pub(crate) fn identify(world: &World, endpoint: Endpoint, call: &Call) -> Caller {
    match endpoint {
        Endpoint::Authorize => {
            let client_id = call.query("client_id").map(ToOwned::to_owned);
            Caller { account: spotify::authorize::listener(world, call), client_id }
        }
        Endpoint::Token => {
            let client_id = call.basic().map(|(id, _)| id).or_else(|| call.form("client_id").map(ToOwned::to_owned));
            let token = call.form("refresh_token").and_then(|token| world.tokens.get(&digest::sha256(token)));
            let code = call.form("code").and_then(|code| world.codes.get(&digest::sha256(code)));
            let account = token.map(|token| token.account.clone()).or_else(|| code.map(|code| code.account.clone()));
            Caller { account, client_id }
        }
        Endpoint::Me | Endpoint::RecentlyPlayed => {
            let token = call.credentials("bearer").and_then(|token| world.tokens.get(&digest::sha256(token)));
            Caller {
                account: token.map(|token| token.account.clone()),
                client_id: token.map(|token| token.client_id.clone()),
            }
        }
        Endpoint::ListenbrainzValidate | Endpoint::ListenbrainzSubmit => {
            Caller { account: listenbrainz::user(world, call), client_id: None }
        }
        Endpoint::ListenbrainzListens => Caller { account: call.segments.get(3).cloned(), client_id: None },
        Endpoint::LastfmToken
        | Endpoint::LastfmSession
        | Endpoint::LastfmRecentTracks
        | Endpoint::LastfmUserInfo
        | Endpoint::LastfmScrobble
        | Endpoint::LastfmOther => lastfm::caller(world, call),
        Endpoint::Webhook => Caller { account: call.segments.get(1).cloned(), client_id: None },
        Endpoint::Unknown => Caller::default(),
    }
}

/// Facts that the request alone tells, whatever becomes of it.
pub(crate) fn facts(endpoint: Endpoint, call: &Call) -> Facts {
    let hash = |text: &str| digest::sha256(text);
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    match endpoint {
        Endpoint::Token => Facts {
            grant_type: owned(call.form("grant_type")),
            client_authentication: Some(spotify::client::authentication(call).to_owned()),
            refresh_token_sent: call.form("refresh_token").map(hash),
            ..Facts::default()
        },
        Endpoint::Me | Endpoint::RecentlyPlayed => Facts {
            access_token_sent: call.credentials("bearer").map(hash),
            limit: owned(call.query("limit")),
            before: owned(call.query("before")),
            after: owned(call.query("after")),
            ..Facts::default()
        },
        Endpoint::ListenbrainzSubmit | Endpoint::ListenbrainzValidate => {
            Facts { access_token_sent: call.credentials("token").map(hash), ..Facts::default() }
        }
        Endpoint::LastfmToken
        | Endpoint::LastfmSession
        | Endpoint::LastfmRecentTracks
        | Endpoint::LastfmUserInfo
        | Endpoint::LastfmScrobble
        | Endpoint::LastfmOther => Facts {
            lastfm_method: lastfm::parameter(call, "method").map(ToOwned::to_owned),
            access_token_sent: lastfm::parameter(call, "sk").map(hash),
            ..Facts::default()
        },
        Endpoint::Webhook => Facts { idempotency_key: owned(call.header("idempotency-key")), ..Facts::default() },
        Endpoint::Authorize | Endpoint::ListenbrainzListens | Endpoint::Unknown => Facts::default(),
    }
}

/// The service's own logic.
pub(crate) fn answer(endpoint: Endpoint, visit: &mut Visit<'_>) -> Answer {
    match endpoint {
        Endpoint::Authorize => spotify::authorize::answer(visit),
        Endpoint::Token => spotify::token::answer(visit),
        Endpoint::Me => spotify::me::answer(visit),
        Endpoint::RecentlyPlayed => spotify::recently_played::answer(visit),
        Endpoint::ListenbrainzValidate => listenbrainz::validate(visit),
        Endpoint::ListenbrainzSubmit => listenbrainz::submit(visit),
        Endpoint::ListenbrainzListens => listenbrainz::listens(visit),
        Endpoint::LastfmToken
        | Endpoint::LastfmSession
        | Endpoint::LastfmRecentTracks
        | Endpoint::LastfmUserInfo
        | Endpoint::LastfmScrobble
        | Endpoint::LastfmOther => lastfm::answer(endpoint, visit),
        Endpoint::Webhook => webhook::answer(visit),
        Endpoint::Unknown => Answer::text(404, "nothing is simulated at this path"),
    }
}
