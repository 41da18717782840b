//! The second that a service is told is the one that is asked for, and a repeat is the same request.

use jiff::Timestamp;
use wiremock::{Request, ResponseTemplate};

use super::testing::{full_play, open_client, server, services};
use super::{Scrobble, Service};

/// Where the second stands in a request of each type, in the order of [`services`].
const PLACES: [&str; 4] = ["timestamp%5B0%5D={}&", r#""time":{},"#, r#""listened_at":{},"#, r#""timestamp":{},"#];

/// The request about a play at a second, by a service, a client and a connection that were not there before. `type_of`
/// is the position among [`services`].
async fn request(type_of: usize, second: i64) -> Request {
    let server = server(ResponseTemplate::new(200)).await;
    let service: Service = services(&server.uri().parse().unwrap()).into_iter().nth(type_of).unwrap();
    let timestamp = Timestamp::from_second(second).unwrap();
    service.submit(&open_client(), &[Scrobble { play: full_play(), timestamp }]).await;
    let mut requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    // Which port was free is nothing that the service decides.
    requests[0].headers.remove("host");
    requests.remove(0)
}

fn body(request: &Request) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

/// The body without Last.fm's signature, which covers the second.
fn unsigned(body: &str) -> String {
    let Some((before, rest)) = body.split_once("&api_sig=") else { return body.to_owned() };
    format!("{before}{}", &rest[32..])
}

#[tokio::test]
async fn each_type_is_told_the_second_that_is_asked_for_and_nothing_else_changes_with_it() {
    // As Spotify reports the play; its estimated start; a second that was chosen because its own was taken.
    let seconds = [1_795_428_000, 1_795_427_684, 1_795_428_007_i64];
    for (type_of, place) in PLACES.iter().enumerate() {
        let told = |second: i64| place.replace("{}", &second.to_string());
        let usual = unsigned(&body(&request(type_of, seconds[0]).await));
        for second in seconds {
            let request = request(type_of, second).await;
            let body = body(&request);
            assert_eq!(body.matches(&told(second)).count(), 1, "{body}");
            assert_eq!(unsigned(&body).replace(&told(second), &told(seconds[0])), usual);
            let header = request.headers.get("scrobble-operator-timestamp").map(|value| value.to_str().unwrap());
            assert!(header.is_none_or(|header| header == second.to_string()), "{header:?}");
        }
    }
}

#[tokio::test]
async fn the_same_play_at_the_same_second_is_the_same_request_to_the_last_byte() {
    for (type_of, place) in PLACES.iter().enumerate() {
        let [first, second] = [request(type_of, 1_795_427_684).await, request(type_of, 1_795_427_684).await];
        assert_eq!(body(&first), body(&second));
        assert_eq!(first.headers, second.headers, "{place}");
        assert_eq!((first.method, first.url.path()), (second.method, second.url.path()));
    }
}
