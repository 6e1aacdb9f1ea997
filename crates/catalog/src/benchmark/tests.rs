use proptest::prelude::*;

use super::*;

fn table(csv: &str) -> Benchmarks {
    Benchmarks::of(from_csv(csv).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

#[test]
fn the_table_that_is_shipped_is_good_and_says_whence() {
    let table = Benchmarks::built_in();
    let coding = table.get("aider-polyglot").expect("is shipped");
    assert_eq!(coding.class, Some(Class::Coding));
    println!("{} models in {} benchmarks", coding.len(), table.iter().count());
    assert!(coding.len() >= 25);
    for row in table.rows() {
        assert!(row.cell.day.is_some() && row.cell.source.starts_with("https://"), "{row:?}");
        assert_eq!(&*row.cell.licence, "Apache-2.0", "only what may be passed on");
        assert_eq!(row.cell.samples, None);
    }
}

#[test]
fn a_model_is_known_by_the_names_that_providers_have_for_it() {
    for (id, name) in [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
        ("claude-3-7-sonnet@20250219", "claude-3-7-sonnet"),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude-3-7-sonnet"),
        ("accounts/fireworks/models/qwq-32b", "qwq-32b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b"),
        ("chatgpt-4o-latest", "chatgpt-4o"),
        ("gpt-4.1-mini", "gpt-4.1-mini"),
        ("o3", "o3"),
        ("-latest", "-latest"),
        ("", ""),
    ] {
        assert_eq!(family(id), name, "{id}");
    }
}

#[test]
fn a_cell_is_of_an_endpoint_or_of_a_family() {
    let table =
        table("benchmark,model,value,samples\nmine,gpt-4o,40,\nmine,azure/gpt-4o,50,12\nmine,groq/x,7,\n");
    let mine = table.get("mine").unwrap();
    let value = |provider, model| mine.cell(provider, model).map(|cell| cell.value);
    assert_eq!(value("openai", "gpt-4o-2024-08-06"), Some(40.0));
    assert_eq!(value("azure", "gpt-4o"), Some(50.0));
    assert_eq!(value("groq", "x"), Some(7.0));
    assert_eq!(value("other", "x"), None);
    assert_eq!(mine.cell("azure", "gpt-4o").and_then(|cell| cell.samples), Some(12));
}

#[test]
fn mistakes_come_all_at_once_with_their_lines() {
    let text = "benchmark,model,value,unit,class,samples,date\n\
                a,m,50,percent,coding,,2025-01-01\n\
                a,m,150,percent,,,\n\
                a,m,x,,,,\n\
                # a note\n\
                a,m,1,furlongs,,,\n\
                a,m,1,,cooking,,\n\
                a,m,1,,,0,\n\
                a,m,1,,,,soon\n\
                a,m\n";
    let mistakes = from_csv(text).unwrap_err();
    assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [3, 4, 6, 7, 8, 9, 10]);
    assert!(mistakes[0].to_string().contains("outside of 0 to 100"), "{}", mistakes[0]);
    assert_eq!(from_csv("benchmark,score\n").unwrap_err().len(), 3);
    assert_eq!(from_csv("").unwrap_err().len(), 1);
    assert_eq!(from_json("{}").unwrap_err().len(), 1);
    assert_eq!(from_json(r#"[{"benchmark":"a","model":"m"},{"colour":1}]"#).unwrap_err().len(), 2);
}

#[test]
fn json_and_csv_say_the_same() {
    let csv = from_csv("model,benchmark,value,samples,setting\nm,a,5,3,\"high, \"\"x\"\"\"\n").unwrap();
    let json = from_json(r#"[{"benchmark":"a","model":"m","value":5,"samples":3,"setting":"high, \"x\""}]"#)
        .unwrap();
    assert_eq!(csv, json);
    assert_eq!(&*csv[0].cell.source, "own");
}

#[test]
fn further_rows_go_before_what_is_there() {
    let before = table("benchmark,model,value\na,m,5\na,n,6\n");
    let after = before.with(from_csv("benchmark,model,value,samples\na,m,50,9\n").unwrap());
    let cell =
        |table: &Benchmarks, model| table.get("a").and_then(|a| a.cell("p", model).map(|cell| cell.value));
    assert_eq!((cell(&after, "m"), cell(&after, "n")), (Some(50.0), Some(6.0)));
    assert_ne!(before.version(), after.version());
    assert_eq!(*before.version(), *table("benchmark,model,value\na,m,5\na,n,6\n").version());
}

#[test]
fn elo_is_the_part_of_games_that_are_won() {
    let table = table("benchmark,model,value,unit\na,x,1000,elo\na,y,1400,elo\na,z,600,elo\n");
    let a = table.get("a").unwrap();
    assert!((a.normal(1000.0) - 0.5).abs() < 1e-9);
    assert!((a.normal(1400.0) - 10.0 / 11.0).abs() < 1e-9);
}

#[test]
fn fewer_errors_are_better() {
    let table = table("benchmark,model,value,unit\na,x,1,errors\na,y,10,errors\na,z,5,errors\n");
    let a = table.get("a").unwrap();
    assert!(a.normal(1.0) > a.normal(5.0) && a.normal(5.0) > a.normal(10.0));
}

proptest! {
    #[test]
    fn any_text_is_a_table_or_has_mistakes(text: String) {
        let _ = (from_csv(&text), from_json(&text), family(&text));
    }

    #[test]
    fn the_scale_grows_with_the_value_and_stays_between_0_and_1(
        values in prop::collection::vec(0.0_f64..100.0, 0..40), a in 0.0_f64..100.0, b in 0.0_f64..100.0
    ) {
        for unit in [Unit::Percent, Unit::Elo] {
            let anchors = Anchors::of(unit, &values);
            let (low, high) = (anchors.normal(unit, a.min(b)), anchors.normal(unit, a.max(b)));
            prop_assert!(low <= high && (a - b).abs() < 1e-6 || low < high, "{low} {high}");
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            prop_assert!((0.0..=1.0).contains(&anchors.median) && (0.0..=1.0).contains(&anchors.spread));
        }
    }
}
