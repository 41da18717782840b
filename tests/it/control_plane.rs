//! The control plane that all other tests stand on.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt as _};
use scrobble_harness::process::is_running;
use scrobble_harness::{ControlPlane, Options, TestNamespace, wait_for_object, wait_until};

const DEADLINE: Duration = Duration::from_mins(1);

fn config_map(name: &str, owner: Option<&ConfigMap>) -> ConfigMap {
    let owner = owner.map(|owner| OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap(),
        ..OwnerReference::default()
    });
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("key".to_owned(), "value".to_owned())])),
        ..ConfigMap::default()
    }
}

fn config_maps(client: Client, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(client, namespace)
}

#[tokio::test]
async fn the_server_is_the_pinned_version() {
    let plane = ControlPlane::shared().await.unwrap();
    let version = plane.client().unwrap().apiserver_version().await.unwrap();
    assert_eq!((version.git_version.as_str(), version.major.as_str(), version.minor.as_str()), ("v1.37.2", "1", "37"));
}

#[tokio::test]
async fn a_fresh_service_account_may_do_only_what_a_role_grants() {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().unwrap();
    let TestNamespace { name: namespace } = TestNamespace::create(&client, "rbac").await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &namespace);
    let account = ServiceAccount {
        metadata: ObjectMeta { name: Some("fresh".to_owned()), ..ObjectMeta::default() },
        ..ServiceAccount::default()
    };
    accounts.create(&PostParams::default(), &account).await.unwrap();

    let fresh = plane.client_for_service_account(&namespace, "fresh").await.unwrap();
    let refused = config_maps(fresh.clone(), &namespace).list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");

    plane
        .kubectl(&["-n", &namespace, "create", "role", "reader", "--verb=list", "--resource=configmaps"])
        .await
        .unwrap();
    let account = format!("--serviceaccount={namespace}:fresh");
    plane.kubectl(&["-n", &namespace, "create", "rolebinding", "reader", "--role=reader", &account]).await.unwrap();
    wait_until("the role to take effect", DEADLINE, async || {
        config_maps(fresh.clone(), &namespace).list(&ListParams::default()).await
    })
    .await
    .unwrap();
    let refused =
        config_maps(fresh, &namespace).create(&PostParams::default(), &config_map("one", None)).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");
}

#[tokio::test]
async fn a_kubeconfig_of_a_service_account_works_in_its_namespace() {
    let plane = ControlPlane::shared().await.unwrap();
    let TestNamespace { name: namespace } =
        TestNamespace::create(&plane.client().unwrap(), "kubeconfig").await.unwrap();
    wait_until("the default ServiceAccount", DEADLINE, async || {
        plane.kubeconfig_for_service_account(&namespace, "default").await.map_err(|error| format!("{error:?}"))
    })
    .await
    .unwrap();
    let file = plane.kubeconfig_for_service_account(&namespace, "default").await.unwrap();
    let printed = plane.kubectl(&["--kubeconfig", &file.display().to_string(), "auth", "whoami"]).await.unwrap().stdout;
    assert!(printed.contains(&format!("system:serviceaccount:{namespace}:default")), "{printed}");
}

#[tokio::test]
async fn a_client_can_act_as_another_user() {
    let plane = ControlPlane::shared().await.unwrap();
    let TestNamespace { name: namespace } = TestNamespace::create(&plane.client().unwrap(), "as").await.unwrap();
    let tenant = plane.client_as("tenant", &["tenants"]).unwrap();
    let refused = config_maps(tenant, &namespace).list(&ListParams::default()).await.unwrap_err();
    assert!(refused.to_string().contains("\"tenant\""), "{refused}");
}

#[tokio::test]
async fn the_audit_log_shows_who_wrote_what() {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().unwrap();
    let TestNamespace { name: namespace } = TestNamespace::create(&client, "audit").await.unwrap();
    let audit = plane.audit();
    let before = audit.marker().unwrap();

    let maps = config_maps(client.clone(), &namespace);
    maps.create(&PostParams::default(), &config_map("written", None)).await.unwrap();
    maps.create(&PostParams::default(), &config_map("written", None)).await.unwrap_err();
    maps.get("written").await.unwrap();
    let after = audit.settle(&client).await.unwrap();

    let writes = audit.writes_by("admin", &namespace, before).unwrap();
    let [write] = writes.as_slice() else { panic!("{writes:#?}") };
    assert_eq!((write.verb.as_str(), write.code, write.name.as_deref()), ("create", 201, Some("written")));
    assert!(write.is_about("configmaps"), "{write:#?}");
    assert_eq!(write.request, None, "only the operator's own kinds are logged with their bodies");
    let own = audit.entries_since(before).unwrap().into_iter().filter(|entry| entry.is_in(&namespace));
    let codes: Vec<u16> = own.filter(|entry| entry.user == "admin").map(|entry| entry.code).collect();
    assert_eq!(codes, [201, 409, 200]);
    assert_eq!(audit.writes_by("admin", &namespace, after).unwrap().len(), 0);
}

#[tokio::test]
async fn owned_objects_and_namespaces_are_collected_and_roles_are_aggregated() {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().unwrap();
    let namespace = TestNamespace::create(&client, "collected").await.unwrap();
    let maps = config_maps(client.clone(), &namespace.name);
    let owner = maps.create(&PostParams::default(), &config_map("owner", None)).await.unwrap();
    maps.create(&PostParams::default(), &config_map("owned", Some(&owner))).await.unwrap();

    plane.kubectl(&["-n", &namespace.name, "delete", "configmap", "owner"]).await.unwrap();
    wait_until("the owned object to go", DEADLINE, async || {
        maps.get_opt("owned").await.is_ok_and(|object| object.is_none())
    })
    .await
    .unwrap();

    namespace.delete(plane).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    wait_until("the namespace to go", DEADLINE, async || {
        namespaces.get_opt(&namespace.name).await.is_ok_and(|object| object.is_none())
    })
    .await
    .unwrap();

    let roles: Api<ClusterRole> = Api::all(client);
    let has_rules = |role: &ClusterRole| role.rules.as_ref().is_some_and(|rules| !rules.is_empty());
    wait_for_object(&roles, "edit", "aggregated rules", DEADLINE, has_rules).await.unwrap();
}

#[tokio::test]
async fn the_servers_can_be_stopped_and_started_again_on_the_same_data() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let maps = config_maps(plane.client().unwrap(), "default");
    maps.create(&PostParams::default(), &config_map("kept", None)).await.unwrap();

    plane.stop_api_server().await.unwrap();
    assert!(maps.get("kept").await.is_err());
    plane.kill_etcd().await.unwrap();
    plane.start_etcd().await.unwrap();
    plane.start_api_server().await.unwrap();

    assert_eq!(maps.get("kept").await.unwrap().name_any(), "kept");
}

#[tokio::test]
async fn the_shared_servers_cannot_be_stopped_by_one_test() {
    let plane = ControlPlane::shared().await.unwrap();
    let error = plane.stop_api_server().await.unwrap_err();
    assert!(error.to_string().contains("other tests use this control plane"), "{error}");
}

#[tokio::test]
#[ignore = "started by a_killed_test_program_leaves_no_server_behind in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test that started it reads it")]
async fn helper_that_starts_a_control_plane() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let ids: Vec<String> = plane.process_ids().await.iter().map(u32::to_string).collect();
    println!("started {} in {}", ids.join(" "), plane.folder().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_program_leaves_no_server_behind() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "control_plane::helper_that_starts_a_control_plane", "--ignored", "--nocapture"]);
    let mut program = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("started ")).unwrap();
    let (ids, folder) = line.split_once("started ").unwrap().1.split_once(" in ").unwrap();
    let ids: Vec<u32> = ids.split(' ').map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.iter().filter(|id| is_running(**id)).count(), 3, "{line}");

    program.kill().unwrap();
    program.wait().unwrap();

    wait_until("the servers and their folder to go", DEADLINE, async || {
        !ids.iter().any(|id| is_running(*id)) && !std::path::Path::new(folder).exists()
    })
    .await
    .unwrap();
}
