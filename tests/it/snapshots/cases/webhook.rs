//! A webhook's.

use scrobble_simulator::api::{Effect, Endpoint};

use super::{Case, Fault, Service, Until, later, status};

pub fn all() -> Vec<Case> {
    let case = |name, what, effect| Case::new(name, what, Service::Webhook, Fault::At(Endpoint::Webhook, effect));
    vec![
        case("hook-302", "Webhook: 302.", status(302)),
        case("hook-400", "Webhook: 400.", status(400)),
        case("hook-401", "Webhook: 401.", status(401)).at_target().slowly(),
        case("hook-404", "Webhook: 404.", status(404)),
        case("hook-409", "Webhook: 409.", status(409)).unseen(),
        case("hook-410", "Webhook: 410.", status(410)),
        case("hook-429", "Webhook: 429.", status(429)),
        case("hook-429-later", "Webhook: 429, for five minutes.", later(429, 300)).at_target(),
        case("hook-500", "Webhook: 500.", status(500)),
        case("hook-503-later", "Webhook: 503 with Retry-After.", later(503, 300)),
        case("hook-hang", "Webhook: no answer.", Effect::Hang).slowly(),
        case("hook-hang-after", "Webhook: it acts and does not answer.", Effect::HangAfter).slowly(),
        case("hook-cut", "Webhook: the connection is cut before it acts.", Effect::CutBefore),
        case("hook-cut-after", "Webhook: the connection is cut after it acts.", Effect::CutAfter),
        case("hook-page", "Webhook: 2xx and a web page.", Effect::HtmlBody).unseen(),
        case("hook-500-long", "Webhook: 500, five times in a row.", status(500)).until(Until::Open).at_target(),
    ]
}
