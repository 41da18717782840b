//! The listeners and what they hear.

use jiff::{SignedDuration, Timestamp};
use scrobble_simulator::Client;
use scrobble_simulator::api::{NewAccount, NewApp, NewPlay, Rotation};

use crate::failure::Failure;

/// The client id of examples/demo/app.yaml.
pub const CLIENT_ID: &str = "0123456789abcdef0123456789abcdef";

/// One listener, whose name is also that of the `SpotifyAccount` and of the user at both services.
#[derive(Debug)]
pub struct Listener {
    /// The name.
    pub name: &'static str,
    /// What is special about the token, for the reader.
    pub token: &'static str,
    rotation: Rotation,
    /// Life of an access token in seconds.
    access_token_seconds: i64,
    /// Whether the listener takes the app's permission away before the operator starts.
    pub revoked: bool,
    /// What was heard before the operator starts: minutes ago, title, artist.
    before: &'static [(i64, &'static str, &'static str)],
    /// What is heard while it runs: seconds ago, title, artist.
    later: &'static [(i64, &'static str, &'static str)],
}

/// Whose token does what Spotify does today.
pub const PLAIN: Listener = Listener {
    name: "alice",
    token: "stays the same at every refresh, as Spotify does it today",
    rotation: Rotation::Never,
    access_token_seconds: 3_600,
    revoked: false,
    before: &[
        (31, "Low Tide", "The Harbour Lights"),
        (27, "Paper Boats", "The Harbour Lights"),
        (22, "Winter Market", "Ana Vell"),
        (14, "Winter Market", "Ana Vell"),
    ],
    later: &[(200, "Lanterns", "Ana Vell"), (5, "Night Bus Home", "Marrow & Pine")],
};

/// Whose token is replaced whenever it is used, and whose access token is always due.
pub const ROTATING: Listener = Listener {
    name: "bob",
    token: "is replaced at every refresh, and the old one is dead at once",
    rotation: Rotation::SingleUse,
    access_token_seconds: 60,
    revoked: false,
    before: &[
        (41, "Copper Wire", "Static Garden"),
        (36, "Half a Mile of Rain", "Marrow & Pine"),
        (9, "Copper Wire", "Static Garden"),
    ],
    later: &[(190, "Signal Fires", "Static Garden"), (4, "Low Tide", "The Harbour Lights")],
};

/// Whose token is dead.
pub const REVOKED: Listener = Listener {
    name: "carol",
    token: "is revoked: she took the app's permission away",
    rotation: Rotation::Never,
    access_token_seconds: 3_600,
    revoked: true,
    before: &[(18, "Glass Orchard", "Ana Vell"), (12, "Paper Boats", "The Harbour Lights")],
    later: &[],
};

/// All of them.
pub const LISTENERS: [&Listener; 3] = [&PLAIN, &ROTATING, &REVOKED];

/// What the operator is given in Secrets.
pub struct Credentials {
    /// The client secret of the app.
    pub client_secret: String,
    /// What the webhook's posts are signed with.
    pub signing_key: String,
    /// Name, Spotify refresh token, `ListenBrainz` user token.
    pub listeners: Vec<(&'static str, String, String)>,
}

/// Makes app, listeners, users and what was heard so far.
pub async fn enter(simulator: &Client) -> Result<Credentials, Failure> {
    let client_secret = random();
    simulator.put_app(&NewApp::confidential(CLIENT_ID, &client_secret)).await?;
    let mut listeners = Vec::new();
    for listener in LISTENERS {
        let account = NewAccount {
            rotation: Some(listener.rotation),
            access_token_seconds: Some(listener.access_token_seconds),
            ..NewAccount::new(listener.name, CLIENT_ID)
        };
        let tokens = simulator.add_account(&account).await?;
        let user_token = random();
        simulator.put_listenbrainz_user(listener.name, &user_token).await?;
        add(simulator, listener, listener.before, SignedDuration::from_mins(1)).await?;
        if listener.revoked {
            simulator.revoke(listener.name).await?;
        }
        listeners.push((listener.name, tokens.refresh_token, user_token));
    }
    Ok(Credentials { client_secret, signing_key: random(), listeners })
}

/// Lets those who can be read hear some more.
pub async fn go_on(simulator: &Client) -> Result<(), Failure> {
    for listener in LISTENERS {
        add(simulator, listener, listener.later, SignedDuration::from_secs(1)).await?;
    }
    Ok(())
}

async fn add(
    simulator: &Client,
    listener: &Listener,
    heard: &[(i64, &str, &str)],
    unit: SignedDuration,
) -> Result<(), Failure> {
    let now = simulator.now().await?;
    let played =
        |ago: i64| unit.as_secs().checked_mul(ago).and_then(|ago| now.checked_sub(SignedDuration::from_secs(ago)).ok());
    let play = |(ago, title, artist): &(i64, &str, &str)| {
        played(*ago).map(|time: Timestamp| NewPlay::new(time).titled(*title, *artist))
    };
    let plays: Vec<NewPlay> = heard.iter().filter_map(play).collect();
    if !plays.is_empty() {
        simulator.add_plays(listener.name, &plays).await?;
    }
    Ok(())
}

/// 256 bits that nobody guesses.
fn random() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}
