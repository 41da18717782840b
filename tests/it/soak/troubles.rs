//! What the services do wrong, at random.

use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewFault};

use super::stage::{self, TARGETS};
use crate::world::World;

/// Makes both services fail in every way that leaves it open whether they have acted; about one request in three.
pub async fn add(world: &World, seed: u64) {
    let both = [Endpoint::LastfmScrobble, Endpoint::ListenbrainzSubmit];
    // Whoever waits for a turn there waits for these, in real time: more of them would only take longer.
    let hang = |effect, endpoint| NewFault::new(effect).at(endpoint).times(1).likely(0.02, 0);
    let mut faults =
        vec![hang(Effect::HangAfter, Endpoint::LastfmScrobble), hang(Effect::Hang, Endpoint::ListenbrainzSubmit)];
    for endpoint in both {
        for (effect, likely) in [
            (Effect::status(500), 0.06),
            (Effect::status_as(503, BodyForm::Html), 0.03),
            (Effect::CutBefore, 0.03),
            (Effect::CutAfter, 0.08),
            (Effect::TruncatedBody, 0.04),
            (Effect::HtmlBody, 0.03),
            (Effect::RateLimited { retry_after_seconds: 60 }, 0.03),
        ] {
            faults.push(NewFault::new(effect).at(endpoint).likely(likely, 0));
        }
    }
    for (code, status) in [(11, 200), (16, 500), (29, 200)] {
        let effect = Effect::LastfmError { code, status };
        faults.push(NewFault::new(effect).at(Endpoint::LastfmScrobble).likely(0.02, 0));
    }
    for (number, fault) in faults.into_iter().enumerate() {
        let fault = NewFault { seed: seed.wrapping_add(number as u64), ..fault };
        world.script.add_fault(&fault).await.unwrap();
    }
}

/// Two of one listener's targets are down from now on, until the rules are removed whose numbers this answers.
pub async fn begin_outage(world: &World, listener: &str) -> [u64; 2] {
    let down = |name: &str, endpoint| {
        let target = TARGETS.iter().find(|target| target.name == name).unwrap();
        NewFault::new(Effect::status(502)).at(endpoint).of(stage::user(listener, target.name))
    };
    [
        world.script.add_fault(&down("fm-two", Endpoint::LastfmScrobble)).await.unwrap(),
        world.script.add_fault(&down("brainz-two", Endpoint::ListenbrainzSubmit)).await.unwrap(),
    ]
}
