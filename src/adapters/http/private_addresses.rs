//! Where a URL that people configure may not lead, one test for each way to try.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::address::{AllowedRanges, Guard, GuardedResolver, Refused, Security};
use super::{Answer, GuardedClient};
use crate::domain::answer::Trouble;

const DEADLINE: Duration = Duration::from_secs(5);
/// A public address. No test connects to it.
const PUBLIC: &str = "1.1.1.1";

fn ranges(texts: &[&str]) -> AllowedRanges {
    rustls::crypto::ring::default_provider().install_default().ok();
    AllowedRanges::new(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// A client without any allowed range.
fn strict() -> GuardedClient {
    GuardedClient::new(&ranges(&[])).unwrap()
}

async fn get(client: &GuardedClient, url: &str) -> Result<Answer, Trouble> {
    client.send(Method::GET, &url.parse().unwrap(), DEADLINE, super::ANSWER_BYTES, |request| request).await
}

/// A server of this machine that must not hear anything.
async fn silent_server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
    server
}

/// A host is refused over TLS and in clear text, also where a server listens.
async fn assert_refused(client: &GuardedClient, host: &str) {
    let server = silent_server().await;
    let port = server.address().port();
    for url in [format!("https://{host}:{port}/"), format!("http://{host}:{port}/"), format!("https://{host}/")] {
        assert_eq!(get(client, &url).await.unwrap_err(), Trouble::AddressRefused, "{url}");
    }
    assert!(server.received_requests().await.unwrap().is_empty(), "{host}");
}

/// One test for each host.
macro_rules! refused {
    ($($name:ident: $($host:literal),+;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let client = strict();
                for host in [$($host),+] {
                    assert_refused(&client, host).await;
                }
            }
        )+
    };
}

refused! {
    loopback_is_refused: "127.0.0.1", "127.9.9.9";
    loopback_in_other_notations_is_refused: "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.";
    loopback_of_version_six_is_refused: "[::1]";
    the_metadata_service_is_refused: "169.254.169.254", "[fd00:ec2::254]";
    link_local_of_version_six_is_refused: "[fe80::1]", "[febf::1]";
    unique_local_is_refused: "[fc00::1]", "[fd12:3456::1]";
    mapped_loopback_is_refused: "[::ffff:127.0.0.1]", "[::ffff:7f00:1]";
    mapped_metadata_service_is_refused: "[::ffff:169.254.169.254]";
    compatible_loopback_is_refused: "[::127.0.0.1]";
    loopback_behind_nat64_is_refused: "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]";
    metadata_service_behind_nat64_is_refused: "[64:ff9b::a9fe:a9fe]";
    loopback_behind_6to4_is_refused: "[2002:7f00:1::]", "[2002:7f00:1::1]";
    private_network_behind_6to4_is_refused: "[2002:a00:1::]", "[2002:c0a8:1::]";
    teredo_is_refused: "[2001::1]";
    the_unspecified_address_is_refused: "0.0.0.0", "0", "[::]";
    this_network_is_refused: "0.1.2.3";
    private_networks_are_refused: "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1";
    carrier_grade_nat_is_refused: "100.64.0.1", "100.127.255.255";
    multicast_and_broadcast_are_refused: "224.0.0.1", "255.255.255.255", "[ff02::1]";
    a_name_that_resolves_to_a_private_address_is_refused: "localhost", "LOCALHOST";
}

#[tokio::test]
async fn clear_text_to_a_public_address_is_refused() {
    for host in [PUBLIC, "[2606:4700:4700::1111]", "[::ffff:1.1.1.1]"] {
        assert_eq!(get(&strict(), &format!("http://{host}/")).await.unwrap_err(), Trouble::AddressRefused, "{host}");
    }
}

#[tokio::test]
async fn clear_text_to_a_name_with_a_public_address_is_refused() {
    let names = Names::answering(&[&[PUBLIC]]);
    assert_eq!(get(&names.client(&[]), "http://example.org/").await.unwrap_err(), Trouble::AddressRefused);
    assert_eq!(names.asked(), 1);
}

#[tokio::test]
async fn a_user_name_or_password_is_refused() {
    let server = silent_server().await;
    let open = GuardedClient::new(&ranges(&["127.0.0.0/8"])).unwrap();
    let refused = Trouble::UrlRefused("it holds a user name or password");
    for userinfo in ["user:word@", "user@", ":word@", "127.0.0.1:80@", "%00@"] {
        let url = server.uri().replace("http://", &format!("http://{userinfo}"));
        assert_eq!(get(&open, &url).await.unwrap_err(), refused, "{url}");
        let url = url.replace("http://", "https://");
        assert_eq!(get(&open, &url).await.unwrap_err(), refused, "{url}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_followed() {
    let private = silent_server().await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start().await;
        let redirect = ResponseTemplate::new(status).insert_header("location", private.uri());
        Mock::given(any()).respond_with(redirect).expect(1).mount(&server).await;
        let open = GuardedClient::new(&ranges(&["127.0.0.1/32"])).unwrap();
        assert_eq!(get(&open, &server.uri()).await.unwrap().status, status);
    }
}

/// Names whose addresses change: each look-up takes the next answer, and the last one stays.
#[derive(Clone)]
struct Names(Arc<Mutex<(VecDeque<Vec<IpAddr>>, usize)>>);

impl Names {
    fn answering(answers: &[&[&str]]) -> Self {
        let addresses = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new((answers.iter().map(addresses).collect(), 0))))
    }

    fn client(&self, allowed: &[&str]) -> GuardedClient {
        GuardedClient::with_names(&ranges(allowed), &(Arc::new(self.clone()) as Arc<dyn Resolve>)).unwrap()
    }

    fn guarded(&self, security: Security, allowed: &[&str]) -> GuardedResolver {
        let guard = Arc::new(Guard { allowed: ranges(allowed), security });
        GuardedResolver { guard, names: Arc::new(self.clone()) }
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Resolve for Names {
    fn resolve(&self, _name: Name) -> Resolving {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        let answer = if state.0.len() > 1 { state.0.pop_front() } else { state.0.front().cloned() };
        let addresses: Vec<SocketAddr> =
            answer.unwrap_or_default().into_iter().map(|address| SocketAddr::new(address, 0)).collect();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}

/// What a guarded look-up finds, or that all of it is refused.
async fn look_up(resolver: &GuardedResolver) -> Result<Vec<String>, ()> {
    match resolver.resolve("example.org".parse().unwrap()).await {
        Ok(found) => Ok(found.map(|address| address.ip().to_string()).collect()),
        Err(error) => {
            assert!(error.is::<Refused>(), "{error}");
            Err(())
        }
    }
}

#[tokio::test]
async fn each_look_up_is_judged_anew() {
    let names = Names::answering(&[&[PUBLIC], &["169.254.169.254"], &["10.0.0.1", PUBLIC, "::1"], &["::1", "fe80::1"]]);
    let resolver = names.guarded(Security::Tls, &[]);
    assert_eq!(look_up(&resolver).await, Ok(vec![PUBLIC.to_owned()]));
    assert_eq!(look_up(&resolver).await, Err(()));
    assert_eq!(look_up(&resolver).await, Ok(vec![PUBLIC.to_owned()]), "of a mixed answer only what is public");
    assert_eq!(look_up(&resolver).await, Err(()));
    let names = Names::answering(&[&[PUBLIC, "127.0.0.1"], &[PUBLIC]]);
    let resolver = names.guarded(Security::ClearText, &["127.0.0.0/8"]);
    assert_eq!(look_up(&resolver).await, Ok(vec!["127.0.0.1".to_owned()]));
    assert_eq!(look_up(&resolver).await, Err(()));
}

/// A server on all addresses of this machine that writes down on which one it was reached, and keeps no connection.
async fn listening_server() -> (u16, Arc<Mutex<Vec<IpAddr>>>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reached = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reached);
    let serving = tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            seen.lock().unwrap().push(connection.local_addr().unwrap().ip());
            let mut request = [0; 4096];
            let length = connection.read(&mut request).await.unwrap();
            assert!(request[..length].ends_with(b"\r\n\r\n"), "one request fits");
            connection.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        }
    });
    (port, reached, serving)
}

/// 127.0.0.1 stands for an address that may be connected to and 127.0.0.2 for one that may not.
#[tokio::test]
async fn a_name_that_changes_its_answer_between_check_and_connection_is_refused_where_it_is_connected_to() {
    let (port, reached, serving) = listening_server().await;
    let names = Names::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = names.client(&["127.0.0.1/32"]);
    let url = format!("http://example.org:{port}/");
    assert_eq!(get(&client, &url).await.unwrap().status, 204);
    assert_eq!(names.asked(), 1, "what is checked is what is connected to: no second look-up that could differ");
    for look_ups in [2, 3] {
        assert_eq!(get(&client, &url).await.unwrap_err(), Trouble::AddressRefused);
        assert_eq!(names.asked(), look_ups);
    }
    assert_eq!(*reached.lock().unwrap(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    serving.abort();
}
