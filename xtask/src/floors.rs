//! `floors`: which of our crates may import which. The table is that of the architecture; cargo tells what is.

use std::collections::BTreeSet;

use crate::run::{self, Failure, Metadata, Outcome};

/// One of our packages, what it may import of ours, and why no more.
struct Room {
    package: &'static str,
    may_import: &'static [&'static str],
    /// Completes "because".
    reason: &'static str,
}

/// Floors 0 and 1: pure code, free for all above.
const PURE: &[&str] = &[
    "lockgate-core",
    "lockgate-dialect",
    "lockgate-catalog",
    "lockgate-route",
    "lockgate-guard",
    "lockgate-compress",
    "lockgate-config",
    "lockgate-api",
    "lockgate-ledger",
];

/// Floor 1 knows the vocabulary and nothing else.
const CORE: &[&str] = &["lockgate-core"];

/// The map of the house. A package that is not here fails the check: give it a place.
const HOUSE: &[Room] = &[
    room("lockgate-core", &[], "it is the vocabulary of all, so it knows none of them"),
    room("lockgate-demo", &[], "the demo provider stands in for a stranger and must not share our mistakes"),
    room("lockgate-dialect", CORE, "it is pure functions from bytes to bytes"),
    room("lockgate-catalog", CORE, "it is facts about models and prices"),
    room("lockgate-route", CORE, "a strategy is a pure function of a view of the candidates"),
    room("lockgate-guard", CORE, "the tester and the live path must run the same code"),
    room("lockgate-compress", CORE, "a transform is deterministic and knows only text"),
    room("lockgate-config", CORE, "it knows plug-in names only as handed in"),
    room("lockgate-api", CORE, "it is types of the admin interface and runs nothing"),
    room("lockgate-ledger", CORE, "it decides about money, so that all of it can be explored in one process"),
    room("lockgate-engine", PURE, "it works on ports, so that a unit test can run it whole"),
    room(
        "lockgate-provider",
        &["lockgate-core", "lockgate-dialect", "lockgate-config", "lockgate-demo"],
        "it knows upstreams and decides nothing about routing",
    ),
    room(
        "lockgate-store",
        &["lockgate-core", "lockgate-config", "lockgate-ledger"],
        "it knows rows; what a row of money becomes, the ledger says",
    ),
    room(
        "lockgate-notify",
        &["lockgate-core", "lockgate-config"],
        "it carries what it is handed, and decides nothing about when",
    ),
    room(
        "lockgate-telemetry",
        &["lockgate-core", "lockgate-config"],
        "it translates events and decides nothing",
    ),
    Room {
        package: "lockgate-server",
        may_import: &[
            "lockgate-core",
            "lockgate-dialect",
            "lockgate-catalog",
            "lockgate-route",
            "lockgate-guard",
            "lockgate-compress",
            "lockgate-config",
            "lockgate-api",
            "lockgate-ledger",
            "lockgate-ledger",
            "lockgate-engine",
        ],
        reason: "doors contain no policy and meet stores and providers only as ports",
    },
    Room {
        package: "lockgate",
        may_import: SHIPPED,
        reason: "it wires what ships, and nothing that only tests",
    },
    room("lockgate-testkit", PURE, "all that ships may be tested with it, so it must not need what it tests"),
    Room { package: "lockgate-e2e", may_import: TESTED, reason: "it tests from outside" },
    room("gateway-bench", &[], "it measures any gateway, so it must not share code with ours"),
    room("xtask", &[], "the tools must build when the product does not"),
];

/// All that ships.
const SHIPPED: &[&str] = &[
    "lockgate-core",
    "lockgate-demo",
    "lockgate-dialect",
    "lockgate-catalog",
    "lockgate-route",
    "lockgate-guard",
    "lockgate-compress",
    "lockgate-config",
    "lockgate-api",
    "lockgate-ledger",
    "lockgate-engine",
    "lockgate-notify",
    "lockgate-provider",
    "lockgate-store",
    "lockgate-telemetry",
    "lockgate-server",
];

/// What a crate that is itself a test may import.
const TESTED: &[&str] = &[
    // The exam's schemas: where a test may have a database of its own.
    "lockgate-store",
    "lockgate-core",
    "lockgate-demo",
    "lockgate-dialect",
    "lockgate-catalog",
    "lockgate-route",
    "lockgate-guard",
    "lockgate-compress",
    "lockgate-config",
    "lockgate-api",
    "lockgate-ledger",
    TESTKIT,
];

/// What anyone's tests may import, and nobody else.
const TESTKIT: &str = "lockgate-testkit";

/// What anyone's tests may import: the kit, and the stranger that stands where a provider would.
const TEST_DOUBLES: [&str; 2] = [TESTKIT, "lockgate-demo"];

const fn room(package: &'static str, may_import: &'static [&'static str], reason: &'static str) -> Room {
    Room { package, may_import, reason }
}

/// That `from` imports `to`; `dev` if only its tests do.
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    dev: bool,
}

pub(crate) fn run() -> Outcome {
    let metadata = run::metadata()?;
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let wrong = check(HOUSE, &ours, &edges(&metadata, &ours));
    if wrong.is_empty() {
        println!("floors: {} packages stand as the table says", ours.len());
        return Ok(());
    }
    Err(Failure::new(format!("floors:\n  {}", wrong.join("\n  "))))
}

/// The imports among our own packages.
fn edges<'a>(metadata: &'a Metadata, ours: &BTreeSet<&str>) -> Vec<Edge<'a>> {
    let of_package = |p: &'a run::Package| {
        p.dependencies.iter().filter(|d| ours.contains(d.name.as_str())).map(move |d| Edge {
            from: &p.name,
            to: &d.name,
            dev: d.kind.as_deref() == Some("dev"),
        })
    };
    metadata.packages.iter().flat_map(of_package).collect()
}

/// What breaks the table, one line each.
fn check(house: &[Room], packages: &BTreeSet<&str>, edges: &[Edge]) -> Vec<String> {
    let find = |name: &str| house.iter().find(|room| room.package == name);
    let homeless = packages.iter().filter(|p| find(p).is_none()).map(|p| {
        format!("{p} is not in the table: give it a place in ARCHITECTURE.md and in xtask/src/floors.rs")
    });
    let forbidden = edges.iter().filter_map(|edge| {
        let room = find(edge.from)?;
        let allowed = room.may_import.contains(&edge.to) || (edge.dev && TEST_DOUBLES.contains(&edge.to));
        (!allowed).then(|| {
            let may = match room.may_import {
                [] => "nothing of ours".to_owned(),
                list => list.join(", "),
            };
            let (Edge { from, to, .. }, reason) = (edge, room.reason);
            let tests = if edge.dev { " in its tests" } else { "" };
            format!("{from} imports {to}{tests}; it may import {may}, because {reason}")
        })
    });
    homeless.chain(forbidden).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(edges: &[(&str, &str, bool)]) -> Vec<String> {
        let edges: Vec<Edge> = edges.iter().map(|&(from, to, dev)| Edge { from, to, dev }).collect();
        check(HOUSE, &edges.iter().map(|e| e.from).collect(), &edges)
    }

    #[test]
    fn imports_go_down() {
        assert!(wrong(&[("lockgate-engine", "lockgate-route", false)]).is_empty());
        assert!(wrong(&[("lockgate-provider", "lockgate-demo", false)]).is_empty());
        assert!(
            wrong(&[("lockgate", "lockgate-store", false), ("lockgate", "lockgate-server", false)])
                .is_empty()
        );
    }

    #[test]
    fn neither_up_nor_sideways() {
        let up = wrong(&[("lockgate-core", "lockgate-engine", false)]);
        assert_eq!(
            up,
            ["lockgate-core imports lockgate-engine; it may import nothing of ours, \
              because it is the vocabulary of all, so it knows none of them"]
        );
        assert_eq!(wrong(&[("lockgate-engine", "lockgate-store", false)]).len(), 1);
        assert_eq!(wrong(&[("lockgate-route", "lockgate-config", false)]).len(), 1);
        assert_eq!(wrong(&[("lockgate-server", "lockgate-store", true)]).len(), 1, "nor in tests");
    }

    #[test]
    fn the_testkit_is_for_tests() {
        assert!(wrong(&[("lockgate-engine", TESTKIT, true), ("lockgate-e2e", TESTKIT, false)]).is_empty());
        assert_eq!(wrong(&[("lockgate-engine", TESTKIT, false)]).len(), 1);
        assert_eq!(wrong(&[("lockgate", TESTKIT, false)]).len(), 1);
    }

    #[test]
    fn the_demo_and_the_tools_stand_apart() {
        assert_eq!(wrong(&[("lockgate-demo", "lockgate-core", false)]).len(), 1);
        assert_eq!(wrong(&[("gateway-bench", "lockgate-core", false)]).len(), 1);
        assert_eq!(wrong(&[("xtask", "lockgate-config", true)]).len(), 1);
    }

    #[test]
    fn a_new_package_needs_a_place() {
        let wrong = check(HOUSE, &BTreeSet::from(["lockgate-attic"]), &[]);
        assert!(wrong[0].starts_with("lockgate-attic is not in the table"), "{wrong:?}");
    }

    #[test]
    fn the_table_itself_has_no_cycle_and_no_stranger() {
        let known: BTreeSet<&str> = HOUSE.iter().map(|r| r.package).collect();
        assert_eq!(known.len(), HOUSE.len(), "a package has two rooms");
        let mut placed = BTreeSet::new();
        while placed.len() < HOUSE.len() {
            let before = placed.len();
            for room in HOUSE {
                assert!(room.may_import.iter().all(|i| known.contains(i)), "{}", room.package);
                if room.may_import.iter().all(|i| *i == room.package || placed.contains(i)) {
                    placed.insert(room.package);
                }
            }
            assert!(placed.len() > before, "the table has a cycle");
        }
    }
}
