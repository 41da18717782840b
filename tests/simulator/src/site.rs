//! The way of every request: who sends it, what goes wrong with it, the service's logic, the record, the disk, the
//! answer. All but reading and answering happens under one lock and without waiting.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::api::{Effect, Endpoint, Record};
use crate::call::{Answer, Call, Visit};
use crate::clock::{self, Clock};
use crate::faults::{self, Caller};
use crate::log::{Log, LogError};
use crate::server::CutConnection;
use crate::state::{World, numbered};
use crate::{digest, endpoints};

/// How many spaces an oversized body starts with unless told: more than any client should read.
const OVERSIZED: u64 = 9 * 1024 * 1024;

/// The simulated services of one process.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    held: Arc<Mutex<Held>>,
    clock: Clock,
}

#[derive(Debug)]
struct Held {
    world: World,
    log: Option<Log>,
}

/// What becomes of an answer on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    Late(Duration),
    Never,
    Cut,
    Half,
    Padded(u64),
}

impl Site {
    pub(crate) fn new(world: World, log: Option<Log>, clock: Clock) -> Self {
        Self { held: Arc::new(Mutex::new(Held { world, log })), clock }
    }

    /// Does something to the state and writes down what changed before anybody learns of it.
    pub(crate) fn act<T>(&self, action: impl FnOnce(&mut World, Timestamp) -> T) -> Result<T, LogError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { world, log } = &mut *held;
        let advanced = world.counters.get("clock-seconds").copied().unwrap_or(0);
        let now = clock::plus_seconds(self.clock.now(), advanced);
        let value = action(world, now);
        match log {
            Some(log) => log.append(&world.take_changes()?)?,
            None => world.forget_changes(),
        }
        Ok(value)
    }

    /// Answers a request to a simulated service.
    pub(crate) async fn serve(self, endpoint: Endpoint, request: Request) -> Response {
        let Some(call) = Call::read(request).await else {
            return Answer::text(413, "the request is too large or broke off").into_response(Body::empty());
        };
        let call = Arc::new(call);
        let endpoint = endpoints::refine(endpoint, &call);
        let site = self.clone();
        let seen = Arc::clone(&call);
        let first = self.act(move |world, now| {
            let caller = endpoints::identify(world, endpoint, &seen);
            let fault = faults::choose(world, endpoint, &caller, now);
            match fault {
                Some((_, Effect::DelayBefore { milliseconds })) => Err((caller, fault, milliseconds)),
                fault => Ok(finish(world, now, endpoint, &seen, caller, fault)),
            }
        });
        let finished = match first {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err((caller, fault, milliseconds))) => {
                // In a task of its own: the service acts even if the client has gone by then.
                let late = tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                    site.act(|world, now| finish(world, now, endpoint, &call, caller, fault))
                });
                match late.await {
                    Ok(finished) => finished,
                    Err(_) => return cut(),
                }
            }
            Err(error) => Err(error),
        };
        match finished {
            Ok((answer, fate)) => send(answer, fate).await,
            Err(error) => {
                tracing::error!(%error, "could not store the state");
                Answer::text(500, "the simulator could not store its state").into_response(Body::empty())
            }
        }
    }
}

fn finish(
    world: &mut World,
    now: Timestamp,
    endpoint: Endpoint,
    call: &Call,
    caller: Caller,
    fault: Option<(u64, Effect)>,
) -> (Answer, Fate) {
    let effect = fault.as_ref().map(|(_, effect)| effect);
    let seq = world.next("records");
    let mut facts = endpoints::facts(endpoint, call);
    let instead = effect.and_then(|effect| faults::instead(effect, endpoint));
    let acted = instead.is_none() && !matches!(effect, Some(Effect::Hang | Effect::CutBefore));
    let mut caller = caller;
    let answer = if let Some(answer) = instead {
        answer
    } else if acted {
        let mut visit = Visit { world, call, now, facts: &mut facts, effect, seq };
        let answer = endpoints::answer(endpoint, &mut visit);
        if caller.account.is_none() {
            caller.account = endpoints::identify(world, endpoint, call).account;
        }
        match effect {
            Some(effect) => faults::spoil(effect, answer),
            None => answer,
        }
    } else {
        Answer::empty(200)
    };
    let fate = fate(effect, &answer);
    let record = Record {
        seq,
        time: now,
        real_time: clock::real_now(),
        endpoint,
        method: call.method.to_string(),
        path: call.path.clone(),
        account: caller.account,
        client_id: caller.client_id,
        status: (!matches!(fate, Fate::Never | Fate::Cut)).then_some(answer.status),
        acted,
        fault: effect.cloned(),
        fault_id: fault.as_ref().map(|(id, _)| *id),
        body_bytes: call.body.len() as u64,
        body_sha256: (!call.body.is_empty()).then(|| digest::sha256(&call.body)),
        facts,
    };
    world.records.put(numbered(seq), record);
    (answer, fate)
}

fn fate(effect: Option<&Effect>, answer: &Answer) -> Fate {
    match effect {
        Some(Effect::Hang | Effect::HangAfter) => Fate::Never,
        Some(Effect::CutBefore | Effect::CutAfter) => Fate::Cut,
        Some(Effect::TruncatedBody) if answer.body.is_empty() => Fate::Cut,
        Some(Effect::TruncatedBody) => Fate::Half,
        Some(Effect::DelayAfter { milliseconds }) => Fate::Late(Duration::from_millis(*milliseconds)),
        Some(Effect::OversizedBody { bytes: 0 }) => Fate::Padded(OVERSIZED),
        Some(Effect::OversizedBody { bytes }) => Fate::Padded(*bytes),
        _ => Fate::Whole,
    }
}

async fn send(mut answer: Answer, fate: Fate) -> Response {
    let body = Bytes::from(std::mem::take(&mut answer.body));
    match fate {
        Fate::Whole => answer.into_response(Body::from(body)),
        Fate::Late(delay) => {
            tokio::time::sleep(delay).await;
            answer.into_response(Body::from(body))
        }
        Fate::Never => std::future::pending().await,
        Fate::Cut => cut(),
        Fate::Half => {
            let answer = answer.with("content-length", body.len().to_string());
            answer.into_response(half(body))
        }
        Fate::Padded(spaces) => answer.into_response(padded(spaces, body)),
    }
}

fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CutConnection);
    response
}

/// The first half, then an error, at which the server drops the connection.
fn half(body: Bytes) -> Body {
    let first = body.slice(..body.len() / 2);
    let rest = stream::once(async {
        // Gives the server the turn in which it flushes the first half.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("cut by script"))
    });
    Body::from_stream(stream::once(async { Ok(first) }).chain(rest))
}

fn padded(spaces: u64, body: Bytes) -> Body {
    const CHUNK: u64 = 64 * 1024;
    let chunk = Bytes::from(vec![b' '; usize::try_from(CHUNK).unwrap_or(0)]);
    let whole = (0..spaces / CHUNK).map(move |_| chunk.clone());
    let rest = Bytes::from(vec![b' '; usize::try_from(spaces % CHUNK).unwrap_or(0)]);
    let pieces = whole.chain([rest, body]).map(Ok::<_, std::io::Error>);
    Body::from_stream(stream::iter(pieces))
}
