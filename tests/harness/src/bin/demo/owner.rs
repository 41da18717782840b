//! What a broken account's status tells its owner.

use serde_json::Value;

use crate::failure::Failure;
use crate::shell::Shell;
use crate::terminal::Terminal;

/// Says plainly what the status of this account says, and fails if it does not say that a human must act on a revoked
/// authorization.
pub async fn explain(terminal: &Terminal, shell: &Shell, namespace: &str, account: &str) -> Result<(), Failure> {
    let object = shell.quietly(&format!("kubectl -n {namespace} get spotifyaccount {account} -o json")).await?;
    let object: Value =
        serde_json::from_str(&object).map_err(|error| Failure::Story(format!("kubectl printed no JSON: {error}")))?;
    let field =
        |kind: &str, name: &str| condition(&object, kind).and_then(|found| found[name].as_str()).unwrap_or_default();

    terminal.text(&format!("So {account}'s status tells its owner:"));
    terminal.gap();
    terminal.definition("what", &format!("{} (Ready={})", field("Ready", "reason"), field("Ready", "status")));
    terminal.definition("why", field("Ready", "message"));
    let who = match field("Stalled", "status") {
        "True" => "a human: the account is Stalled, waiting does not help",
        _ => "nobody: it is tried again",
    };
    terminal.definition("who", who);
    terminal.definition("since", field("Ready", "lastTransitionTime"));
    let expected = [("Ready", "False"), ("Authorized", "False"), ("Stalled", "True")];
    for (kind, status) in expected {
        if field(kind, "status") != status {
            return Err(Failure::Story(format!("{account} should have {kind}={status}")));
        }
    }
    if field("Ready", "reason") != "AuthorizationRevoked" {
        return Err(Failure::Story(format!("{account}'s reason should be AuthorizationRevoked")));
    }
    Ok(())
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}
