//! ListenBrainz's.

use scrobble_simulator::api::{BodyForm, Effect, Endpoint, ListenBrainzRules};

use super::{Case, Fault, Service, Trigger, Until, later, limited, status};

/// What Maloja's imitation of the API answers to whoever asks about a token.
const MALOJA: &str = r#"{"code": 200, "message": "Token valid.", "valid": true, "user_name": "Generic Maloja User"}"#;

pub fn all() -> Vec<Case> {
    let at = |name, what, fault| Case::new(name, what, Service::ListenBrainz, fault);
    let case = |name, what, effect| at(name, what, Fault::At(Endpoint::ListenbrainzSubmit, effect));
    let check =
        |name, what, effect| at(name, what, Fault::At(Endpoint::ListenbrainzValidate, effect)).after(Trigger::NewKey);
    let rules = |rules| Fault::Rules(rules);
    let maloja =
        Effect::Status { status: 200, body: BodyForm::Json, text: Some(MALOJA.to_owned()), retry_after_seconds: None };
    // No request is left in a window of ten minutes.
    let window = ListenBrainzRules { rate_limit: 0, rate_window_seconds: 600, ..ListenBrainzRules::default() };
    let picky = ListenBrainzRules { refuse_titles: vec![String::new()], ..ListenBrainzRules::default() };
    vec![
        at("listenbrainz-key", "ListenBrainz does not know the listener's token.", Fault::None)
            .after(Trigger::WrongKey),
        check("listenbrainz-maloja", "ListenBrainz: the server is a Maloja.", maloja),
        check("listenbrainz-check-503", "ListenBrainz: 503 when asked about a token.", status(503)).unseen(),
        at("listenbrainz-400", "ListenBrainz: 400 for one listen.", rules(picky)),
        case("listenbrainz-401", "ListenBrainz: 401.", status(401)),
        case("listenbrainz-403", "ListenBrainz: 403.", status(403)),
        case("listenbrainz-404", "ListenBrainz: 404.", status(404)),
        case("listenbrainz-413", "ListenBrainz: 413.", status(413)),
        case("listenbrainz-429", "ListenBrainz: 429 without a time.", status(429)),
        case("listenbrainz-429-later", "ListenBrainz: 429, for five minutes.", limited(300)).at_target(),
        at("listenbrainz-429-window", "ListenBrainz: 429, and X-RateLimit tells for how long.", rules(window))
            .at_target()
            .slowly(),
        case("listenbrainz-429-long", "ListenBrainz: 429, for half an hour.", limited(1_800)).at_target().slowly(),
        case("listenbrainz-500", "ListenBrainz: 500.", status(500)),
        case("listenbrainz-502-page", "ListenBrainz: 502 and a web page.", Effect::status_as(502, BodyForm::Html)),
        case("listenbrainz-503-later", "ListenBrainz: 503 with Retry-After.", later(503, 300)),
        case("listenbrainz-hang", "ListenBrainz: no answer.", Effect::Hang).slowly(),
        case("listenbrainz-hang-after", "ListenBrainz: it acts and does not answer.", Effect::HangAfter).slowly(),
        case("listenbrainz-cut", "ListenBrainz: the connection is cut before it acts.", Effect::CutBefore),
        case("listenbrainz-cut-after", "ListenBrainz: the connection is cut after it acts.", Effect::CutAfter),
        case("listenbrainz-truncated", "ListenBrainz: half a body.", Effect::TruncatedBody),
        case("listenbrainz-page", "ListenBrainz: 200 and a web page.", Effect::HtmlBody),
        case("listenbrainz-large", "ListenBrainz: a body without end.", Effect::OversizedBody { bytes: 0 }),
        case("listenbrainz-types", "ListenBrainz: other types than promised.", Effect::WrongJsonType),
        case("listenbrainz-500-long", "ListenBrainz: 500, five times in a row.", status(500))
            .until(Until::Open)
            .at_target(),
    ]
}
