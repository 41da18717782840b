//! `kubectl explain` shows text for every field.

use super::Cluster;
use super::schema::nodes;

/// What kubectl prints where a schema has no description.
const NOTHING: [&str; 2] = ["<no description>", "<empty>"];

#[tokio::test]
async fn kubectl_explains_every_field() {
    let cluster = Cluster::new("explain").await;
    let mut explained = 0;
    for node in nodes() {
        // An object's page lists its fields with their texts.
        let Some(fields) = &node.schema.properties else { continue };
        if node.path.is_empty() {
            continue;
        }
        let path = format!("{}.{}", node.kind.to_lowercase(), node.path.replace("[]", ""));
        let page = cluster.kubectl(&["explain", &path]).await;
        for nothing in NOTHING {
            assert!(!page.contains(nothing), "{path}:\n{page}");
        }
        for (name, field) in fields {
            let (_, after) =
                page.split_once(&format!("\n  {name}\t")).unwrap_or_else(|| panic!("{path}.{name}:\n{page}"));
            let text = after.lines().skip(1).map(str::trim).collect::<Vec<_>>().join(" ");
            let description = field.description.as_deref().unwrap_or_default();
            let start: String = description.split(['.', ';']).next().unwrap_or_default().to_owned();
            assert!(!start.is_empty() && text.contains(&start), "{path}.{name}: {start:?} is not in\n{page}");
            explained += 1;
        }
    }
    assert!(explained > 100, "only {explained} fields were explained");
}

#[tokio::test]
async fn the_page_of_a_kind_says_what_it_is_for() {
    let cluster = Cluster::new("explain-kinds").await;
    for (short_name, text) in [
        ("spapp", "An OAuth client at Spotify"),
        ("spacct", "One Spotify listener"),
        ("starget", "A scrobble service or webhook"),
        ("splan", "What an account is entitled to"),
    ] {
        let page = cluster.kubectl(&["explain", short_name]).await;
        assert!(page.contains(text), "{page}");
        for nothing in NOTHING {
            assert!(!page.contains(nothing), "{page}");
        }
    }
}
