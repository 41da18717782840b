//! The pages of alerts: each alert has one, each page has an alert, and they say what they must.

use std::collections::BTreeSet;
use std::fs;

use super::{alerts, file, groups, read, text};

/// Names of pages that are called after an alert.
fn pages() -> BTreeSet<String> {
    let entries = fs::read_dir(file("docs/runbooks")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.filter_map(|name| name.to_string_lossy().strip_suffix(".md").map(str::to_owned));
    names.filter(|name| !matches!(name.as_str(), "README" | "reasons")).collect()
}

#[tokio::test]
async fn each_alert_has_a_page_and_each_page_an_alert() {
    let mut named = BTreeSet::new();
    for settings in [&[][..], &["metrics.accounts.enabled=false"]] {
        let groups = groups(settings).await;
        for rule in alerts(&groups) {
            let (alert, annotations) = (text(&rule["alert"]), &rule["annotations"]);
            let page = format!("/docs/runbooks/{alert}.md");
            assert!(text(&annotations["runbook_url"]).ends_with(&page), "{annotations}");
            assert!(text(&annotations["description"]).contains(" Next: "), "{alert} says the next command");
            assert!(
                !text(&annotations["summary"]).is_empty() && !text(&annotations["summary"]).ends_with('.'),
                "{alert}"
            );
            assert!(matches!(text(&rule["labels"]["severity"]), "critical" | "warning" | "info"), "{rule}");
            named.insert(alert.to_owned());
        }
    }
    assert_eq!(pages(), named);
}

#[test]
fn each_page_says_what_it_must() {
    let index = read("docs/runbooks/README.md");
    for page in pages() {
        let text = read(&format!("docs/runbooks/{page}.md"));
        assert!(text.starts_with(&format!("# {page}\n")), "{page}");
        assert!(index.contains(&format!("[{page}]({page}.md)")), "the index lacks {page}");
        for part in [
            "\n**Means.** ",
            "\n**Listeners notice** ",
            "\n## Check\n",
            "\n## Do\n",
            "\n## Goes by itself\n",
            "\n## Do not\n",
        ] {
            assert!(text.contains(part), "{page} lacks {part:?}");
        }
        assert!(text.contains("```promql\n"), "{page} has a query");
    }
}

#[tokio::test]
async fn the_table_of_alerts_is_what_the_rules_say() {
    let table = read("docs/alerts.md");
    let groups = groups(&[]).await;
    for rule in alerts(&groups) {
        let alert = text(&rule["alert"]);
        let row = table.lines().find(|line| line.starts_with(&format!("| [{alert}](runbooks/{alert}.md) |")));
        let row = row.unwrap_or_else(|| panic!("the table lacks {alert}"));
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let waits = match text(&rule["for"]) {
            "" => "at once".to_owned(),
            waits => waits.replace('m', " min").replace('h', " h"),
        };
        assert_eq!((cells[2], cells[3]), (waits.as_str(), text(&rule["labels"]["severity"])), "{alert}");
    }
    let rows = table.lines().filter(|line| line.starts_with("| [Scrobble")).count();
    assert_eq!(rows, alerts(&groups).len());
}
