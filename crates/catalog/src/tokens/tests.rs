use std::time::Duration;

use super::*;

const PROSE: &str = "Lockgate is one process between applications and model providers. A client shows a virtual key \
and names a model; the gateway decides which targets that name stands for, calls them in order until one answers.";

fn loaded(vocabulary: Vocabulary) -> Counter {
    let counter = Counter::new();
    assert!(!counter.has(vocabulary), "nothing is loaded before it is asked for");
    counter.load(vocabulary);
    counter
}

#[test]
fn counts_are_those_of_the_published_vocabularies() {
    // Counted with the reference implementations.
    for (vocabulary, family, text, tokens) in [
        (Vocabulary::O200k, Family::Gpt, "hello world", 2),
        (Vocabulary::O200k, Family::Gpt, "The quick brown fox jumps over the lazy dog.", 10),
        (Vocabulary::Cl100k, Family::Gpt4, "tiktoken is great!", 6),
        (Vocabulary::Cl100k, Family::Gpt4, "お誕生日おめでとう", 9),
        (Vocabulary::O200k, Family::Gpt, "", 0),
    ] {
        let count = loaded(vocabulary).count(family, text);
        assert_eq!((count.tokens, count.exact, count.basis), (tokens, true, Basis::Vocabulary), "{text:?}");
    }
}

#[test]
fn every_vocabulary_loads_and_counts() {
    for (vocabulary, family) in [
        (Vocabulary::O200k, Family::DeepSeek),
        (Vocabulary::Cl100k, Family::Llama),
        (Vocabulary::Qwen2, Family::Qwen),
        (Vocabulary::MistralV3, Family::Mistral),
    ] {
        let count = loaded(vocabulary).count(family, PROSE);
        assert!((35..=50).contains(&count.tokens) && !count.exact, "{vocabulary:?}: {count:?}");
    }
}

#[test]
fn a_long_text_is_sampled_and_nearly_exact() {
    let counter = loaded(Vocabulary::Cl100k);
    let source = include_str!("../../data/README.md");
    let text = source.repeat(60);
    let count = counter.count(Family::Gpt4, &text);
    let whole = counter.count(Family::Gpt4, source).tokens * 60;
    assert!(!count.exact && counter.count(Family::Gpt4, source).exact);
    assert!(count.tokens.abs_diff(whole) * 50 < whole, "{} of {whole}", count.tokens);
}

#[test]
fn blocks_do_not_change_a_count() {
    // Counted as one piece and in blocks.
    let text: String = (0..120).map(|n| format!("{PROSE}\n\n  {n}. «{PROSE}» — it's {n},{n}\n")).collect();
    let counter = loaded(Vocabulary::Cl100k);
    let whole = tiktoken::encoding::cl100k_base().count(&text) as u64;
    let count = counter.count(Family::Gpt4, &text);
    assert_eq!((count.tokens, count.exact), (whole, true), "{} bytes", text.len());
}

#[test]
fn without_a_vocabulary_letters_decide() {
    let counter = Counter::new();
    let count = counter.count(Family::Gpt, PROSE);
    assert_eq!((count.exact, count.basis), (false, Basis::Letters));
    assert!((30..=50).contains(&count.tokens), "{count:?}");
    assert!(counter.count(Family::Claude, PROSE).tokens > count.tokens);
}

#[test]
fn a_report_makes_the_next_estimate_better() {
    let counter = Counter::new();
    let text = PROSE.repeat(20);
    for _ in 0..200 {
        let count = counter.count(Family::Gemini, &text);
        counter.observe(Family::Gemini, &count, count.raw * 3 / 2);
    }
    let count = counter.count(Family::Gemini, &text);
    assert!(count.tokens.abs_diff(count.raw * 3 / 2) * 100 < count.raw, "{count:?}");
}

#[test]
fn an_exact_count_teaches_nothing() {
    let counter = loaded(Vocabulary::Cl100k);
    let before = counter.calibration().ratio(Family::Gpt4, Basis::Vocabulary);
    let count = counter.count(Family::Gpt4, &PROSE.repeat(20));
    counter.observe(Family::Gpt4, &count, count.tokens * 2);
    assert_eq!(counter.calibration().ratio(Family::Gpt4, Basis::Vocabulary).to_bits(), before.to_bits());
}

/// A megabyte of what an attacker would send.
fn hostile() -> Vec<(&'static str, String)> {
    const MEGABYTE: usize = 1 << 20;
    let fill = |unit: &str| unit.repeat(MEGABYTE / unit.len());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let bytes: Vec<u8> = std::iter::repeat_with(|| random() as u8).take(MEGABYTE / 2).collect();
    let base64: String = std::iter::repeat_with(|| {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random() as usize % 64] as char
    })
    .take(MEGABYTE)
    .collect();
    let signs: String = std::iter::repeat_with(|| char::from_u32(0x4e00 + random() as u32 % 0x5000))
        .take(MEGABYTE / 3)
        .flatten()
        .collect();
    let lower: String =
        std::iter::repeat_with(|| char::from(b'a' + (random() % 26) as u8)).take(MEGABYTE).collect();
    let spaced: String =
        signs.char_indices().map(|(at, sign)| if at % 120 == 0 { ' ' } else { sign }).collect();
    let words = |length: usize| -> String {
        lower
            .char_indices()
            .map(|(at, letter)| if at % (length + 1) == length { ' ' } else { letter })
            .collect()
    };
    let broken = |length: usize| -> String {
        base64
            .char_indices()
            .map(|(at, letter)| if at % (length + 1) == length { ' ' } else { letter })
            .collect()
    };
    let (long, short, broken) = (words(60), words(7), broken(11));
    vec![
        ("one letter", fill("a")),
        ("random bytes", String::from_utf8_lossy(&bytes).into_owned()),
        ("random letters", lower),
        ("emoji", fill("😀👩‍👩‍👧‍👦")),
        ("signs without spaces", signs),
        ("one sign", fill("的")),
        ("base64", base64),
        ("spaces", fill(" ")),
        ("lines", fill("\n")),
        ("digits", fill("7")),
        ("marks", fill("!")),
        ("spaces and marks", fill(" !")),
        ("combining", fill("e\u{301}")),
        ("runs just short of too long", fill(&format!("{} ", "x".repeat(63)))),
        ("random words", long),
        ("random short words", short),
        ("base64 in short words", broken),
        ("signs with spaces", spaced),
        ("prose", fill(PROSE)),
    ]
}

/// Milliseconds that a build without optimisation may take for what an optimised one does in one.
const SLOW: u32 = if cfg!(debug_assertions) { 4 } else { 1 };

#[test]
fn no_megabyte_costs_more_than_fifty_milliseconds() {
    let limit = f64::from(50 * SLOW);
    let mut slow = Vec::new();
    for vocabulary in [
        None,
        Some(Vocabulary::O200k),
        Some(Vocabulary::Cl100k),
        Some(Vocabulary::Qwen2),
        Some(Vocabulary::MistralV3),
    ] {
        let counter = vocabulary.map_or_else(Counter::new, loaded);
        let family = match vocabulary {
            Some(Vocabulary::Cl100k) => Family::Gpt4,
            Some(Vocabulary::Qwen2) => Family::Qwen,
            Some(Vocabulary::MistralV3) => Family::Mistral,
            _ => Family::Gpt,
        };
        for (name, text) in hostile() {
            let time = || {
                let start = spent();
                let count = counter.count(family, &text);
                (spent().saturating_sub(start), count)
            };
            // The better of two, as caches are cold at first.
            let ((first, count), (second, _)) = (time(), time());
            let took = first.min(second).as_secs_f64() * 1_000.0 / (text.len() as f64 / 1_048_576.0);
            println!("{vocabulary:?} {name}: {took:.1} ms/MB, {} tokens", count.tokens);
            if took > limit {
                slow.push(format!("{vocabulary:?} {name}: {took:.1} ms/MB"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// Processor time of this thread: what else the machine does costs none of it.
fn spent() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.try_into().expect("nanoseconds of a second"))
}
