//! What providers get of a request only becomes more: the gaps are on a list, and a gap that is not on it fails.

#[path = "../examples/matrix/cells.rs"]
mod cells;

use std::collections::BTreeSet;

use cells::{CLIENTS, gaps, rows};

const KEPT: &str = include_str!("gaps.txt");

#[test]
fn no_gap_is_new_and_none_on_the_list_is_closed_already() {
    let kept: BTreeSet<String> =
        KEPT.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect();
    let now = gaps();
    let new: Vec<&String> = now.difference(&kept).collect();
    assert!(new.is_empty(), "new gaps, which a client would meet: {new:#?}");
    let closed: Vec<&String> = kept.difference(&now).collect();
    assert!(closed.is_empty(), "closed; take them off tests/gaps.txt: {closed:#?}");
    println!("{} gaps", now.len());
}

#[test]
fn every_provider_with_chat_is_met_by_every_client() {
    let (mut cells, mut carried) = (0, 0);
    for client in CLIENTS {
        let rows = rows(client);
        assert!(rows.len() >= 50, "{client}: {}", rows.len());
        for row in &rows {
            assert!(
                row.cells.iter().any(|(feature, fate)| *feature == "text" && fate.sign() == "✓"),
                "{row:?}"
            );
            cells += row.cells.len();
            carried += row.cells.iter().filter(|(_, fate)| fate.sign() == "✓").count();
        }
    }
    println!("{cells} cells, {carried} carried");
}
