//! Whatever the text is, loading it ends soon, does not panic and says something sensible.

use std::time::{Duration, Instant};

use lockgate_config::{Known, Severity, load};
use proptest::prelude::*;

const KNOWN: Known<'_> = Known::providers(&["openai", "anthropic", "gemini", "demo"]);

fn env(name: &str) -> Option<String> {
    matches!(name, "ADMIN" | "OPENAI_API_KEY").then(|| "sk-hidden".to_owned())
}

/// Loads a text and checks what holds for every text.
fn check(text: &str) {
    let (config, diagnostics) = load(text, &env, &KNOWN);
    let usable = diagnostics.iter().all(|found| found.severity == Severity::Warning);
    assert_eq!(config.is_some(), usable);
    let lines = text.lines().count() + 1;
    for found in &diagnostics {
        assert!((1..=lines).contains(&(found.line as usize)) && found.column >= 1, "{found}");
        assert!(!found.to_string().contains("sk-hidden"), "{found}");
    }
    // The same text is always said to be the same.
    assert_eq!(load(text, &env, &KNOWN), (config, diagnostics));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn text_of_yaml_marks(text in "([ \n\t:,{}&*!|>%@`'\"#?$~-]|\\[|\\]|a|b|---|\\.\\.\\.|<<|\\$\\{A\\}|\r\n){0,60}") {
        check(&text);
    }

    #[test]
    fn a_good_file_with_damage(
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        patch in "([ \n\t:,{}&*!|>'\"#?$-]|\\[|\\]|[a-z0-9]){0,12}",
    ) {
        let good = include_str!("full.yaml");
        let start = at.index(good.len());
        let end = (start + length).min(good.len());
        check(&format!("{}{patch}{}", &good[..start], &good[end..]));
    }

    #[test]
    fn a_good_file_with_lines_moved(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), indent in 0_usize..8) {
        let mut lines: Vec<String> = include_str!("full.yaml").lines().map(str::to_owned).collect();
        let line = lines.remove(from.index(lines.len()));
        let place = to.index(lines.len());
        lines.insert(place, format!("{}{}", " ".repeat(indent), line.trim_start()));
        check(&lines.join("\n"));
    }

    #[test]
    fn a_good_file_cut_short(at in any::<prop::sample::Index>()) {
        let good = include_str!("full.yaml");
        check(&good[..at.index(good.len())]);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the time that a reading really takes is what is tested")]
fn large_and_deep_files_end_soon() {
    const BYTES: usize = 4 * 1024 * 1024;
    let filled = |piece: &str| piece.repeat(BYTES / piece.len());
    let laughs: String = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, i| {
        let before = format!("*a{}, ", i - 1).repeat(9);
        format!("{text}a{i}: &a{i} [{}]\n", before.trim_end_matches(", "))
    });
    let ladder: String = (1..100_000).fold("a0: &a0 [x]\n".to_owned(), |mut text, i| {
        text.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        text
    });
    let wide: String = (0..200_000).fold(String::new(), |mut text, i| {
        text.push_str(&format!("key{i}: 1\n"));
        text
    });
    let routes: String = (0..60_000).fold("routes:\n".to_owned(), |mut text, i| {
        text.push_str(&format!("  r{i}: [p{i}/m, \"${{A}}\"]\n"));
        text
    });
    let providers: String = (0..100_000).fold("providers:\n".to_owned(), |mut text, i| {
        text.push_str(&format!("  p{i}: {{ x: 1 }}\n"));
        text
    });
    let long_key = format!("{}: {{ {} }}", "k".repeat(1_000_000), "a: 1, ".repeat(100_000));
    let cases = [
        ("laughs", laughs),
        ("ladder", ladder),
        ("wide", wide),
        ("routes", routes),
        ("providers", providers),
        ("long key", long_key),
        ("[", filled("[")),
        ("{", filled("{")),
        ("- ", filled("- ")),
        ("? ", filled("? ")),
        ("a: ", filled("a: ")),
        ("[a,", filled("[a,")),
        ("\"", filled("\"")),
        ("x", filled("x")),
        ("${", filled("${")),
        ("$", format!("store: '{}'", "$".repeat(4_000_000))),
        ("&a ", filled("&a ")),
        ("!a ", filled("!a ")),
        ("\\n", filled("\n")),
        ("#", filled("#\n")),
        ("- |", filled("- |\n")),
        ("lines", filled("a\n")),
        ("indent", (0..2000).fold(String::new(), |text, i| text + &" ".repeat(i) + "a:\n")),
        ("too large", "#".repeat(BYTES + 1)),
    ];
    for (name, text) in cases {
        let start = Instant::now();
        let (config, diagnostics) = load(&text, &env, &KNOWN);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{name} took {took:?}");
        assert!(diagnostics.len() < 1000);
        assert!(config.is_none() || matches!(name, "\\n" | "#"), "{name}");
    }
}
