//! `lockgate catalog`, on the built-in list and on others, and what its page of the guide says of it.

use serde_json::Value;

use crate::{Place, Run};

/// A list with one model that is free and two that are not.
const LIST: &str = r#"{"format":1,"day":"2026-11-21"}
{"p":"acme","id":"gift","free":true,"ctx":1000}
{"p":"acme","id":"large","ctx":200000,"out":8000,"cap":"tv","$":{"in":2500000000,"out":10000000000,"cr":250000000,"srch":10000000000000},"$>100000":{"in":5000000000},"$batch":{"in":1250000000,"out":5000000000}}
{"p":"acme","id":"small-2026-01-01","cap":"t","$":{"in":100000000,"out":400000000}}
"#;

fn place(config: &str) -> Place {
    let place = Place::with_config(config);
    place.write("models.jsonl", LIST);
    place
}

fn own() -> Place {
    place("catalog: { file: models.jsonl }\n")
}

impl Place {
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// A command that must succeed and print for people.
    fn said(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        run.out
    }
}

fn has(run: &Run, parts: &[&str]) {
    for part in parts {
        assert!(run.out.contains(part) || run.err.contains(part), "no {part:?}:\n{}\n{}", run.out, run.err);
    }
}

// === list ===

#[test]
fn models_are_listed_with_limits_and_exact_prices() {
    let place = own();
    assert_eq!(
        place.said(&["catalog", "list", "--provider", "acme"]),
        "\
CONTEXT  OUTPUT  $ IN  $ OUT  $ CACHED  MODEL
   1000       -  free   free      free  acme/gift
 200000    8000  2.50  10.00      0.25  acme/large
      -       -  0.10   0.40         -  acme/small-2026-01-01

3 models; dollars per million tokens, prices of 2026-11-21
"
    );
    let ids = |args: &[&str]| -> Vec<String> {
        let json = place.json(&[&["catalog", "list", "--provider", "acme"], args].concat());
        let models = json["models"].as_array().unwrap();
        models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["arg"]), ["large"]);
    assert_eq!(ids(&["acme/*g*"]), ["gift", "large"]);
    assert_eq!(ids(&["arg*"]), [""; 0], "a pattern is for the whole name");
    assert_eq!(ids(&["--capability", "tools"]), ["large", "small-2026-01-01"]);
    assert_eq!(ids(&["--capability", "tools", "--capability", "vision"]), ["large"]);
    assert_eq!(ids(&["--max-input-price", "0.10"]), ["gift", "small-2026-01-01"]);
    assert_eq!(ids(&["--max-input-price", "0.099999999"]), ["gift"]);
    assert_eq!(ids(&["--mode", "embedding"]), [""; 0]);
    has(&place.run(&["catalog", "list", "--provider", "acmee"]), &["No model fits; did you mean \"acme\"?"]);
}

#[test]
fn the_built_in_list_is_there_without_a_config() {
    let place = Place::new();
    let models = place.json(&["catalog", "list", "--mode", "chat", "--capability", "tools"]);
    assert!(models["models"].as_array().unwrap().len() > 1_000);
    let shown = place.said(&["catalog", "list", "openai/gpt-4.1"]);
    assert!(shown.contains("openai/gpt-4.1-mini") && !shown.contains('\x1b'), "{shown}");
    assert_eq!(place.run(&["catalog", "list", "--max-input-price", "cheap"]).code, 2);
    has(&place.run(&["catalog", "list", "--capability", "tool"]), &["tools"]);
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0, "looking makes nothing");
}

// === show ===

#[test]
fn a_model_is_shown_with_every_price_and_how_it_was_found() {
    let place = own();
    let shown = place.run(&["catalog", "show", "acme/large"]);
    assert_eq!(shown.code, 0);
    has(
        &shown,
        &[
            "200000 tokens, output at most 8000",
            "tools, vision",
            "  standard\n    input                      2.50\n    output                    10.00\n",
            "web search                 0.01 each",
            "standard, prompts of more than 100000 tokens\n    input                      5.00",
            "  batch\n",
            "2026-11-21",
        ],
    );
    assert!(!shown.out.contains("found"), "its own name needs no word: {}", shown.out);
    let variant = Place::new().json(&["catalog", "show", "azure/gpt-4.1", "--variant", "eu"]);
    assert_eq!((&variant["variant"], &variant["found"]), (&"eu".into(), &"by its name".into()));
    let none = place.run(&["catalog", "show", "acme/large", "--variant", "eu"]);
    assert_eq!(none.code, 4);
    let other = place.said(&["catalog", "show", "acme/small"]);
    assert!(
        other.contains("acme/small-2026-01-01") && other.contains("as the newest of its name"),
        "{other}"
    );

    let json = place.json(&["catalog", "show", "acme/large"]);
    assert_eq!(json["found"], "by its name");
    assert_eq!((&json["context"], &json["max_input"]), (&200_000.into(), &Value::Null));
    let prices = json["prices"].as_array().unwrap();
    let price = |tier: &str, above: u64, counted: &str| {
        let fits = |p: &&Value| p["tier"] == tier && p["above"] == above && p["counted"] == counted;
        prices.iter().find(fits).map(|p| p["usd"].as_str().unwrap())
    };
    assert_eq!(price("standard", 0, "cache_read"), Some("0.25"));
    assert_eq!(price("standard", 100_000, "input"), Some("5.00"));
    assert_eq!(price("batch", 0, "output"), Some("5.00"));
    assert_eq!(price("standard", 0, "search"), Some("0.01"));
    assert_eq!(price("flex", 0, "input"), None);
}

#[test]
fn an_example_is_priced_line_by_line() {
    let place = own();
    let usage = "input=1000,cache_write=10,output=500,search=2";
    let shown = place.run(&["catalog", "show", "acme/large", "--usage", usage]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    // 0.0025 + 0.000025 + 0.005 + 0.02
    has(&shown, &["costs 0.027525 dollars", "standard; priced as input", "0.000025"]);
    let cost = |args: &[&str]| {
        let all = [&["catalog", "show", "acme/large", "--usage", "input=1000,output=500"], args].concat();
        place.json(&all)["cost"]["usd"].as_str().unwrap().to_owned()
    };
    assert_eq!(cost(&[]), "0.0075");
    assert_eq!(cost(&["--tier", "batch"]), "0.00375");
    let long = place.json(&["catalog", "show", "acme/large", "--usage", "input=100001"]);
    assert_eq!((&long["cost"]["usd"], &long["cost"]["assumed"]), (&"0.500005".into(), &false.into()));
    let free = place.json(&["catalog", "show", "acme/gift", "--usage", "input=1000"]);
    assert_eq!(free["cost"]["usd"], "0.00");

    let unknown =
        place.run(&["catalog", "show", "acme/large", "--usage", "input=1", "--tier", "flex", "--json"]);
    assert_eq!(unknown.code, 1, "what is not known is never zero");
    let json: Value = serde_json::from_str(&unknown.out).unwrap();
    assert!(json.get("cost").is_none() && json["unknown"].as_str().unwrap().contains("flex"), "{json}");
    for wrong in ["inptu=1", "input", "input=-1", "search=1,search_small=1", "input=1,input=2"] {
        assert_ne!(place.run(&["catalog", "show", "acme/large", "--usage", wrong]).code, 0, "{wrong}");
    }
}

#[test]
fn what_is_not_known_is_suggested() {
    let place = own();
    for (name, hint) in [
        ("acme/larg", "did you mean \"large\"?"),
        ("acm/large", "did you mean \"acme\"?"),
        ("large", "it is known at acme"),
    ] {
        let run = place.run(&["catalog", "show", name]);
        assert_eq!(run.code, 4, "{name}");
        has(&run, &[hint]);
    }
}

// === what the config says ===

#[test]
fn what_is_shown_is_what_the_config_makes_of_it() {
    let place = place(
        "
catalog: { file: models.jsonl }
providers:
  acme-2: { type: openai-compatible, base_url: 'http://127.0.0.1:9/v1' }
models:
  acme/large: { prices: { input: 2, batch: { output: 3 } }, limits: { context: 5 }, capabilities: [pdf] }
  acme/*: { discount: 10%, margin: 50% }
  acme-2/mine: { prices: { input: 1.25, output: 5 } }
",
    );
    assert_eq!(place.run(&["check"]).out.lines().next(), Some("lockgate.yaml: good"));
    let large = place.json(&["catalog", "show", "acme/large", "--usage", "input=100000"]);
    // 2 is what is paid, so the discount of the next entry takes a tenth of it: 2 * 0.9 * 1.5.
    assert_eq!(large["cost"]["usd"], "0.27");
    // The price of longer prompts was not spoken of, so it stays: 5 * 0.9 * 1.5.
    let long = place.json(&["catalog", "show", "acme/large", "--usage", "input=1000000"]);
    assert_eq!(long["cost"]["usd"], "6.75");
    assert_eq!((&large["context"], &large["capabilities"][0]), (&5.into(), &"pdf".into()));
    let mine = place.json(&["catalog", "show", "acme-2/mine", "--usage", "input=1000,output=1000"]);
    assert_eq!(mine["cost"]["usd"], "0.00625");
    assert_eq!(mine["origin"]["package"], Value::Null);
    let plain = own().json(&["catalog", "show", "acme/large"]);
    assert_ne!(plain["version"], large["version"], "a record tells by which prices it was charged");
}

#[test]
fn check_tells_of_models_that_are_not_there() {
    let place = place(
        "catalog: { file: models.jsonl }\nmodels:\n  acme/larg: { discount: 10% }\n  acmee/*: { margin: 1% }\n",
    );
    let run = place.run(&["check"]);
    assert_eq!(run.code, 0, "doubts are no mistakes: {}", run.out);
    has(
        &run,
        &[
            "lockgate.yaml:3:3: warning: models.acme/larg: ",
            "did you mean \"large\"?",
            "lockgate.yaml:4:3: warning: ",
            "did you mean \"acme\"?",
        ],
    );
}

#[test]
fn check_lists_every_mistake_of_the_list_with_its_line() {
    let place = own();
    place.write("models.jsonl", &format!("{LIST}{{\"p\":\"b\",\"id\":\"c\",\"$\":{{\"inn\":1}}}}\nx\n"));
    let run = place.run(&["check"]);
    assert_eq!(run.code, 3);
    has(&run, &["catalog.file: models.jsonl:5: \"inn\" is no bucket", "models.jsonl:6: ", "2 mistakes"]);
    for command in
        [&["catalog", "list"][..], &["catalog", "show", "acme/large"], &["catalog", "diff"], &["serve"]]
    {
        let run = place.run(command);
        assert_eq!(run.code, 3, "{command:?}");
        has(&run, &["models.jsonl:5: ", "models.jsonl:6: "]);
    }
    std::fs::remove_file(place.0.path().join("models.jsonl")).unwrap();
    has(&place.run(&["check"]), &["catalog.file: models.jsonl: No such file"]);
}

// === diff ===

#[test]
fn the_second_source_differs_for_known_reasons_only() {
    let place = Place::new();
    let run = place.run(&["catalog", "diff"]);
    assert_eq!(run.code, 0, "{}", run.err);
    has(&run, &["in both lists", " 0 open, 0 unexplained", "\nExplained: ", "--all"]);
    let json = place.json(&["catalog", "diff"]);
    let all = json["differences"].as_array().unwrap();
    let sum = json["explained"].as_u64().unwrap() + json["open"].as_u64().unwrap();
    assert_eq!((all.len() as u64, json["unexplained"].as_u64()), (sum, Some(0)));
    assert!(all.iter().all(|difference| difference["reason"].is_string()));
    assert!(place.said(&["catalog", "diff", "--all"]).lines().count() > all.len());
}

#[test]
fn a_difference_without_a_reason_fails() {
    let place = own();
    place.write("other.jsonl", &LIST.replace("2500000000,", "2600000000,"));
    let run = place.run(&["catalog", "diff", "other.jsonl"]);
    assert_eq!(run.code, 1);
    has(&run, &["acme/large  standard, input: 2.50 here, 2.60 there", "1 difference without an explanation"]);
    assert_eq!(place.run(&["catalog", "diff", "models.jsonl"]).code, 0);
    // What the config says of models is not a list price.
    let dearer = self::place("catalog: { file: models.jsonl }\nmodels: { '*/*': { margin: 10% } }\n");
    assert_eq!(dearer.run(&["catalog", "diff", "models.jsonl"]).code, 0);
    place.write("other.jsonl", "{}");
    has(&place.run(&["catalog", "diff", "other.jsonl"]), &["other.jsonl:1: "]);
}

// === update ===

#[test]
fn a_new_list_is_written_when_it_is_said() {
    let place = own();
    let new = LIST.replace("2500000000,", "2400000000,").replace("gift", "gist");
    place.write("new.jsonl", &new);
    let asked = place.run(&["catalog", "update", "--from", "new.jsonl"]);
    assert_eq!(asked.code, 1, "nobody is there to ask");
    has(
        &asked,
        &[
            "Compared with models.jsonl",
            "added: 1\n    acme/gist\n",
            "removed: 1\n    acme/gift\n",
            "prices changed: 1\n    acme/large  standard, input: 2.50 -> 2.40\n",
            "--yes",
        ],
    );
    let told = place.json(&["catalog", "update", "--from", "new.jsonl"]);
    assert_eq!((&told["written"], &told["prices"][0]["to"]), (&false.into(), &"2.40".into()));
    assert_eq!(place.text("models.jsonl"), LIST, "nothing was written so far");

    assert_eq!(place.run(&["catalog", "update", "--from", "new.jsonl", "--yes"]).code, 0);
    assert_eq!(place.text("models.jsonl"), new);
    has(
        &place.run(&["catalog", "update", "--from", "new.jsonl"]),
        &["nothing changes", "is this list already"],
    );
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 3, "nothing is left beside it");
}

#[test]
fn a_first_list_is_put_where_there_is_none() {
    let place = Place::with_config("catalog: { file: lists/models.jsonl }\n");
    place.write("new.jsonl", LIST);
    let run = place.run(&["catalog", "update", "--from", "new.jsonl", "--yes"]);
    assert_eq!(run.code, 1, "the folder is not there");
    has(&run, &["the built-in list", "lists/models.jsonl: "]);
    std::fs::create_dir(place.0.path().join("lists")).unwrap();
    let json = place.json(&["catalog", "update", "--from", "new.jsonl", "--yes"]);
    assert_eq!(json["written"], true);
    assert_eq!(place.text("lists/models.jsonl"), LIST);
}

#[test]
fn a_list_with_mistakes_is_never_written() {
    let place = own();
    place.write(
        "new.jsonl",
        &LIST.replace("\"in\":100000000", "\"in\":-1").replace("\"ctx\":1000", "\"ctx\":0"),
    );
    let run = place.run(&["catalog", "update", "--from", "new.jsonl", "--yes"]);
    assert_eq!(run.code, 3);
    has(&run, &["new.jsonl:2: ", "new.jsonl:4: "]);
    assert_eq!(place.text("models.jsonl"), LIST);
    let homeless = Place::new();
    homeless.write("new.jsonl", LIST);
    let run = homeless.run(&["catalog", "update", "--from", "new.jsonl", "--yes"]);
    assert_eq!(run.code, 3);
    has(&run, &["catalog: { file: models.jsonl }"]);
}

// === the guide ===

#[test]
fn the_page_of_the_guide_runs_as_it_is_written() {
    let place = Place::new();
    // What the page calls newer.jsonl, and its own list.
    place.write("newer.jsonl", LIST);
    let (page, ran) =
        place.run_page("catalog.md", &[("OPENAI_API_KEY", "sk-1"), ("OPENAI_EU_API_KEY", "sk-2")]);
    assert_eq!(ran, 4, "blocks that ran");
    for counted in lockgate_config::Counted::ALL {
        assert!(page.contains(&format!("`{}`", counted.as_str())), "the page lacks {counted:?}");
    }
    for tier in lockgate_config::PriceTier::ALL.iter().skip(1) {
        assert!(page.contains(&format!("`{}`", tier.as_str())), "the page lacks {tier:?}");
    }
}
