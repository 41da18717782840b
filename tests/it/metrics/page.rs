//! `/metrics` as a scraper reads it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use scrobble_harness::OperatorProcess;

use crate::world::DEADLINE;

/// What a page says.
pub struct Page {
    /// Every series with its value.
    pub samples: BTreeMap<String, f64>,
    /// The names that are told to have a type.
    pub families: BTreeSet<String>,
}

impl Page {
    pub fn parse(text: &str) -> Self {
        let mut page = Self { samples: BTreeMap::new(), families: BTreeSet::new() };
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                let name = told.split_once(' ').unwrap().0;
                assert!(page.families.insert(name.to_owned()), "{name} twice");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(page.samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} twice");
            }
        }
        page
    }

    /// The value of a series.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The sum of all series that begin so.
    pub fn sum(&self, start: &str) -> f64 {
        self.samples.iter().filter(|(series, _)| series.starts_with(start)).map(|(_, value)| value).sum()
    }

    /// For how many accounts there are series.
    pub fn of_accounts(&self) -> usize {
        let accounts = self.samples.keys().filter(|series| series.starts_with("scrobble_operator_account_"));
        let ready = accounts.clone().filter(|series| series.starts_with("scrobble_operator_account_ready{")).count();
        if ready == 0 { accounts.count() } else { ready }
    }
}

/// The page in the older form.
pub async fn get(operator: &OperatorProcess) -> Page {
    Page::parse(&ask(operator, Method::GET, None).await.2)
}

/// Asks for the page: the status, the type, the text.
pub async fn ask(operator: &OperatorProcess, method: Method, accept: Option<&str>) -> (StatusCode, String, String) {
    let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
    let request = client.request(method, format!("{}/metrics", operator.url()));
    let request = accept.into_iter().fold(request, |request, accept| request.header(ACCEPT, accept));
    let answer = request.send().await.unwrap();
    let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
    (answer.status(), kind.unwrap_or_default(), answer.text().await.unwrap())
}
