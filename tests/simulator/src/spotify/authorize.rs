//! `GET /authorize`: the page where a listener consents, here without a page (spotify.md section 2).

use std::net::IpAddr;

use url::{Host, Url};

use crate::api::Effect;
use crate::call::{Answer, Call, Visit};
use crate::digest;
use crate::state::{Code, World};

/// The listener that the browser is signed in as: `?user=`, else the scripted one, else the app's only one.
pub(crate) fn listener(world: &World, call: &Call) -> Option<String> {
    if let Some(user) = call.query("user") {
        return world.accounts.contains(user).then(|| user.to_owned());
    }
    let client_id = call.query("client_id")?;
    if let Some(account) = world.signed_in.get(client_id) {
        return Some(account.clone());
    }
    let mut own = world.accounts.values().filter(|account| account.client_id == client_id);
    own.next().filter(|_| own.next().is_none()).map(|account| account.name.clone())
}

pub(crate) fn answer(visit: &mut Visit<'_>) -> Answer {
    let call = visit.call;
    if call.method != http::Method::GET {
        return Answer::empty(405).with("allow", "GET");
    }
    // A page in the browser, not a redirect: nothing is trusted yet to be redirected to.
    let page = |text: &str| Answer::text(400, text);
    let Some(app) = call.query("client_id").and_then(|id| visit.world.apps.get(id)).cloned() else {
        return page("INVALID_CLIENT: Invalid client");
    };
    let Some((text, redirect_uri)) =
        call.query("redirect_uri").and_then(|text| Url::parse(text).ok().map(|url| (text, url)))
    else {
        return page("INVALID_CLIENT: Invalid redirect URI");
    };
    if !is_secure(&redirect_uri) {
        return page("INVALID_CLIENT: Insecure redirect URI");
    }
    if !app.redirect_uris.is_empty() && !app.redirect_uris.iter().any(|known| is_registered(known, text, &redirect_uri))
    {
        return page("INVALID_CLIENT: Invalid redirect URI");
    }
    let state = call.query("state");
    let back = |name: &str, value: &str| {
        let mut target = redirect_uri.clone();
        target.query_pairs_mut().append_pair(name, value);
        if let Some(state) = state {
            target.query_pairs_mut().append_pair("state", state);
        }
        Answer::redirect(target.into())
    };
    if call.query("response_type") != Some("code") {
        return back("error", "unsupported_response_type");
    }
    let challenge = call.query("code_challenge");
    if challenge.is_some() && call.query("code_challenge_method") != Some("S256")
        || challenge.is_some_and(|challenge| challenge.len() != 43)
        || challenge.is_none() && app.client_secret.is_none()
    {
        return back("error", "invalid_request");
    }
    if visit.effect == Some(&Effect::AccessDenied) {
        visit.facts.error = Some("access_denied".into());
        return back("error", "access_denied");
    }
    let Some(account) = listener(visit.world, call) else {
        return page("nobody is signed in: script it, or add ?user=<account>");
    };
    let value = digest::opaque("AQ", 150);
    let code = Code {
        account,
        client_id: app.client_id.clone(),
        redirect_uri: text.to_owned(),
        scope: call.query("scope").unwrap_or_default().to_owned(),
        challenge: challenge.map(ToOwned::to_owned),
        issued_time: visit.now,
        used: None,
    };
    visit.world.codes.put(digest::sha256(&value), code);
    back("code", &value)
}

/// HTTPS, a custom scheme, or plain HTTP to a loopback address written as a number; never `localhost`.
fn is_secure(uri: &Url) -> bool {
    match uri.scheme() {
        "https" => true,
        "http" => loopback(uri).is_some(),
        _ => !matches!(uri.host_str(), Some("localhost")),
    }
}

fn loopback(uri: &Url) -> Option<IpAddr> {
    match uri.host()? {
        Host::Ipv4(address) if address.is_loopback() => Some(address.into()),
        Host::Ipv6(address) if address.is_loopback() => Some(address.into()),
        _ => None,
    }
}

/// Exactly the same text; a loopback literal registered without a port stands for any port.
fn is_registered(known: &str, text: &str, uri: &Url) -> bool {
    if known == text {
        return true;
    }
    let Ok(known) = Url::parse(known) else { return false };
    known.scheme() == "http"
        && known.port().is_none()
        && loopback(&known).is_some_and(|address| loopback(uri) == Some(address))
        && (known.scheme(), known.path(), known.query()) == (uri.scheme(), uri.path(), uri.query())
}
