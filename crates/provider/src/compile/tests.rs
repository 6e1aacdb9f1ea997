use lockgate_config::{Known, load};

use super::*;

const KEY_FILE: &str = include_str!("../../tests/fixtures/TEST-KEY-service-account.json");

fn compiled(yaml: &str, env: &[(&str, &str)]) -> Result<Upstream, String> {
    let names: Vec<&str> = ALL.iter().map(|p| p.name).chain([DEMO]).collect();
    let of_env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    let (config, found) = load(yaml, &of_env, &Known::providers(&names));
    let config = config.unwrap_or_else(|| panic!("{found:?}"));
    let read = |path: &PathBuf| match path.to_str() {
        Some("key.json") => Ok(KEY_FILE.as_bytes().to_vec()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    compile(&config.providers[0], &of_env, &read).map_err(|error| error.to_string())
}

/// Scheme, host and prefix of an upstream's address.
fn place(upstream: &Upstream) -> String {
    let Reach::Network(address) = &upstream.reach else { panic!("not on the network") };
    format!("{}://{}{}", address.scheme, address.authority, address.prefix)
}

/// What stands before the paths of each dialect.
fn prefixes(upstream: &Upstream) -> Vec<(&str, Option<&str>)> {
    upstream.speaks.iter().map(|speech| (speech.dialect, speech.paths.prefix.as_deref())).collect()
}

#[test]
fn a_users_own_provider_needs_only_config() {
    let own = compiled(
        "providers: {mine: {type: openai-compatible, base_url: 'http://127.0.0.1:8000/v1/', models: [a], drop: [seed]}}",
        &[("OPENAI_API_KEY", "sk-elsewhere")],
    )
    .unwrap();
    assert_eq!(place(&own), "http://127.0.0.1:8000/v1");
    assert!(own.speaks[0].headers.is_empty());
    assert_eq!(own.speaks[0].quirks.drop, ["seed"]);
}

#[test]
fn a_users_own_provider_may_speak_other_dialects() {
    let own = |kind: &str| {
        let yaml =
            format!("providers: {{mine: {{type: {kind}, base_url: 'http://h/v1', api_key: '${{K}}'}}}}");
        compiled(&yaml, &[("K", "secret")]).unwrap()
    };
    let claude = own("anthropic-compatible");
    assert_eq!(claude.speaks[0].dialect, "anthropic.messages");
    assert_eq!(claude.speaks[0].headers["x-api-key"], "secret");
    assert_eq!(claude.speaks[0].headers["anthropic-version"], "2023-06-01");
    let gemini = own("gemini-compatible");
    assert_eq!(gemini.speaks[0].dialect, "gemini.generateContent");
    assert_eq!(gemini.speaks[0].headers["x-goog-api-key"], "secret");
    assert_eq!(gemini.speaks[0].paths.whole.as_deref(), Some("/models/{model}:generateContent"));
}

#[test]
fn several_keys_are_several_credentials_that_are_named_without_their_secret() {
    let yaml =
        "providers: {mine: {type: openai-compatible, base_url: 'http://h/v1', api_key: ['${A}', '${B}']}}";
    let env = [("A", "sk-0123456789-first"), ("B", "short")];
    let own = compiled(yaml, &env).unwrap();
    let names: Vec<&str> = own.credentials.iter().map(|credential| &*credential.name).collect();
    assert_eq!(names, ["#1 \u{2026}irst", "#2"], "a short key is not shown at all");
    let shown = |at| own.shown(&own.speaks[0], at).headers[AUTHORIZATION].to_str().unwrap().to_owned();
    assert_eq!(shown(None), "Bearer sk-0123456789-first");
    assert_eq!(shown(Some(1)), "Bearer short");
    let one = compiled(&yaml.replace(", '${B}'", ""), &env).unwrap();
    assert!(one.credentials.is_empty(), "one in a list is one");
}

#[test]
fn a_key_from_the_environment_goes_only_to_its_own_place() {
    let env = [("OPENAI_API_KEY", "sk-live-1")];
    let built_in = compiled("providers: {openai: {}}", &env).unwrap();
    assert_eq!(built_in.speaks[0].headers[AUTHORIZATION], "Bearer sk-live-1");
    let moved = compiled("providers: {openai: {base_url: 'http://10.0.0.1/v1'}}", &env).unwrap();
    assert!(moved.speaks[0].headers.is_empty());
    let cloud = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-1")];
    let moved = compiled("providers: {bedrock: {base_url: 'http://10.0.0.1'}}", &cloud).unwrap();
    assert!(moved.speaks[0].signer.is_none());
    let file = [("GOOGLE_APPLICATION_CREDENTIALS", "key.json"), ("GOOGLE_CLOUD_PROJECT", "p")];
    let moved = compiled("providers: {vertex: {base_url: 'http://10.0.0.1'}}", &file).unwrap();
    assert!(moved.speaks[0].signer.is_none());
    assert!(compiled("providers: {openai: {}}", &[]).unwrap_err().contains("OPENAI_API_KEY"));
    assert!(compiled("providers: {ollama: {}}", &[]).is_ok());
}

#[test]
fn a_credential_cannot_be_printed() {
    let upstream = compiled("providers: {groq: {api_key: gsk-hidden}}", &[]).unwrap();
    assert!(!format!("{upstream:?} {:?}", upstream.speaks[0].headers).contains("gsk-hidden"));
    let cloud = [("AWS_ACCESS_KEY_ID", "AKIAHIDDEN"), ("AWS_SECRET_ACCESS_KEY", "hidden")];
    let why = compiled("providers: {bedrock: {}}", &cloud).unwrap_err();
    assert!(
        why.contains("no region: set it, or one of AWS_REGION") && !why.to_lowercase().contains("hidden")
    );
}

#[test]
fn addresses_are_filled_in() {
    let key = "api_key: k";
    for (yaml, env, expected) in [
        (format!("azure: {{{key}, resource: mine}}"), vec![], "https://mine.openai.azure.com/openai/v1"),
        (
            format!("azure: {{{key}}}"),
            vec![("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/")],
            "https://mine.openai.azure.com/openai/v1",
        ),
        (
            format!("bedrock: {{{key}}}"),
            vec![("AWS_DEFAULT_REGION", "eu-central-1")],
            "https://bedrock-runtime.eu-central-1.amazonaws.com",
        ),
        (
            format!("bedrock: {{{key}, region: cn-north-1}}"),
            vec![("AWS_REGION", "eu-central-1")],
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
        ),
        (format!("vertex: {{{key}, project: p}}"), vec![], "https://aiplatform.googleapis.com"),
        (
            format!("vertex: {{{key}, project: p, region: eu}}"),
            vec![],
            "https://aiplatform.eu.rep.googleapis.com",
        ),
        (
            format!("vertex: {{{key}, project: p, region: us-east5}}"),
            vec![],
            "https://us-east5-aiplatform.googleapis.com",
        ),
        (
            format!("databricks: {{{key}}}"),
            vec![("DATABRICKS_HOST", "https://dbc-1.cloud.databricks.com")],
            "https://dbc-1.cloud.databricks.com/serving-endpoints",
        ),
        (
            format!("cloudflare: {{{key}, account: abc}}"),
            vec![],
            "https://api.cloudflare.com/client/v4/accounts/abc/ai/v1",
        ),
        (
            format!("snowflake: {{{key}, account: org-mine}}"),
            vec![],
            "https://org-mine.snowflakecomputing.com/api/v2/cortex/v1",
        ),
        (format!("moonshot: {{{key}, region: cn}}"), vec![], "https://api.moonshot.cn/v1"),
        (format!("moonshot: {{{key}}}"), vec![], "https://api.moonshot.ai/v1"),
    ] {
        let upstream = compiled(&format!("providers: {{{yaml}}}"), &env).unwrap();
        assert_eq!(place(&upstream), expected, "{yaml}");
    }
}

#[test]
fn mistakes_are_said_in_clear_words() {
    for (yaml, env, why) in [
        ("azure: {api_key: k}", vec![], "no resource: set it, or one of AZURE_RESOURCE_NAME"),
        ("openai: {api_key: k, project: p}", vec![], "project is no part of the address of this type"),
        ("azure: {api_key: k, resource: 'a/b'}", vec![], "resource cannot be a part of an address"),
        ("azure: {api_key: k, resource: 'a@b'}", vec![], "resource cannot be a part of an address"),
        (
            "bedrock: {api_key: k}",
            vec![("AWS_REGION", "us east")],
            "AWS_REGION cannot be a part of an address",
        ),
        ("openai: {credentials: {file: key.json}}", vec![], "this type takes no credentials, but an api_key"),
        (
            "bedrock: {region: r, credentials: {file: key.json}}",
            vec![],
            "credentials of AWS are access_key_id",
        ),
        (
            "vertex: {credentials: {access_key_id: A, secret_access_key: s}}",
            vec![],
            "credentials of Google are a file",
        ),
        (
            "vertex: {api_key: k, credentials: {file: key.json}}",
            vec![],
            "both an api_key and credentials: give one of them",
        ),
        ("vertex: {credentials: {file: gone.json}}", vec![], "gone.json: entity not found"),
        (
            "vertex: {credentials: {json: '{}'}}",
            vec![],
            "credentials.json: this is no file of Google credentials",
        ),
        ("vertex: {}", vec![], "no credentials: set them, or GOOGLE_APPLICATION_CREDENTIALS"),
        ("vertex: {api_key: k}", vec![], "no project: set it, or one of GOOGLE_CLOUD_PROJECT"),
        ("bedrock: {region: r}", vec![], "no api_key and no credentials"),
        ("bedrock: {region: r}", vec![("AWS_ACCESS_KEY_ID", "A")], "one is not set"),
        (
            "vertex: {api_key: k, project: p, base_url: 'https://proxy/vertex'}",
            vec![],
            "base_url must be without a path here",
        ),
    ] {
        let said = compiled(&format!("providers: {{{yaml}}}"), &env).err().unwrap_or_default();
        assert!(said.contains(why), "{yaml}: {said}");
    }
}

#[test]
fn a_service_account_names_its_project() {
    let upstream = compiled("providers: {vertex: {credentials: {file: key.json}}}", &[]).unwrap();
    let before = "/v1/projects/test-project/locations/global";
    let claude = upstream.speech("anthropic.messages", "claude-sonnet-4-5@20250929").unwrap();
    assert_eq!(claude.paths.prefix, Some(format!("{before}/publishers/anthropic")));
    assert_eq!(claude.paths.stream.as_deref(), Some("/models/{model}:streamRawPredict"));
    assert!(claude.signer.is_some() && claude.headers.is_empty());
    let other =
        compiled("providers: {vertex: {credentials: {file: key.json}, project: other}}", &[]).unwrap();
    assert!(other.speaks[0].paths.prefix.as_deref().unwrap().starts_with("/v1/projects/other/"));
    let env = [("GOOGLE_APPLICATION_CREDENTIALS", "key.json")];
    assert!(compiled("providers: {vertex: {}}", &env).unwrap().speaks[0].signer.is_some());
    let json = format!("providers: {{vertex: {{credentials: {{json: '{}'}}}}}}", KEY_FILE.replace('\n', " "));
    assert!(compiled(&json, &[]).unwrap().speaks[0].signer.is_some());
}

#[test]
fn each_model_of_vertex_is_asked_in_its_dialect() {
    let upstream = compiled("providers: {vertex: {api_key: k, project: p}}", &[]).unwrap();
    for (model, asked, spoken) in [
        ("gemini-2.5-pro", "openai.chat", Some("gemini.generateContent")),
        ("claude-opus-4@20250514", "openai.chat", Some("anthropic.messages")),
        ("claude-opus-4@20250514", "anthropic.messages", Some("anthropic.messages")),
        ("meta/llama-3.3-70b-instruct-maas", "anthropic.messages", Some("openai.chat")),
        ("text-bison", "openai.chat", None),
    ] {
        assert_eq!(upstream.speech(asked, model).map(|speech| speech.dialect), spoken, "{model}");
    }
}

#[test]
fn a_bearer_key_of_bedrock_comes_before_a_signature() {
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-1")];
    let signed = compiled("providers: {bedrock: {}}", &keys).unwrap();
    assert!(signed.speaks[0].signer.is_some() && signed.speaks[0].headers.is_empty());
    let both = [keys.as_slice(), &[("AWS_BEARER_TOKEN_BEDROCK", "abc")]].concat();
    let bearer = compiled("providers: {bedrock: {}}", &both).unwrap();
    assert!(bearer.speaks[0].signer.is_none());
    assert_eq!(bearer.speaks[0].headers[AUTHORIZATION], "Bearer abc");
    let given = "{access_key_id: AKIA2, secret_access_key: s, session_token: t}";
    let chosen = compiled(&format!("providers: {{bedrock: {{credentials: {given}}}}}"), &both).unwrap();
    assert!(chosen.speaks[0].signer.is_some(), "what the config says comes before the environment");
}

#[test]
fn an_authorization_of_the_users_own_stands_in_place_of_a_signature() {
    let env = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-1")];
    let own = compiled("providers: {bedrock: {headers: {authorization: Basic abc}}}", &env).unwrap();
    assert!(own.speaks[0].signer.is_none());
    assert_eq!(own.speaks[0].headers[AUTHORIZATION], "Basic abc");
}

#[test]
fn dialects_with_another_prefix_follow_an_address_of_the_users_own() {
    let zai = |base: &str| {
        let yaml = format!("providers: {{zai: {{api_key: k, base_url: '{base}'}}}}");
        compiled(&yaml, &[]).unwrap()
    };
    let proxied = zai("http://proxy/zai/api/paas/v4");
    assert_eq!(
        prefixes(&proxied),
        [("openai.chat", None), ("anthropic.messages", Some("/zai/api/anthropic/v1"))]
    );
    let coding = zai("https://api.z.ai/api/coding/paas/v4");
    assert_eq!(prefixes(&coding), [("openai.chat", None)], "one cannot tell where the other is");
    let deepseek =
        compiled("providers: {deepseek: {api_key: k, base_url: 'https://api.deepseek.com/v1'}}", &[]);
    assert_eq!(prefixes(&deepseek.unwrap()), [("openai.chat", None), ("openai.responses", None)]);
}

#[test]
fn only_what_is_in_the_environment_is_discovered() {
    let names = |env: &[(&str, &str)]| -> Vec<String> {
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        discovered(&env).iter().map(|upstream| upstream.name.to_string()).collect()
    };
    assert!(names(&[]).is_empty(), "not even a local server");
    assert_eq!(names(&[("GROQ_API_KEY", "k"), ("XAI_API_KEY", " ")]), ["groq"]);
    assert!(names(&[("AZURE_API_KEY", "k")]).is_empty(), "where it is is not known");
    assert_eq!(names(&[("AZURE_API_KEY", "k"), ("AZURE_RESOURCE_NAME", "r")]), ["azure"]);
    assert_eq!(
        names(&[("AWS_ACCESS_KEY_ID", "A1"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-1")]),
        ["bedrock"]
    );
    assert!(names(&[("AWS_REGION", "us-east-1"), ("GOOGLE_CLOUD_PROJECT", "p")]).is_empty());
}

#[test]
fn settings_of_the_user_go_to_every_dialect() {
    let upstream = compiled(
        "providers: {openrouter: {api_key: k, stream_usage: never, drop: [seed], headers: {x-title: t}}}",
        &[],
    )
    .unwrap();
    for speech in &upstream.speaks {
        assert_eq!(
            (speech.quirks.drop.as_slice(), &speech.headers["x-title"]),
            (&["seed".to_owned()][..], &HeaderValue::from_static("t"))
        );
        let usual = speech.dialect != "openai.chat";
        let expected = if usual { StreamUsage::Always } else { StreamUsage::Never };
        assert_eq!(speech.quirks.stream_usage, expected, "{}", speech.dialect);
    }
}

#[test]
fn prices_are_those_of_the_type() {
    let of = |yaml: &str| compiled(&format!("providers: {{{yaml}}}"), &[]).unwrap().catalog.to_string();
    assert_eq!(of("second: {type: openai, api_key: k}"), "openai");
    assert_eq!(of("foundry: {api_key: k, resource: r}"), "azure");
    assert_eq!(of("mine: {type: anthropic-compatible, base_url: 'http://h/v1'}"), "mine");
}
