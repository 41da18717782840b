//! What is rendered on request: Service, Ingress, HTTPRoute, PodDisruptionBudget, NetworkPolicy, monitors, scheduling,
//! labels.

use super::{of_kind, only, path, plane, render, render_with, values_file};
use serde_json::{Value, json};

const SELECTOR: [(&str, &str); 2] =
    [("app.kubernetes.io/instance", "demo"), ("app.kubernetes.io/name", "scrobble-operator")];

fn selector() -> Value {
    SELECTOR.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

/// Everything of `ci/full-values.yaml`.
async fn full() -> Vec<Value> {
    render_with(&["rbac.namespaces={team-a}"], &["--values", &values_file("full-values.yaml")]).await
}

#[tokio::test]
async fn what_a_cluster_may_lack_is_off() {
    let documents = render(&[]).await;
    let mut kinds: Vec<&str> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "ClusterRole",
            "ClusterRoleBinding",
            "CustomResourceDefinition",
            "Deployment",
            "Pod",
            "Role",
            "RoleBinding",
            "Service",
            "ServiceAccount"
        ]
    );
    let test: Vec<&Value> = documents
        .iter()
        .filter(|document| document["kind"] == "Pod" || document["metadata"]["name"] == "demo-scrobble-operator-test")
        .collect();
    assert_eq!(test.len(), 4);
    for document in test {
        assert_eq!(document["metadata"]["annotations"]["helm.sh/hook"], "test", "{document}");
    }
}

#[tokio::test]
async fn a_service_leads_to_the_pods_and_to_no_test() {
    let documents = render(&["service.port=8081"]).await;
    let service = only(&documents, "Service");
    assert_eq!(service["spec"]["selector"], selector());
    assert_eq!(
        service["spec"]["ports"],
        json!([{"name": "http", "port": 8081, "targetPort": "http", "protocol": "TCP"}])
    );
    let pod = &only(&documents, "Deployment")["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"], selector());
    assert_eq!(pod["spec"]["containers"][0]["ports"][0]["name"], "http");
    assert_ne!(only(&documents, "Pod")["metadata"]["labels"]["app.kubernetes.io/name"], "scrobble-operator");
    assert_eq!(of_kind(&render(&["service.enabled=false"]).await, "Service").len(), 0);
}

/// What strangers may reach: never metrics or probes.
const PUBLIC: [&str; 3] = ["/connect", "/callback", "/diagnostics"];

#[tokio::test]
async fn an_ingress_and_a_route_lead_to_the_pages_that_people_use_and_to_no_other() {
    let further = ["--set-json", "ingress.tls=[{\"hosts\":[\"a.example.org\"],\"secretName\":\"a-tls\"}]"];
    let settings = ["ingress.enabled=true", "ingress.host=a.example.org", "ingress.className=public"];
    let documents = render_with(&settings, &further).await;
    let spec = &only(&documents, "Ingress")["spec"];
    assert_eq!((&spec["ingressClassName"], &spec["tls"][0]["secretName"]), (&json!("public"), &json!("a-tls")));
    let service = json!({"service": {"name": "demo-scrobble-operator", "port": {"name": "http"}}});
    let paths = PUBLIC.map(|path| json!({"path": path, "pathType": "Prefix", "backend": service}));
    assert_eq!(spec["rules"], json!([{"host": "a.example.org", "http": {"paths": paths}}]));
    assert_eq!(only(&documents, "Service")["metadata"]["name"], "demo-scrobble-operator");

    let further = ["--set-json", "httpRoute.parentRefs=[{\"name\":\"public\",\"namespace\":\"gateways\"}]"];
    let settings = ["httpRoute.enabled=true", "httpRoute.hostnames={a.example.org}", "service.port=8081"];
    let documents = render_with(&settings, &further).await;
    let matches = PUBLIC.map(|path| json!({"path": {"type": "PathPrefix", "value": path}}));
    assert_eq!(
        only(&documents, "HTTPRoute")["spec"],
        json!({
            "parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["a.example.org"],
            "rules": [{"matches": matches, "backendRefs": [{"name": "demo-scrobble-operator", "port": 8081}]}],
        })
    );
    assert_eq!(of_kind(&documents, "Ingress").len(), 0);

    for (settings, says) in [
        (&["ingress.enabled=true"][..], "ingress.host must be set"),
        (&["httpRoute.enabled=true"], "httpRoute.parentRefs must name a Gateway"),
        (&["ingress.enabled=true", "ingress.host=a", "service.enabled=false"], "ingress needs service.enabled=true"),
        (&["httpRoute.enabled=true", "service.enabled=false"], "httpRoute needs service.enabled=true"),
        (&["ingress.enabled=true", "ingress.host=A/b"], "ingress"),
    ] {
        let chart = path();
        let mut arguments = vec!["template", "demo", &chart];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
        let refused = plane().await.helm(&arguments).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{settings:?}: {refused}");
    }
}

#[tokio::test]
async fn a_budget_says_what_may_go_or_what_must_stay() {
    let spec = async |settings: &[&str]| only(&render(settings).await, "PodDisruptionBudget")["spec"].clone();
    let expected = |key: &str, value: Value| {
        let mut spec = json!({"unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": selector()}});
        spec[key] = value;
        spec
    };
    assert_eq!(spec(&["podDisruptionBudget.enabled=true"]).await, expected("maxUnavailable", json!(1)));
    let none = spec(&["podDisruptionBudget.enabled=true", "podDisruptionBudget.maxUnavailable=0"]).await;
    assert_eq!(none, expected("maxUnavailable", json!(0)));
    let half = spec(&["podDisruptionBudget.enabled=true", "podDisruptionBudget.minAvailable=50%"]).await;
    assert_eq!(half, expected("minAvailable", json!("50%")));
    let zero = spec(&["podDisruptionBudget.enabled=true", "podDisruptionBudget.minAvailable=0"]).await;
    assert_eq!(zero, expected("minAvailable", json!(0)));
}

/// The addresses and ports of an egress rule.
fn egress(rule: &Value) -> (Vec<String>, Vec<String>) {
    let list = |value: &Value, name: fn(&Value) -> String| value.as_array().into_iter().flatten().map(name).collect();
    (
        list(&rule["to"], |peer| peer["ipBlock"]["cidr"].as_str().unwrap().to_owned()),
        list(&rule["ports"], |port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap())),
    )
}

#[tokio::test]
async fn a_network_policy_lets_pods_reach_what_they_need() {
    let documents =
        render(&["networkPolicy.enabled=true", "allowPrivateTargets={10.20.0.0/16}", "networkPolicy.dnsPorts={53}"])
            .await;
    let spec = &only(&documents, "NetworkPolicy")["spec"];
    assert_eq!(spec["podSelector"]["matchLabels"], selector());
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(spec["ingress"], json!([{"ports": [{"port": "http", "protocol": "TCP"}]}]));
    let rules = spec["egress"].as_array().unwrap();
    let strings = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        rules.iter().map(egress).collect::<Vec<_>>(),
        [
            (strings(&[]), strings(&["53/UDP", "53/TCP"])),
            (strings(&["0.0.0.0/0", "::/0"]), strings(&["443/TCP", "6443/TCP"])),
            (strings(&["0.0.0.0/0", "::/0"]), strings(&["443/TCP"])),
            (strings(&["10.20.0.0/16"]), strings(&[])),
        ]
    );
    // Where the operator connects to nothing private, it cannot; the metadata service of a cloud is one such address.
    let except = |at: usize| rules[2]["to"][at]["ipBlock"]["except"].to_string();
    assert!(except(0).contains("\"169.254.0.0/16\"") && except(0).contains("\"10.0.0.0/8\""), "{}", except(0));
    assert!(except(1).contains("\"fc00::/7\"") && except(1).contains("\"fe80::/10\""), "{}", except(1));

    let documents = full().await;
    let spec = &only(&documents, "NetworkPolicy")["spec"];
    let peer = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}});
    assert_eq!(spec["ingress"][0]["from"], json!([peer]));
    let rules: Vec<_> = spec["egress"].as_array().unwrap().iter().map(egress).collect();
    assert_eq!(rules[1], (strings(&["192.0.2.10/32"]), strings(&["6443/TCP"])));
    assert_eq!(rules[2].1, strings(&["443/TCP", "8443/TCP"]));
    assert_eq!(rules[4], (strings(&["198.51.100.0/24"]), strings(&["3128/TCP"])));
}

#[tokio::test]
async fn monitors_scrape_the_pods() {
    let settings = |kind: &str| {
        [
            format!("metrics.{kind}.enabled=true"),
            format!("metrics.{kind}.labels.release=prometheus"),
            format!("metrics.{kind}.interval=30s"),
            format!("metrics.{kind}.metricRelabelings[0].action=drop"),
        ]
    };
    let endpoint = json!([{
        "port": "http", "path": "/metrics", "honorLabels": true, "interval": "30s",
        "metricRelabelings": [{"action": "drop"}],
    }]);
    for (kind, value, endpoints) in
        [("ServiceMonitor", "serviceMonitor", "endpoints"), ("PodMonitor", "podMonitor", "podMetricsEndpoints")]
    {
        let settings = settings(value);
        let documents = render(&settings.each_ref().map(String::as_str)).await;
        let monitor = only(&documents, kind);
        assert_eq!(monitor["spec"]["selector"]["matchLabels"], selector());
        assert_eq!(monitor["spec"][endpoints], endpoint);
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
        assert_eq!(of_kind(&documents, "ServiceMonitor").len() + of_kind(&documents, "PodMonitor").len(), 1);
    }
}

#[tokio::test]
async fn pods_spread_and_are_placed_as_told() {
    let documents = render(&[]).await;
    let spec = &only(&documents, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(
        spec["topologySpreadConstraints"],
        json!([{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector()},
        }])
    );
    assert_eq!(spec["priorityClassName"], Value::Null);

    let documents = full().await;
    let deployment = &only(&documents, "Deployment")["spec"];
    let spec = &deployment["template"]["spec"];
    assert_eq!(deployment["replicas"], 2);
    assert_eq!(spec["priorityClassName"], "system-cluster-critical");
    assert_eq!(spec["terminationGracePeriodSeconds"], 600);
    assert_eq!(spec["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
    assert_eq!(spec["tolerations"][0]["key"], "dedicated");
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(spec["affinity"].as_object().unwrap().len(), 2);
    let spread = &spec["topologySpreadConstraints"][0];
    assert_eq!((&spread["minDomains"], &spread["topologyKey"]), (&json!(2), &json!("topology.kubernetes.io/zone")));
    assert_eq!(spread["labelSelector"]["matchLabels"]["app.kubernetes.io/name"], "scrobbler");
    let own = json!({"labelSelector": {"matchLabels": {"tier": "backend"}}, "maxSkew": 2, "topologyKey": "rack",
        "whenUnsatisfiable": "DoNotSchedule"});
    let given = format!("topologySpreadConstraints=[{own}]");
    let documents = render_with(&[], &["--set-json", &given]).await;
    let spec = &only(&documents, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(spec["topologySpreadConstraints"], json!([own]));
}

#[tokio::test]
async fn the_container_is_as_told() {
    let documents = full().await;
    let pod = &only(&documents, "Deployment")["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    assert_eq!(pod["metadata"]["annotations"], json!({"example.org/note": "carries plays"}));
    let names: Vec<&str> =
        container["env"].as_array().unwrap().iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["POD_NAMESPACE", "HTTPS_PROXY", "NODE"]);
    let arguments = container["args"].as_array().unwrap();
    for argument in [
        "--log-level=scrobble_operator=debug",
        "--otlp-endpoint=http://collector.monitoring:4318",
        "--minimum-interval=10m",
        "--concurrency=64",
    ] {
        assert!(arguments.contains(&json!(argument)), "{argument} in {arguments:?}");
    }
    assert_eq!(container["resources"]["limits"], json!({"memory": "512Mi"}));
    assert_eq!(pod["spec"]["volumes"][0]["configMap"], json!({"name": "company-authorities"}));
    let mount = json!({"name": "certificate-authorities", "mountPath": crate::image::AUTHORITIES, "readOnly": true});
    assert_eq!(container["volumeMounts"], json!([mount]));
    assert_eq!(container["livenessProbe"]["initialDelaySeconds"], 5);
    assert_eq!(container["readinessProbe"]["periodSeconds"], 2);
}

#[tokio::test]
async fn labels_of_all_objects_are_added_and_the_charts_own_win() {
    let further =
        ["--set", "commonLabels.app\\.kubernetes\\.io/instance=other,podLabels.app\\.kubernetes\\.io/name=other"];
    let documents = render_with(&["commonLabels.team=music"], &further).await;
    assert!(documents.len() > 15);
    for document in &documents {
        let labels = &document["metadata"]["labels"];
        assert_eq!((&labels["team"], &labels["app.kubernetes.io/instance"]), (&json!("music"), &json!("demo")));
        assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm");
    }
    let pod = &only(&documents, "Deployment")["spec"]["template"]["metadata"]["labels"];
    let mut expected = selector();
    expected["team"] = json!("music");
    assert_eq!(*pod, expected);
}
