//! Scripting and reports under `/_simulator/`.

mod services;
mod spotify;

use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::{Advance, ClockReport, NewFault, Record, RecordFilter};
use crate::clock::plus_seconds;
use crate::faults;
use crate::site::Site;
use crate::state::{World, numbered};

/// Why a script's wish is not fulfilled.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 404: what it speaks of is not there.
    Missing(String),
    /// 409: what it adds is there already.
    Exists(String),
    /// 422: it makes no sense.
    Invalid(String),
    /// 500: the state could not be stored.
    Storage(crate::log::LogError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Missing(what) => (http::StatusCode::NOT_FOUND, format!("{what} is not known")),
            Self::Exists(what) => (http::StatusCode::CONFLICT, format!("{what} exists already")),
            Self::Invalid(why) => (http::StatusCode::UNPROCESSABLE_ENTITY, why),
            Self::Storage(error) => (http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        (status, message).into_response()
    }
}

/// JSON of a script, whatever `Content-Type` says, so that plain `curl -d` works.
struct Script<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Script<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
        let body = body.map_err(|error| Refusal::Invalid(format!("the body broke off: {error}")))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| Refusal::Invalid(error.to_string()))
    }
}

type Outcome<T> = Result<Json<T>, Refusal>;

/// Does something to the state and answers what came of it.
fn change<T: Serialize>(site: &Site, action: impl FnOnce(&mut World, Timestamp) -> Result<T, Refusal>) -> Outcome<T> {
    site.act(action).map_err(Refusal::Storage)?.map(Json)
}

/// Routes of the control plane.
pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/_simulator/healthz", get(async || "ok"))
        .route("/_simulator/clock", get(clock).post(advance_clock))
        .route("/_simulator/requests", get(requests))
        .route("/_simulator/requests/newest", get(newest_request))
        .route("/_simulator/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/_simulator/faults/{id}", axum::routing::delete(remove_fault))
        .route("/_simulator/apps", get(spotify::list_apps).post(spotify::put_app))
        .route("/_simulator/signed-in", post(spotify::sign_in))
        .route("/_simulator/accounts", get(spotify::list_accounts).post(spotify::add_account))
        .route("/_simulator/accounts/{name}", get(spotify::account).post(spotify::change_account))
        .route("/_simulator/accounts/{name}/tokens", get(spotify::tokens).post(spotify::change_tokens))
        .route("/_simulator/accounts/{name}/plays", get(spotify::plays).post(spotify::add_plays))
        .route("/_simulator/accounts/{name}/page", get(spotify::page))
        .route("/_simulator/accounts/{name}/generators", post(spotify::add_generator).delete(spotify::stop_generators))
        .route("/_simulator/listenbrainz/users", post(services::put_listenbrainz_user))
        .route("/_simulator/listenbrainz/users/{name}", axum::routing::delete(services::remove_listenbrainz_user))
        .route("/_simulator/listenbrainz/rules", post(services::put_listenbrainz_rules))
        .route("/_simulator/listenbrainz/{name}/listens", get(services::listens))
        .route("/_simulator/lastfm/apps", post(services::put_lastfm_app))
        .route("/_simulator/lastfm/users", post(services::put_lastfm_user))
        .route("/_simulator/lastfm/authorizations", post(services::authorize_lastfm))
        .route("/_simulator/lastfm/{name}/scrobbles", get(services::scrobbles))
        .route("/_simulator/webhook/{name}", post(services::put_webhook))
        .route("/_simulator/webhook/{name}/deliveries", get(services::deliveries))
        .with_state(site)
}

async fn clock(State(site): State<Site>) -> Outcome<ClockReport> {
    change(&site, |_, time| Ok(ClockReport { time }))
}

async fn advance_clock(State(site): State<Site>, Script(by): Script<Advance>) -> Outcome<ClockReport> {
    change(&site, |world, now| {
        let known = world.counters.get("clock-seconds").copied().unwrap_or(0);
        if by.seconds < 0 {
            return Err(Refusal::Invalid("time does not run backwards".into()));
        }
        world.counters.put("clock-seconds", known.saturating_add(by.seconds));
        Ok(ClockReport { time: plus_seconds(now, by.seconds) })
    })
}

async fn requests(State(site): State<Site>, Query(filter): Query<RecordFilter>) -> Outcome<Vec<Record>> {
    change(&site, |world, _| {
        let wanted = |record: &&Record| {
            filter.endpoint.is_none_or(|endpoint| record.endpoint == endpoint)
                && (filter.account.is_none() || record.account == filter.account)
                && (filter.client_id.is_none() || record.client_id == filter.client_id)
        };
        let records = world.records.after(&numbered(filter.since.unwrap_or(0))).filter(wanted);
        Ok(records.take(filter.limit.unwrap_or(usize::MAX)).cloned().collect())
    })
}

async fn newest_request(State(site): State<Site>) -> Response {
    change(&site, |world, _| Ok(json!({"seq": world.counters.get("records").copied().unwrap_or(0)}))).into_response()
}

async fn list_faults(State(site): State<Site>) -> Response {
    change(&site, |world, _| Ok(world.faults.values().cloned().collect::<Vec<_>>())).into_response()
}

async fn add_fault(State(site): State<Site>, Script(fault): Script<NewFault>) -> Response {
    change(&site, |world, _| Ok(json!({"id": faults::add(world, fault)}))).into_response()
}

async fn clear_faults(State(site): State<Site>) -> Response {
    change(&site, |world, _| {
        world.faults.clear();
        Ok(json!({}))
    })
    .into_response()
}

async fn remove_fault(State(site): State<Site>, Path(id): Path<u64>) -> Response {
    change(&site, |world, _| {
        let removed = world.faults.remove(&numbered(id));
        removed.map(|_| json!({})).ok_or_else(|| Refusal::Missing(format!("fault {id}")))
    })
    .into_response()
}
