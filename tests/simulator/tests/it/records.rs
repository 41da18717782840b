use scrobble_simulator::api::{Endpoint, NewAccount, NewApp, RecordFilter};
use scrobble_simulator::{Clock, Options};

use crate::stage::{ALICE, CLIENT, SECRET, Stage, app, at};

#[tokio::test]
async fn every_request_is_recorded_with_both_times() {
    let real = at("2026-11-23T10:00:00Z");
    let options = Options { clock: Clock::parse("+30d,x60,@2026-11-23T10:00:00Z").unwrap(), ..Options::default() };
    let formula = options.clock;
    let stage = Stage::with(options).await;
    stage.simulator.put_app(&app()).await.unwrap();
    let tokens = stage.simulator.add_account(&NewAccount::new(ALICE, CLIENT)).await.unwrap();
    assert_eq!(stage.simulator.last_seq().await.unwrap(), 0, "scripts are no requests");
    stage.me(&tokens.access_token).await;
    stage.answer(stage.http.get(stage.url("/spotify/api/v1/tracks/1"))).await;
    let records = stage.simulator.requests(&RecordFilter::default()).await.unwrap();
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2]);
    assert!(records[0].real_time > real);
    let off = records[0].time.duration_since(formula.at(records[0].real_time)).abs();
    assert!(off < jiff::SignedDuration::from_mins(30), "within seconds of real time: {off}");
    assert_eq!((records[1].endpoint, records[1].status), (Endpoint::Unknown, Some(404)));
    assert_eq!((records[0].method.as_str(), records[0].path.as_str()), ("GET", "/spotify/api/v1/me"));
}

#[tokio::test]
async fn records_can_be_chosen() {
    let (stage, alice) = Stage::with_alice(app()).await;
    stage.simulator.put_app(&NewApp::confidential("second", SECRET)).await.unwrap();
    let bob = stage.simulator.add_account(&NewAccount::new("bob", "second")).await.unwrap();
    for tokens in [&alice, &bob] {
        stage.me(&tokens.access_token).await;
        stage.recently_played(&tokens.access_token, "").await;
    }
    let chosen = async |filter: &RecordFilter| {
        let records = stage.simulator.requests(filter).await.unwrap();
        records.iter().map(|record| record.seq).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&RecordFilter::default()).await, [1, 2, 3, 4]);
    assert_eq!(chosen(&RecordFilter::at(Endpoint::Me)).await, [1, 3]);
    assert_eq!(chosen(&RecordFilter::default().of("bob")).await, [3, 4]);
    assert_eq!(chosen(&RecordFilter::default().since(1).of(ALICE)).await, [2]);
    assert_eq!(chosen(&RecordFilter { client_id: Some("second".into()), ..Default::default() }).await, [3, 4]);
    assert_eq!(chosen(&RecordFilter { limit: Some(1), ..RecordFilter::at(Endpoint::RecentlyPlayed) }).await, [2]);
    assert_eq!(stage.simulator.last_seq().await.unwrap(), 4);
}

#[tokio::test]
async fn two_hundred_listeners_at_once_are_all_served_and_recorded() {
    let stage = Stage::new().await;
    stage.simulator.put_app(&app()).await.unwrap();
    let mut listeners = tokio::task::JoinSet::new();
    for number in 0..200 {
        let tokens = stage.simulator.add_account(&NewAccount::new(format!("listener-{number}"), CLIENT)).await.unwrap();
        let (http, base_url) = (stage.http.clone(), stage.simulator.base_url().to_owned());
        listeners.spawn(async move {
            for _ in 0..5 {
                let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
                let request = http.post(format!("{base_url}/spotify/accounts/api/token")).form(&form);
                let answer = crate::stage::answer(request.basic_auth(CLIENT, Some(SECRET))).await;
                let access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
                let url = format!("{base_url}/spotify/api/v1/me/player/recently-played?limit=50");
                assert_eq!(crate::stage::answer(http.get(url).bearer_auth(access_token)).await.status, 200);
            }
        });
    }
    while let Some(listener) = listeners.join_next().await {
        listener.unwrap();
    }
    let records = stage.simulator.requests(&RecordFilter::default()).await.unwrap();
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), (1..=2_000).collect::<Vec<_>>());
    let times = records.windows(2).all(|pair| pair[0].time <= pair[1].time);
    assert!(times, "the order of the numbers is the order of the times");
}
