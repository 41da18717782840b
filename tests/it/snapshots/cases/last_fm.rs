//! Last.fm's. Its errors are numbers, with whatever HTTP status they come.

use scrobble_simulator::api::{BodyForm, Effect, Endpoint};

use super::{Case, Fault, Remedy, Service, Trigger, Until, limited};

pub fn all() -> Vec<Case> {
    let at = |name, what, fault| Case::new(name, what, Service::LastFm, fault);
    let case = |name, what, effect| at(name, what, Fault::At(Endpoint::LastfmScrobble, effect));
    let error = |name, what, code, status| case(name, what, Effect::LastfmError { code, status });
    let ignored = |name, what, code| at(name, what, Fault::Ignored(code));
    vec![
        at("lastfm-key", "Last.fm does not know the listener's session key.", Fault::None).after(Trigger::WrongKey),
        error("lastfm-4", "Last.fm: error 4, authentication failed.", 4, 403),
        error("lastfm-6", "Last.fm: error 6, invalid parameters.", 6, 400),
        error("lastfm-7", "Last.fm: error 7, invalid resource.", 7, 404),
        error("lastfm-8", "Last.fm: error 8, operation failed.", 8, 500),
        error("lastfm-9", "Last.fm: error 9, invalid session key.", 9, 403),
        error("lastfm-10", "Last.fm: error 10, invalid API key.", 10, 403).at_target().slowly(),
        error("lastfm-11", "Last.fm: error 11, service offline, with HTTP 200.", 11, 200),
        error("lastfm-13", "Last.fm: error 13, invalid signature.", 13, 403).at_target().slowly(),
        error("lastfm-16", "Last.fm: error 16, temporary error.", 16, 500),
        at("lastfm-26", "Last.fm: error 26, the API key is suspended.", Fault::ApplicationSuspended)
            .at_target()
            .slowly(),
        error("lastfm-29", "Last.fm: error 29, rate limit, without a time.", 29, 200).at_target(),
        case("lastfm-429-later", "Last.fm: 429, for five minutes.", limited(300)).at_target(),
        case("lastfm-500-page", "Last.fm: 500 and a web page.", Effect::status_as(500, BodyForm::Html)),
        case("lastfm-404-page", "Last.fm: 404 and a web page.", Effect::status_as(404, BodyForm::Html)),
        case("lastfm-page", "Last.fm: 200 and a web page.", Effect::HtmlBody),
        case("lastfm-hang", "Last.fm: no answer.", Effect::Hang).slowly(),
        case("lastfm-cut", "Last.fm: the connection is cut before it acts.", Effect::CutBefore),
        case("lastfm-cut-after", "Last.fm: the connection is cut after it acts.", Effect::CutAfter),
        case("lastfm-truncated", "Last.fm: half a body.", Effect::TruncatedBody),
        case("lastfm-large", "Last.fm: a body without end.", Effect::OversizedBody { bytes: 0 }),
        case("lastfm-types", "Last.fm: other types than promised.", Effect::WrongJsonType),
        ignored("lastfm-ignored-1", "Last.fm ignores the play with code 1, the artist.", 1),
        ignored("lastfm-ignored-2", "Last.fm ignores the play with code 2, the track.", 2),
        ignored("lastfm-ignored-3", "Last.fm ignores the play with code 3, too old.", 3),
        ignored("lastfm-ignored-4", "Last.fm ignores the play with code 4, too new.", 4).slowly(),
        ignored("lastfm-ignored-5", "Last.fm ignores the play with code 5, the day's limit.", 5).mended_by(Remedy::Day),
        ignored("lastfm-ignored-9", "Last.fm ignores the play with a code that is not documented.", 9),
        error("lastfm-11-long", "Last.fm: error 11, service offline, five times in a row.", 11, 503)
            .until(Until::Open)
            .at_target(),
    ]
}
