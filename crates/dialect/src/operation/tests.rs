use std::sync::Arc;

use http::HeaderValue;
use lockgate_core::usage::Source;
use serde_json::{Value, json};

use super::*;

fn asked(operation: Operation, body: &Value) -> Asked {
    operation.peek(body.to_string().into(), "application/json", None).unwrap()
}

fn speech(dialect: &'static str) -> Speech {
    Speech::plain(dialect)
}

/// What goes to a provider, and what was lost on the way.
fn sent(
    operation: Operation,
    body: &Value,
    speech: &Speech,
    model: &str,
) -> Result<(Outward, Vec<Value>, Vec<String>), Error> {
    let mut losses = Losses::default();
    let outward = asked(operation, body).outward(speech, model, &mut losses)?;
    let bodies = outward.bodies.iter().map(|b| serde_json::from_slice(&b.clone().join()).unwrap()).collect();
    Ok((outward, bodies, losses.iter().map(|loss| loss.what.to_string()).collect()))
}

fn part(body: &Value) -> Part {
    (HeaderMap::new(), body.to_string().into())
}

/// What a client gets of these answers.
fn got(operation: Operation, ask: &Value, form: Form, parts: &[Part]) -> Result<(Value, Answered), Error> {
    let answered = form.read(&asked(operation, ask), "m", parts)?;
    Ok((serde_json::from_slice(&answered.body).unwrap(), answered))
}

#[test]
fn names_are_told_apart() {
    let mut names: Vec<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Operation::ALL.len());
}

#[test]
fn a_request_of_the_same_form_goes_out_as_it_came() {
    let text = "{ \"input\":[1, 2] , \"model\":\"a/m\",\"x\":{\"y\":1.50} }";
    let asked = Operation::Embeddings.peek(text.into(), "", None).unwrap();
    let outward = asked.outward(&speech("openai.chat"), "m", &mut Losses::default()).unwrap();
    assert_eq!((outward.form, &*outward.path), (Form::Own, "/embeddings"));
    assert_eq!(outward.bodies[0].clone().join(), text.replace("a/m", "m"));
}

#[test]
fn what_is_missing_is_named() {
    let at = |operation: Operation, body: Value| {
        operation.peek(body.to_string().into(), "", None).unwrap_err().at().map(str::to_owned)
    };
    assert_eq!(at(Operation::Embeddings, json!({"input": "a"})).as_deref(), Some("model"));
    assert_eq!(at(Operation::Embeddings, json!({"model": 7, "input": "a"})).as_deref(), Some("model"));
    assert_eq!(at(Operation::Embeddings, json!({"model": "m"})).as_deref(), Some("input"));
    assert_eq!(at(Operation::Rerank, json!({"model": "m", "query": "q"})).as_deref(), Some("documents"));
    assert_eq!(at(Operation::Speech, json!({"model": "m", "input": [1]})).as_deref(), Some("input"));
    assert_eq!(
        at(Operation::Images, json!({"model": "m", "prompt": "a", "stream": 1})).as_deref(),
        Some("stream")
    );
    let judged = Operation::Moderations.peek(r#"{"input":"a"}"#.into(), "", None).unwrap();
    assert_eq!(&*judged.model, "omni-moderation-latest");
    let spoken = Operation::Speech.peek(r#"{"model":"m","input":"né"}"#.into(), "", None).unwrap();
    assert_eq!(spoken.counts.characters, 2);
}

#[test]
fn paths_stand_beside_a_dialects_own() {
    assert_eq!(beside(None, "/chat", "/embed"), "/embed");
    assert_eq!(beside(Some("/v9/chat"), "/chat", "/embed"), "/v9/embed");
    let azure = Some("/deployments/{model}/chat/completions?api-version=1");
    assert_eq!(
        beside(azure, "/chat/completions", "/embeddings"),
        "/deployments/{model}/embeddings?api-version=1"
    );
    assert_eq!(beside(Some("/else"), "/chat", "/embed"), "/embed");
}

#[test]
fn gemini_gets_a_batch() {
    let ask =
        json!({"model": "x", "input": ["a", "b"], "dimensions": 256, "user": "u", "input_type": "query"});
    let (outward, bodies, lost) =
        sent(Operation::Embeddings, &ask, &speech("gemini.generateContent"), "gemini-embedding-001").unwrap();
    assert_eq!(outward.path, "/models/{model}:batchEmbedContents");
    let request = |text| {
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]},
            "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256})
    };
    assert_eq!(bodies, [json!({"requests": [request("a"), request("b")]})]);
    assert_eq!(lost, ["user"]);
    let answer = json!({"embeddings": [{"values": [0.5, -1]}, {"values": [1e-7]}], "usageMetadata": {"promptTokenCount": 8}});
    let (body, answered) = got(Operation::Embeddings, &ask, outward.form, &[part(&answer)]).unwrap();
    assert_eq!(body["data"][1], json!({"object": "embedding", "index": 1, "embedding": [1e-7]}));
    assert_eq!((&body["usage"]["prompt_tokens"], answered.usage.unwrap().input), (&json!(8), 8));
    assert!(!answered.estimate);
    let silent = part(&json!({"embeddings": [{"values": [0.5]}]}));
    let (_, answered) = got(Operation::Embeddings, &ask, outward.form, &[silent]).unwrap();
    assert_eq!((answered.usage.unwrap().source, answered.estimate), (Source::Estimated, true));
}

#[test]
fn vertex_gets_instances() {
    let mut speech = speech("gemini.generateContent");
    speech.paths.prefix = Some("/v1/projects/p/locations/l/publishers/google".into());
    let ask = json!({"model": "x", "input": ["a", "b"], "dimensions": 64, "encoding_format": "base64"});
    let (outward, bodies, _) = sent(Operation::Embeddings, &ask, &speech, "text-embedding-005").unwrap();
    assert_eq!(outward.path, "/models/{model}:predict");
    let both = json!({"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 64}});
    assert_eq!(bodies, [both]);
    let (outward, bodies, _) = sent(Operation::Embeddings, &ask, &speech, "gemini-embedding-001").unwrap();
    assert_eq!(bodies.len(), 2);
    let one = |count: u64| {
        part(
            &json!({"predictions": [{"embeddings": {"values": [1.0], "statistics": {"token_count": count}}}]}),
        )
    };
    let (body, answered) = got(Operation::Embeddings, &ask, outward.form, &[one(3), one(4)]).unwrap();
    assert_eq!((answered.usage.unwrap().input, &body["data"][1]["embedding"]), (7, &json!("AACAPw==")));
    assert_eq!(outward.form.spent(&[one(3)]).unwrap().input, 3);
}

#[test]
fn cohere_gets_texts_and_a_purpose() {
    let mut speech = speech("cohere.chat");
    speech.paths.whole = Some("/chat".into());
    let ask = json!({"model": "x", "input": "a", "dimensions": 512});
    let (outward, bodies, _) = sent(Operation::Embeddings, &ask, &speech, "embed-v4.0").unwrap();
    assert_eq!(outward.path, "/embed");
    let request = json!({"model": "embed-v4.0", "texts": ["a"], "input_type": "search_document",
        "embedding_types": ["float"], "output_dimension": 512});
    assert_eq!(bodies, [request]);
    for vectors in [json!({"float": [[1, 2.5]]}), json!([[1, 2.5]])] {
        let answer = json!({"embeddings": vectors, "meta": {"billed_units": {"input_tokens": 2}}});
        let (body, answered) = got(Operation::Embeddings, &ask, outward.form, &[part(&answer)]).unwrap();
        assert_eq!((&body["data"][0]["embedding"], answered.usage.unwrap().input), (&json!([1, 2.5]), 2));
    }
}

#[test]
fn voyage_gets_its_own_names() {
    let ask = json!({"model": "x", "input": ["a"], "dimensions": 512, "encoding_format": "float", "user": "u",
        "input_type": "search_query", "truncation": false});
    let (outward, bodies, lost) =
        sent(Operation::Embeddings, &ask, &speech("voyage.embeddings"), "voyage-3.5").unwrap();
    let request = json!({"model": "voyage-3.5", "input": ["a"], "output_dimension": 512, "input_type": "query",
        "truncation": false});
    assert_eq!((bodies, lost), (vec![request], vec!["user".to_owned()]));
    let answer =
        json!({"object": "list", "data": [{"embedding": "AA==", "index": 0}], "usage": {"total_tokens": 7}});
    let (body, answered) = got(Operation::Embeddings, &ask, outward.form, &[part(&answer)]).unwrap();
    assert_eq!(body["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
    assert_eq!((answered.usage.unwrap().input, &body["data"]), (7, &answer["data"]));
}

#[test]
fn bedrock_models_have_forms_of_their_own() {
    let bedrock = speech("bedrock.converse");
    let ask = json!({"model": "x", "input": ["a", "b"], "dimensions": 256});
    let titan = "amazon.titan-embed-text-v2:0";
    let (outward, bodies, _) = sent(Operation::Embeddings, &ask, &bedrock, titan).unwrap();
    assert_eq!(
        (&*outward.path, outward.form),
        ("/model/{model}/invoke", Form::Embeddings(embeddings::Place::Titan))
    );
    assert_eq!(
        bodies,
        [json!({"inputText": "a", "dimensions": 256}), json!({"inputText": "b", "dimensions": 256})]
    );
    let one = |n: u64| part(&json!({"embedding": [n], "inputTextTokenCount": n}));
    let (body, answered) = got(Operation::Embeddings, &ask, outward.form, &[one(5), one(6)]).unwrap();
    assert_eq!((&body["data"][1]["embedding"], answered.usage.unwrap().input), (&json!([6]), 11));
    let (_, _, lost) = sent(Operation::Embeddings, &ask, &bedrock, "amazon.titan-embed-text-v1").unwrap();
    assert_eq!(lost, ["dimensions"]);

    let (outward, bodies, _) = sent(Operation::Embeddings, &ask, &bedrock, "cohere.embed-v4:0").unwrap();
    assert_eq!(bodies[0]["texts"], json!(["a", "b"]));
    assert!(bodies[0].get("model").is_none());
    let mut answer = part(&json!({"embeddings": {"float": [[1], [2]]}}));
    answer.0.insert("x-amzn-bedrock-input-token-count", HeaderValue::from_static("4"));
    let (_, answered) = got(Operation::Embeddings, &ask, outward.form, &[answer]).unwrap();
    assert_eq!(answered.usage.unwrap().input, 4);

    let (_, bodies, _) =
        sent(Operation::Embeddings, &ask, &bedrock, "amazon.nova-2-multimodal-embeddings-v1:0").unwrap();
    assert_eq!(bodies[1]["singleEmbeddingParams"]["text"]["value"], "b");
    let chat = sent(Operation::Embeddings, &ask, &bedrock, "amazon.nova-lite-v1:0").unwrap_err();
    assert_eq!((chat.at(), chat.retry_advice()), (Some("model"), Retry::Elsewhere));
}

#[test]
fn tokens_are_refused_where_texts_are_wanted() {
    for name in ["gemini.generateContent", "cohere.embed", "voyage.embeddings", "bedrock.converse"] {
        let ask = json!({"model": "x", "input": [[1, 2]]});
        let error = sent(Operation::Embeddings, &ask, &speech(name), "cohere.embed").unwrap_err();
        assert_eq!((error.at(), error.retry_advice()), (Some("input"), Retry::Elsewhere), "{name}");
    }
}

#[test]
fn geminis_own_requests_name_the_targets_model() {
    let ask = json!({"requests": [{"model": "models/alias", "content": {}}, {"model": "models/real", "content": {}}]});
    let read = |operation: Operation, body: &Value, model: &str| {
        let asked = operation.peek(body.to_string().into(), "", Some("alias")).unwrap();
        let speech = speech("gemini.generateContent");
        let outward = asked.outward(&speech, model, &mut Losses::default()).unwrap();
        (outward.path.clone(), outward.bodies[0].clone().join())
    };
    let (path, body) = read(Operation::GeminiBatchEmbed, &ask, "real");
    assert_eq!(path, "/models/{model}:batchEmbedContents");
    assert_eq!(body, ask.to_string().replace("alias", "real"));
    let (_, body) = read(Operation::GeminiBatchEmbed, &json!({"requests": [{"content": {}}]}), "real");
    assert_eq!(body, json!({"requests": [{"content": {}}]}).to_string());
    let one = json!({"model": "models/alias", "content": {"parts": [{"text": "a"}]}});
    assert_eq!(read(Operation::GeminiEmbed, &one, "alias").1, one.to_string());
    assert_eq!(read(Operation::GeminiEmbed, &one, "real").1, one.to_string().replace("alias", "real"));
    let twice = r#"{"requests":[{"model":"models/real","model":"models/other"}]}"#;
    let asked = Operation::GeminiBatchEmbed.peek(twice.into(), "", Some("alias")).unwrap();
    let error = asked.outward(&speech("gemini.generateContent"), "real", &mut Losses::default()).unwrap_err();
    assert_eq!(error.at(), Some("requests"));
    let wrapped = json!({"generateContentRequest": {"model": "models/alias", "contents": []}});
    let (_, body) = read(Operation::GeminiCountTokens, &wrapped, "real");
    assert_eq!(body, wrapped.to_string().replace("alias", "real"));
}

#[test]
fn ranks_pass_where_the_form_is_the_same() {
    let jina =
        json!({"model": "a/m", "query": "q", "documents": ["d"], "top_n": 1, "return_documents": true});
    let voyage = json!({"model": "a/m", "query": "q", "documents": ["d"], "top_k": 1});
    let plain = json!({"model": "a/m", "query": "q", "documents": ["d"]});
    for (ask, name) in [
        (&jina, "jina.rerank"),
        (&jina, "openai.chat"),
        (&voyage, "voyage.rerank"),
        (&plain, "cohere.rerank"),
        (&plain, "cohere.chat"),
    ] {
        let (outward, bodies, _) = sent(Operation::Rerank, ask, &speech(name), "m").unwrap();
        assert_eq!((outward.form, &*outward.path), (Form::Own, "/rerank"), "{name}");
        let mut wanted = (*ask).clone();
        wanted["model"] = json!("m");
        assert_eq!(bodies, [wanted], "{name}");
    }
}

#[test]
fn ranks_cross_with_their_scores_untouched_and_in_order() {
    let voyage = json!({"model": "x", "query": "q", "documents": ["a", {"text": "b"}, "c"], "top_k": 2,
        "return_documents": true, "truncation": true});
    let (outward, bodies, lost) =
        sent(Operation::Rerank, &voyage, &speech("cohere.rerank"), "rerank-v3.5").unwrap();
    assert_eq!(
        bodies,
        [json!({"model": "rerank-v3.5", "query": "q", "documents": ["a", "b", "c"], "top_n": 2})]
    );
    assert_eq!(lost, ["truncation"]);
    let answer = r#"{"id":"i","results":[{"index":0,"relevance_score":0.10},{"index":1,"relevance_score":9.99999900e-1},
        {"index":2,"relevance_score":-3}],"meta":{"billed_units":{"search_units":2}}}"#;
    let parts = [(HeaderMap::new(), Bytes::from(answer))];
    let (body, answered) = got(Operation::Rerank, &voyage, outward.form, &parts).unwrap();
    assert_eq!(body["data"].as_array().unwrap().len(), 2);
    assert_eq!((&body["data"][0]["index"], &body["data"][0]["document"]), (&json!(1), &json!("b")));
    assert!(String::from_utf8_lossy(&answered.body).contains("9.99999900e-1"));
    assert_eq!((answered.counts.searches, answered.usage.unwrap().searches), (2, 2));

    let cohere =
        json!({"model": "x", "query": "q", "documents": ["a", "b"], "top_n": 1, "return_documents": true});
    let (outward, bodies, _) =
        sent(Operation::Rerank, &cohere, &speech("voyage.embeddings"), "rerank-2").unwrap();
    assert_eq!(bodies, [json!({"model": "rerank-2", "query": "q", "documents": ["a", "b"], "top_k": 1})]);
    let answer = json!({"data": [{"relevance_score": 0.5, "index": 1}], "usage": {"total_tokens": 43}});
    let (body, answered) = got(Operation::Rerank, &cohere, outward.form, &[part(&answer)]).unwrap();
    assert_eq!(body["results"][0]["document"]["text"], "b");
    assert_eq!((&body["usage"]["total_tokens"], answered.usage.unwrap().input), (&json!(43), 43));
}

#[test]
fn bedrock_ranks_by_invoke() {
    let ask = json!({"model": "x", "query": "q", "documents": vec!["d"; 101]});
    let (outward, bodies, _) =
        sent(Operation::Rerank, &ask, &speech("bedrock.converse"), "cohere.rerank-v3-5:0").unwrap();
    assert_eq!((&*outward.path, &bodies[0]["api_version"]), ("/model/{model}/invoke", &json!(2)));
    assert!(bodies[0].get("model").is_none());
    let answer = json!({"results": [{"index": 5, "relevance_score": 0.3}]});
    let (_, answered) = got(Operation::Rerank, &ask, outward.form, &[part(&answer)]).unwrap();
    assert_eq!((answered.counts.searches, answered.usage.unwrap().source), (2, Source::Estimated));
}

#[test]
fn ranks_of_nothing_are_a_bad_answer() {
    let ask = json!({"model": "x", "query": "q", "documents": ["a"], "top_k": 1});
    let form = Form::Rerank(rerank::Place::Cohere);
    for answer in [
        json!({"results": [{"index": 1, "relevance_score": 1}]}),
        json!({"results": [{"index": 0, "relevance_score": "high"}]}),
        json!({"results": 7}),
        json!({"ok": true}),
    ] {
        let error = got(Operation::Rerank, &ask, form, &[part(&answer)]).unwrap_err();
        assert_eq!(error.kind(), Kind::UpstreamBadAnswer, "{answer}");
    }
}

#[test]
fn an_error_in_an_answer_is_an_error() {
    let ask = json!({"model": "x", "input": "a"});
    let busy = part(&json!({"error": {"message": "busy", "code": 503}}));
    let error = got(Operation::Embeddings, &ask, Form::Own, &[busy]).unwrap_err();
    assert_eq!(error.kind(), Kind::UpstreamOverloaded);
    let odd = part(&json!({"ok": true}));
    let error = got(Operation::Embeddings, &ask, Form::Own, &[odd]).unwrap_err();
    assert_eq!(error.kind(), Kind::UpstreamBadAnswer);
}

#[test]
fn a_provider_is_asked_in_the_form_that_is_closest() {
    let upstream = |dialects: &[&'static str]| {
        let mut upstream = lockgate_testkit::builder::upstream("a");
        upstream.speaks = dialects.iter().map(|name| Arc::new(Speech::plain(name))).collect();
        upstream
    };
    let embeddings = asked(Operation::Embeddings, &json!({"model": "x", "input": "a"}));
    let of = |dialects: &[&'static str]| {
        let upstream = upstream(dialects);
        embeddings.speech(&upstream, "m").map(|speech| speech.dialect)
    };
    assert_eq!(of(&["openai.chat", "openai.embeddings"]), Some("openai.embeddings"));
    assert_eq!(of(&["gemini.generateContent", "openai.chat"]), Some("gemini.generateContent"));
    assert_eq!(of(&["cohere.chat", "openai.chat"]), Some("cohere.chat"));
    assert_eq!(of(&["openai.chat", "bedrock.converse"]), Some("bedrock.converse"));
    assert_eq!(of(&["anthropic.messages"]), None);
    let count = asked(Operation::CountTokens, &json!({"model": "x", "messages": []}));
    let mut vertex = upstream(&[]);
    let mut speech = Speech::plain("anthropic.messages");
    assert!(count.speech(&upstream(&["anthropic.messages"]), "m").is_some());
    speech.paths.whole = Some("/models/{model}:rawPredict".into());
    vertex.speaks = vec![Arc::new(speech)];
    assert!(count.speech(&vertex, "m").is_none());
}
