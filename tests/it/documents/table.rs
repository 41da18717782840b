//! What becomes of the commands on the pages. Every `sh` block is run as it is printed, on a cluster that the pages before
//! it have worked on; what needs more, or cannot be run here, stands below.

/// What a page needs.
pub struct Stage {
    /// The page.
    pub page: &'static str,
    /// A script that runs before its commands in the same shell, in a folder with the repository's `charts`, `crds`, `docs`
    /// and `examples`. `$SIMULATOR` is the simulator's address.
    pub before: &'static str,
    /// A script that runs after them in the same shell, and fails if they did not do what they should.
    pub after: &'static str,
}

/// Pages that need more than the pages before them have left, or whose effect is looked at.
pub const STAGES: [Stage; 6] = [
    Stage { page: "README.md", before: "", after: FIRST_ACCOUNT },
    Stage { page: "docs/first-account.md", before: CLEAN, after: FIRST_ACCOUNT },
    Stage { page: "docs/lastfm.md", before: LAST_FM, after: "test ${#SESSION_KEY} -ge 16" },
    Stage {
        page: "docs/plans.md",
        before: PLAN,
        after: "test -z \"$(kubectl get scrobbleplan founding -o jsonpath='{.status.members[0]}')\"",
    },
    Stage { page: "docs/secrets.md", before: TOKEN, after: "" },
    Stage { page: "docs/webhook.md", before: WEBHOOK, after: "" },
];

/// Pages whose `sh` blocks another test runs.
pub const ELSEWHERE: [(&str, &str); 1] = [("docs/backup.md", "tests/it/documents/restore.rs")];

/// Commands that are not run here, by how they begin, or, after `…`, by what stands in them, with the reason: for blocks of
/// `sh` all of whose commands are such, and for transcripts.
pub const NOT_RUN: &[(&str, &str)] = &[
    ("make ", "it builds or tests the repository; this test is a part of `make test`"),
    ("scrobble-operator connect", "a listener signs in: tests/it/connect does it at the simulator"),
    ("scrobble-operator check", "it asks Spotify: tests/it/diagnostics does it at the simulator"),
    ("helm test", "it needs a kubelet; tests/it/chart/hook.rs runs what its pod runs"),
    ("helm uninstall", "it ends what the other pages use; tests/it/chart/definitions.rs runs it"),
    ("kubectl -n music wait spotifyaccount", "no operator works on this cluster; README's walk has one"),
    ("kubectl -n music logs", "there are no pods without a kubelet"),
    ("kubectl -n music port-forward", "there are no pods without a kubelet"),
    ("kubectl -n music rollout status", "there are no pods without a kubelet"),
    ("kubectl -n music top", "there are no pods without a kubelet"),
    ("kubectl -n music create configmap company-authorities", "it takes a file of the company's"),
    ("…certificateAuthorities.configMap=", "it goes with the ConfigMap before it; tests/it/chart renders it"),
    (
        "…metrics.serviceMonitor.enabled=true",
        "it needs the definitions of the Prometheus operator; tests/it/chart renders it",
    ),
    ("curl -s localhost", "it asks what `port-forward` has brought near"),
    ("cosign ", "there is no registry; the image is built and looked at without one"),
    (
        "kubectl -n music patch secret \"scrobble-operator-journal",
        "a journal that cannot be read: tests/it/deliveries/unreadable.rs",
    ),
    ("kubeseal", "Sealed Secrets is not installed; its objects are read"),
    ("velero ", "Velero is not installed; tests/it/documents/restore.rs restores as it does"),
];

/// API groups of objects on the pages that no server here knows: the objects are only read.
pub const FOREIGN_GROUPS: [&str; 6] = [
    "argoproj.io",
    "bitnami.com",
    "external-secrets.io",
    "kustomize.toolkit.fluxcd.io",
    "monitoring.coreos.com",
    "velero.io",
];

/// The account is as its page says, with the defaults that the API server fills in.
const FIRST_ACCOUNT: &str = r#"
test "$(kubectl -n music get spotifyaccount alice -o jsonpath='{.spec.sync.interval}')" = 20m
test "$(kubectl -n music get secrets -l scrobble-operator.io/use -o jsonpath='{.items[*].metadata.labels.scrobble-operator\.io/use}')" = "credentials client"
"#;

/// The page tells of a first account as README does.
const CLEAN: &str = "
kubectl -n music delete spotifyaccounts,spotifyapps,scrobbletargets --all
kubectl -n music delete secrets -l scrobble-operator.io/use
";

/// A token, as a sign-in would have left it.
const TOKEN: &str = "
kubectl -n music create secret generic alice-spotify --from-literal=refresh-token=a-token
";

/// Last.fm is the simulator's, and the listener allows the application before the session key is asked for.
const LAST_FM: &str = r#"
API_KEY=page-api-key SHARED_SECRET=page-shared-secret
simulator() { command curl -sSf -H 'content-type: application/json' -d "$2" "$SIMULATOR/_simulator/lastfm/$1" > /dev/null; }
simulator apps '{"api_key": "page-api-key", "shared_secret": "page-shared-secret"}'
simulator users '{"name": "alice"}'
curl() {
  body=$(cat)
  case $body in
    *auth.getSession*) simulator authorizations "{\"token\": \"$TOKEN\", \"user\": \"alice\"}" ;;
  esac
  printf '%s' "$body" | command curl -sS --data @- "$SIMULATOR/lastfm/2.0/"
}
"#;

/// An editor that frees a seat.
const PLAN: &str = r#"
kubectl apply -f examples/plans.yaml
kubectl patch scrobbleplan founding --subresource=status --type=merge \
  -p '{"status": {"seatsTaken": 1, "nextNumber": 2, "members": [{"namespace": "music", "name": "alice", "number": 1, "grantedTime": "2026-11-01T00:00:00Z"}]}}'
printf '#!/bin/sh\nsed -i "/^  members:/,/^  [a-z]/{/^  members:/d; /^  - /d; /^    /d}" "$1"\n' > editor
chmod +x editor
export KUBE_EDITOR="$PWD/editor"
"#;

/// The request that the page shows.
const WEBHOOK: &str = r#"
python3 - > body.json <<'END'
import json, re
page = open("docs/webhook.md").read()
body = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL).group(1))
print(json.dumps(body, separators=(",", ":"), ensure_ascii=False), end="")
END
KEY=example-signing-key
TIMESTAMP=$(sed -n 's/^Scrobble-Operator-Timestamp: //p' docs/webhook.md)
SIGNATURE=$(sed -n 's/^Scrobble-Operator-Signature: //p' docs/webhook.md)
"#;
