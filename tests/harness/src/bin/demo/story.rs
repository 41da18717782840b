//! The demo, section by section.

use std::time::Duration;

use jiff::Timestamp;
use scrobble_harness::{Installation, wait_until};
use scrobble_simulator::Client;
use scrobble_simulator::api::{Endpoint, RecordFilter};

use crate::arguments::Arguments;
use crate::cast::{self, Credentials, LISTENERS, PLAIN, REVOKED, ROTATING};
use crate::evidence::{Evidence, SERVICES};
use crate::failure::Failure;
use crate::owner;
use crate::shell::Shell;
use crate::stage::Stage;
use crate::terminal::Terminal;

const NAMESPACE: &str = "music";
const RELEASE: &str = "scrobble-operator";
/// How long plays may take to arrive.
const ARRIVAL: Duration = Duration::from_mins(1);
/// Reads of the rotating listener after the last play arrived, any of which could double one.
const FURTHER_READS: usize = 2;

/// Tells it from the start to the proof. What was started is on the stage, also after a failure.
pub async fn tell(stage: &mut Stage, terminal: &mut Terminal, arguments: &Arguments) -> Result<(), Failure> {
    terminal.title("scrobble-operator: plays travel from Spotify to two services, on a real Kubernetes API server");
    let operator = arguments.program("scrobble-operator")?;
    let simulator = arguments.program("scrobble-simulator")?;

    let mut shell = control_plane(stage, terminal).await?;

    terminal.section("The world outside, simulated");
    let simulator = stage.start_simulator(&simulator).await?;
    let credentials = world(terminal, &simulator).await?;

    terminal.section("The operator, installed by its chart");
    let installation = install(stage, terminal, &shell, &simulator).await?;

    terminal.section("Three listeners, applied");
    give(&mut shell, &credentials);
    apply(terminal, &shell, &simulator).await?;

    terminal.section("The operator starts, plays arrive");
    stage.start_operator(&operator, &installation).await?;
    first_plays(stage, terminal, &shell, &simulator).await?;

    terminal.section("The music goes on");
    later_plays(stage, terminal, &shell, &simulator).await?;

    terminal.section("What each service received");
    received(stage, terminal, &simulator).await?;

    terminal.section(&format!("{}'s rotated token is kept", ROTATING.name));
    rotated_token(terminal, &shell, &simulator).await?;

    terminal.section(&format!("{}'s account is broken, and says so", REVOKED.name));
    broken_account(terminal, &shell).await
}

async fn control_plane(stage: &mut Stage, terminal: &mut Terminal) -> Result<Shell, Failure> {
    terminal.section("A control plane");
    stage.start_control_plane().await?;
    let plane = stage.plane()?;
    terminal.text(&format!(
        "etcd, kube-apiserver and kube-controller-manager run as processes, after {}. There is no kubelet, so the \
         operator will run as a process too, with what the chart has granted and nothing more.",
        terminal.seconds()
    ));
    terminal.gap();
    let shell = Shell::new(plane);
    terminal.command(&format!("export KUBECONFIG={}", plane.kubeconfig().display()));
    shell.run(terminal, "kubectl version").await?;
    Ok(shell)
}

async fn world(terminal: &Terminal, simulator: &Client) -> Result<Credentials, Failure> {
    terminal.command("scrobble-simulator --address 127.0.0.1:0");
    terminal.output(&format!("listening on {}", simulator.base_url()));
    terminal.gap();
    terminal.text(
        "It stands in for Spotify, ListenBrainz and a webhook's receiver, and keeps records. Three people listen:",
    );
    terminal.gap();
    let credentials = cast::enter(simulator).await?;
    let mut rows = Vec::new();
    for listener in LISTENERS {
        let plays = simulator.plays(listener.name).await?.len();
        rows.push(vec![listener.name.to_owned(), plays.to_string(), listener.token.to_owned()]);
    }
    terminal.table(&["LISTENER", "PLAYS SO FAR", "REFRESH TOKEN"], &rows);
    Ok(credentials)
}

async fn install(
    stage: &Stage,
    terminal: &Terminal,
    shell: &Shell,
    simulator: &Client,
) -> Result<Installation, Failure> {
    let accounts = simulator.spotify_accounts_url();
    let api = simulator.spotify_api_url();
    let command = format!(
        "helm install {RELEASE} charts/scrobble-operator --namespace {NAMESPACE} --create-namespace \\\n  \
         --wait=hookOnly --hide-notes --set 'allowPrivateTargets={{127.0.0.0/8}}' \\\n  \
         --set 'extraArgs={{--minimum-interval=1s,--spotify-accounts-url={accounts},--spotify-api-url={api}}}'"
    );
    shell.run(terminal, &command).await?;
    shell.run(terminal, "kubectl wait --for=condition=Established crd --all").await?;
    let installation = Installation::find(stage.plane()?, NAMESPACE.to_owned(), RELEASE.to_owned()).await?;
    let user = installation.user();
    let may = format!("kubectl -n {NAMESPACE} auth can-i update secrets --as {user}");
    shell.run(terminal, &may).await?;
    // kubectl says no by its exit status too.
    let may_not = format!("kubectl -n {NAMESPACE} auth can-i list secrets --as {user} || true");
    shell.run(terminal, &may_not).await?;
    Ok(installation)
}

/// Tokens are variables of the shell: no command that is printed holds one.
fn give(shell: &mut Shell, credentials: &Credentials) {
    shell.set("CLIENT_SECRET", &credentials.client_secret);
    shell.set("SIGNING_KEY", &credentials.signing_key);
    for (name, refresh_token, user_token) in &credentials.listeners {
        let name = name.to_uppercase();
        shell.set(&format!("{name}_REFRESH_TOKEN"), refresh_token);
        shell.set(&format!("{name}_USER_TOKEN"), user_token);
    }
}

async fn apply(terminal: &Terminal, shell: &Shell, simulator: &Client) -> Result<(), Failure> {
    let kubectl = format!("kubectl -n {NAMESPACE}");
    terminal
        .text("The platform team gives the app's client secret and the key that the webhook's posts are signed with:");
    terminal.gap();
    let platform = format!(
        "{kubectl} create secret generic spotify-app --from-literal=client-secret=\"$CLIENT_SECRET\"\n\
         {kubectl} create secret generic archive-webhook --from-literal=hmac=\"$SIGNING_KEY\"\n\
         {kubectl} label secret spotify-app scrobble-operator.io/use=client\n\
         {kubectl} label secret archive-webhook scrobble-operator.io/use=target"
    );
    shell.run(terminal, &platform).await?;
    terminal.text("Each listener gives a Spotify token and a ListenBrainz token:");
    terminal.gap();
    let mut lines = Vec::new();
    for (secret, key, variable) in [("spotify", "refresh-token", "REFRESH"), ("listenbrainz", "token", "USER")] {
        for listener in LISTENERS {
            let (name, upper) = (listener.name, listener.name.to_uppercase());
            lines.push(format!(
                "{kubectl} create secret generic {name}-{secret} --from-literal={key}=\"${upper}_{variable}_TOKEN\""
            ));
        }
    }
    for (secret, usage) in [("spotify", "token"), ("listenbrainz", "credentials")] {
        let names: Vec<String> = LISTENERS.iter().map(|listener| format!("{}-{secret}", listener.name)).collect();
        lines.push(format!("{kubectl} label secret {} scrobble-operator.io/use={usage}", names.join(" ")));
    }
    shell.run(terminal, &lines.join("\n")).await?;
    terminal.text("One app, two targets, three accounts:");
    terminal.gap();
    let address = simulator.base_url().trim_start_matches("http://");
    let command = format!("sed 's|SIMULATOR|{address}|' examples/demo/*.yaml | {kubectl} apply -f -");
    shell.run(terminal, &command).await
}

async fn first_plays(stage: &mut Stage, terminal: &Terminal, shell: &Shell, simulator: &Client) -> Result<(), Failure> {
    terminal.text("With the arguments of the chart's Deployment, and a token of its ServiceAccount:");
    terminal.gap();
    terminal.command(&stage.operator_command());
    terminal.gap();
    let evidence = arrived(stage, simulator).await?;
    terminal.text(&format!("Arrived: {}; {} after its start.", arrivals(&evidence), terminal.seconds()));
    terminal.gap();
    let kubectl = format!("kubectl -n {NAMESPACE}");
    let (plain, rotating, revoked) = (PLAIN.name, ROTATING.name, REVOKED.name);
    let healthy =
        format!("{kubectl} wait --for=condition=Ready spotifyaccount/{plain} spotifyaccount/{rotating} --timeout=60s");
    shell.run(terminal, &healthy).await?;
    let broken = format!("{kubectl} wait --for=condition=Stalled spotifyaccount/{revoked} --timeout=60s");
    shell.run(terminal, &broken).await?;
    shell.run(terminal, &format!("{kubectl} get spotifyaccounts")).await
}

async fn later_plays(stage: &mut Stage, terminal: &Terminal, shell: &Shell, simulator: &Client) -> Result<(), Failure> {
    let before = Evidence::gather(simulator).await?.expected();
    cast::go_on(simulator).await?;
    let after = Evidence::gather(simulator).await?.expected();
    let (plain, rotating) = (PLAIN.name, ROTATING.name);
    terminal.text(&format!(
        "{plain} and {rotating} have heard {} plays more. {rotating} is read every 5 seconds; {plain} is read every 20 \
         minutes, or when somebody asks:",
        (after - before) / SERVICES.len()
    ));
    terminal.gap();
    let ask = format!(
        "kubectl -n {NAMESPACE} annotate spotifyaccount {plain} --overwrite \\\n  \
         scrobble-operator.io/reconcile-requested-at=\"$(date)\""
    );
    shell.run(terminal, &ask).await?;
    let evidence = arrived(stage, simulator).await?;
    terminal.text(&format!("Arrived: {}; {} after they were heard.", arrivals(&evidence), terminal.seconds()));

    let newest = simulator.last_seq().await?;
    let reads = RecordFilter::at(Endpoint::RecentlyPlayed).of(rotating).since(newest);
    wait_until("the next reads of Spotify", ARRIVAL, async || {
        let reads = simulator.requests(&reads).await.map_err(|error| error.to_string())?.len();
        if reads >= FURTHER_READS { Ok(()) } else { Err(format!("{reads} reads")) }
    })
    .await?;
    terminal.text(&format!("Spotify was then read {FURTHER_READS} times more, which must not double anything."));
    Ok(())
}

/// Waits until both services hold as many plays as they should, and the operator lives.
async fn arrived(stage: &mut Stage, simulator: &Client) -> Result<Evidence, Failure> {
    wait_until("all plays to arrive", ARRIVAL, async || {
        if let Err(ended) = stage.ensure_running() {
            return Ok(Err(ended));
        }
        match Evidence::gather(simulator).await {
            Ok(evidence) if evidence.held.len() >= evidence.expected() => Ok(Ok(evidence)),
            Ok(evidence) => Err(format!("{} of {}", evidence.held.len(), evidence.expected())),
            Err(failure) => Ok(Err(failure)),
        }
    })
    .await?
}

fn arrivals(evidence: &Evidence) -> String {
    let services = SERVICES.map(|service| format!("{} plays at {service}", evidence.held_by(service).count()));
    services.join(", ")
}

async fn received(stage: &mut Stage, terminal: &Terminal, simulator: &Client) -> Result<(), Failure> {
    stage.ensure_running()?;
    let evidence = Evidence::gather(simulator).await?;
    for service in SERVICES {
        let rows: Vec<Vec<String>> = evidence
            .held_by(service)
            .map(|held| {
                let play = &held.play;
                let played = Timestamp::from_second(play.second).map(time).unwrap_or_default();
                let sent = format!("{}x", held.sent);
                vec![play.listener.clone(), played, play.title.clone(), play.artist.clone(), time(held.arrived), sent]
            })
            .collect();
        terminal.text(&format!("{service}:"));
        terminal.gap();
        terminal.table(&["WHO", "PLAYED (UTC)", "WHAT", "BY", "ARRIVED", "SENT"], &rows);
        terminal.gap();
    }
    let differences = evidence.differences();
    if !differences.is_empty() {
        return Err(Failure::Story(differences.join("\n")));
    }
    let wanted = evidence.expected() / SERVICES.len();
    terminal.text(&format!(
        "Held against what was heard: each of the {wanted} plays of {} and {} is at both services exactly once, and \
         nothing of {}.",
        PLAIN.name, ROTATING.name, REVOKED.name
    ));
    Ok(())
}

async fn rotated_token(terminal: &Terminal, shell: &Shell, simulator: &Client) -> Result<(), Failure> {
    let rotating = ROTATING.name;
    let kubectl = format!("kubectl -n {NAMESPACE}");
    let secrets = format!(
        "uid=$({kubectl} get spotifyaccount {rotating} -o jsonpath='{{.metadata.uid}}')\n\
         for secret in {rotating}-spotify scrobble-operator-state-$uid; do\n  \
         {kubectl} get secret $secret -o jsonpath='{{.data.refresh-token}}' | base64 -d | sha256sum\n\
         done"
    );
    // The token goes on being replaced: the three are compared at a moment when none was.
    let (printed, accepted) = wait_until("both Secrets to hold the token that Spotify accepts", ARRIVAL, async || {
        let before = simulator.tokens(rotating).await.map_err(|error| error.to_string())?;
        let printed = shell.quietly(&secrets).await.map_err(|failure| failure.text())?;
        let after = simulator.tokens(rotating).await.map_err(|error| error.to_string())?;
        let hashes: Vec<&str> = printed.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let accepted = after.current.clone().unwrap_or_default();
        let same = hashes.len() == 2 && hashes.iter().all(|hash| *hash == accepted);
        if same && before.current == after.current {
            Ok((printed.clone(), after))
        } else {
            Err(format!("Spotify accepts {accepted}, the Secrets hold:\n{printed}"))
        }
    })
    .await?;
    terminal.text(&format!(
        "Spotify has replaced {rotating}'s refresh token {} times so far, and no replaced one was presented again. The \
         operator stores the newest in a Secret of its own, then in {rotating}'s. Hashes only, no token is shown:",
        accepted.rotations.len()
    ));
    terminal.gap();
    terminal.command(&secrets);
    terminal.output(&printed);
    terminal.gap();
    terminal.text("The only refresh token that Spotify accepts now, by the simulator's records:");
    terminal.gap();
    terminal.output(&accepted.valid.join("\n"));
    if accepted.valid.len() != 1 || !accepted.reused.is_empty() || accepted.rotations.len() < 2 {
        return Err(Failure::Story(format!("the token was not replaced as it should be: {accepted:?}")));
    }
    Ok(())
}

async fn broken_account(terminal: &Terminal, shell: &Shell) -> Result<(), Failure> {
    let kubectl = format!("kubectl -n {NAMESPACE}");
    shell.run(terminal, &format!("{kubectl} get spotifyaccounts -o wide")).await?;
    shell.run(terminal, &format!("{kubectl} events --for spotifyaccount/{}", REVOKED.name)).await?;
    owner::explain(terminal, shell, NAMESPACE, REVOKED.name).await
}

/// A moment of today, to the second.
fn time(timestamp: Timestamp) -> String {
    timestamp.strftime("%H:%M:%S").to_string()
}
