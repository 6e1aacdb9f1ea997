//! Prints what of a request survives on its way to another dialect: docs/reference/crossings.md.
//!
//! Each cell is made by translating a small request that has the feature, and by nothing else.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::collections::BTreeMap;

use bytes::Bytes;
use lockgate_dialect::{Dialect, Losses, Named, Target, by_name};

/// A feature, and what it adds to a plain request of each dialect that has it.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// A dialect, and its request as JSON.
    pub(crate) asked: &'static [(&'static str, &'static str)],
}

const CHAT: &str = "openai.chat";
const MESSAGES: &str = "anthropic.messages";
const RESPONSES: &str = "openai.responses";
const GEMINI: &str = "gemini.generateContent";
pub(crate) const CLIENTS: [&str; 4] = [CHAT, MESSAGES, RESPONSES, GEMINI];
const PROVIDERS: [&str; 6] = [CHAT, MESSAGES, RESPONSES, GEMINI, "bedrock.converse", "cohere.chat"];

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "text",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#),
            (MESSAGES, r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}]}"#),
            (RESPONSES, r#"{"model":"m","input":"hi"}"#),
            (GEMINI, r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#),
        ],
    },
    Feature {
        name: "system text",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"system":"s","messages":[{"role":"user","content":"hi"}]}"#,
            ),
            (RESPONSES, r#"{"model":"m","instructions":"s","input":"hi"}"#),
            (
                GEMINI,
                r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "developer text",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"developer","content":"s"},{"role":"user","content":"hi"}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":[{"role":"developer","content":"s"},{"role":"user","content":"hi"}]}"#,
            ),
        ],
    },
    Feature {
        name: "image, inline",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"auto"}]}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "image, by address",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/i.png"}}]}]}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://a.example/i.png"}}]}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://a.example/i.png","detail":"auto"}]}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"fileData":{"mimeType":"image/png","fileUri":"https://a.example/i.png"}}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "document, inline",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}]}]}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}]}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"application/pdf","data":"AAAA"}}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "audio, inline",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"format":"wav","data":"AAAA"}}]}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "tools",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}]}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":"hi","tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "strict tools",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false}}}]}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","strict":true,"input_schema":{"type":"object","properties":{},"additionalProperties":false}}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":"hi","tools":[{"type":"function","name":"f","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false}}]}"#,
            ),
        ],
    },
    Feature {
        name: "one tool demanded",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f"}}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":"hi","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"f"}}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}}"#,
            ),
        ],
    },
    Feature {
        name: "no parallel calls",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":"hi","tools":[{"type":"function","name":"f"}],"parallel_tool_calls":false}"#,
            ),
        ],
    },
    Feature {
        name: "a call and its outcome",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"call_1","content":"ok"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":[{"role":"user","content":"hi"},{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\":1}"},{"type":"function_call_output","call_id":"call_1","output":"ok"}],"tools":[{"type":"function","name":"f"}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"result":"ok"}}}]}],"tools":[{"functionDeclarations":[{"name":"f"}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "a failed outcome",
        asked: &[(
            MESSAGES,
            r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":"no"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#,
        )],
    },
    Feature {
        name: "an image as outcome",
        asked: &[(
            MESSAGES,
            r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#,
        )],
    },
    Feature {
        name: "JSON after a schema",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{},"additionalProperties":false}}}}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{},"additionalProperties":false}}}}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":"hi","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{},"additionalProperties":false}}}}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":{}}}}"#,
            ),
        ],
    },
    Feature {
        name: "any JSON",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"JSON"}],"response_format":{"type":"json_object"}}"#,
            ),
            (RESPONSES, r#"{"model":"m","input":"JSON","text":{"format":{"type":"json_object"}}}"#),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"responseMimeType":"application/json"}}"#,
            ),
        ],
    },
    Feature {
        name: "effort",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"high"}"#),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}}"#,
            ),
            (RESPONSES, r#"{"model":"m","input":"hi","reasoning":{"effort":"high","summary":"auto"}}"#),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"thinkingConfig":{"thinkingLevel":"high","includeThoughts":true}}}"#,
            ),
        ],
    },
    Feature {
        name: "thinking budget",
        asked: &[
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"enabled","budget_tokens":4096}}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":4096}}}"#,
            ),
        ],
    },
    Feature {
        name: "a signed thought",
        asked: &[
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":4096},"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"EqQB"},{"type":"text","text":"a"}]},{"role":"user","content":"b"}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},{"role":"assistant","content":[{"type":"output_text","text":"a"}]},{"role":"user","content":"b"}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"a","thoughtSignature":"AAAA"}]},{"role":"user","parts":[{"text":"b"}]}]}"#,
            ),
        ],
    },
    Feature {
        name: "prompt-cache marks",
        asked: &[(
            MESSAGES,
            r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}"#,
        )],
    },
    Feature {
        name: "prompt-cache key",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"prompt_cache_key":"k"}"#),
            (RESPONSES, r#"{"model":"m","input":"hi","prompt_cache_key":"k"}"#),
        ],
    },
    Feature {
        name: "temperature, top_p",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"top_p":0.9}"#,
            ),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"temperature":0.5,"top_p":0.9}"#,
            ),
            (RESPONSES, r#"{"model":"m","input":"hi","temperature":0.5,"top_p":0.9}"#),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"temperature":0.5,"topP":0.9}}"#,
            ),
        ],
    },
    Feature {
        name: "top_k",
        asked: &[
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"top_k":5}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"topK":5}}"#,
            ),
        ],
    },
    Feature {
        name: "penalties, seed",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"presence_penalty":0.1,"frequency_penalty":0.2,"seed":7}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"presencePenalty":0.1,"frequencyPenalty":0.2,"seed":7}}"#,
            ),
        ],
    },
    Feature {
        name: "stop texts",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stop":["x"]}"#),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"stop_sequences":["x"]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"stopSequences":["x"]}}"#,
            ),
        ],
    },
    Feature {
        name: "log probabilities",
        asked: &[
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"logprobs":true,"top_logprobs":2}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":"hi","include":["message.output_text.logprobs"],"top_logprobs":2}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"responseLogprobs":true,"logprobs":2}}"#,
            ),
        ],
    },
    Feature {
        name: "several answers",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"n":2}"#),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"candidateCount":2}}"#,
            ),
        ],
    },
    Feature {
        name: "service tier",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"service_tier":"flex"}"#),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"service_tier":"standard_only"}"#,
            ),
            (RESPONSES, r#"{"model":"m","input":"hi","service_tier":"flex"}"#),
        ],
    },
    Feature {
        name: "the end user",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"user":"u"}"#),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"u"}}"#,
            ),
            (RESPONSES, r#"{"model":"m","input":"hi","safety_identifier":"u"}"#),
        ],
    },
    Feature {
        name: "web search by the provider",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"web_search_options":{}}"#),
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
            ),
            (RESPONSES, r#"{"model":"m","input":"hi","tools":[{"type":"web_search"}]}"#),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"googleSearch":{}}]}"#,
            ),
        ],
    },
    Feature {
        name: "code run by the provider",
        asked: &[
            (
                MESSAGES,
                r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"code_execution_20250825","name":"code_execution"}]}"#,
            ),
            (
                RESPONSES,
                r#"{"model":"m","input":"hi","tools":[{"type":"code_interpreter","container":{"type":"auto"}}]}"#,
            ),
            (
                GEMINI,
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"codeExecution":{}}]}"#,
            ),
        ],
    },
    Feature {
        name: "logit bias",
        asked: &[(CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"logit_bias":{"5":1}}"#)],
    },
    Feature {
        name: "state kept at the provider",
        asked: &[(RESPONSES, r#"{"model":"m","input":"hi","previous_response_id":"resp_1"}"#)],
    },
    Feature {
        name: "safety settings",
        asked: &[(
            GEMINI,
            r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]}"#,
        )],
    },
    Feature {
        name: "labels",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"metadata":{"a":"b"}}"#),
            (RESPONSES, r#"{"model":"m","input":"hi","metadata":{"a":"b"}}"#),
        ],
    },
    Feature {
        name: "verbosity",
        asked: &[
            (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"verbosity":"low"}"#),
            (RESPONSES, r#"{"model":"m","input":"hi","text":{"verbosity":"low"}}"#),
        ],
    },
];

/// What became of a feature.
enum Fate {
    Carried,
    /// What was lost, and why.
    Lossy(Vec<(String, &'static str)>),
    /// Why not.
    Refused(String),
}

fn main() {
    println!("# What crosses between dialects\n");
    println!("Written by `cargo xtask generate`; every cell is a request that was translated.\n");
    println!(
        "A client's request goes untouched to a provider that speaks its dialect, so nothing is lost there. To another dialect: **✓** carried, \
         **◐** carried but for what the note names (also in the header `x-lockgate-losses`, in the record, and an error under \
         `x-lockgate-strict: true`), **✗** refused with an error that says why.\n"
    );
    for client in CLIENTS {
        let Some(from) = by_name(client) else { continue };
        table(from);
    }
}

fn table(from: &'static dyn Dialect) {
    let others: Vec<_> =
        PROVIDERS.iter().filter(|name| **name != from.name()).filter_map(|name| by_name(name)).collect();
    println!("## From `{}`\n", from.name());
    let heads: Vec<_> = others.iter().map(|to| format!("`{}`", to.name())).collect();
    println!("| | {} |", heads.join(" | "));
    println!("|---|{}", ":-:|".repeat(others.len()));
    let mut notes = BTreeMap::<String, usize>::new();
    let mut order = Vec::new();
    for feature in FEATURES {
        let Some((_, json)) = feature.asked.iter().find(|(name, _)| *name == from.name()) else { continue };
        let cells: Vec<String> = others
            .iter()
            .map(|to| {
                let (sign, why) = match fate(from, *to, json) {
                    Fate::Carried => return "✓".to_owned(),
                    Fate::Lossy(lost) => {
                        let lost: Vec<_> =
                            lost.into_iter().map(|(what, why)| format!("`{what}`: {why}")).collect();
                        ("◐", lost.join("; "))
                    }
                    Fate::Refused(why) => ("✗", why),
                };
                let next = notes.len() + 1;
                let number = *notes.entry(why.clone()).or_insert_with(|| {
                    order.push(why);
                    next
                });
                format!("{sign} {number}")
            })
            .collect();
        println!("| {} | {} |", feature.name, cells.join(" | "));
    }
    println!();
    for (at, why) in order.iter().enumerate() {
        println!("{}. {why}", at + 1);
    }
    println!();
}

fn fate(from: &'static dyn Dialect, to: &'static dyn Dialect, json: &'static str) -> Fate {
    let refused = |error: lockgate_core::Error| Fate::Refused(error.public().to_owned());
    let named = Named { model: "m", stream: false };
    let turn = match from.peek(Bytes::from_static(json.as_bytes()), Some(named)) {
        Ok(turn) => turn,
        Err(error) => return refused(error),
    };
    let (Some(client), Some(provider)) = (from.hub(), to.hub()) else {
        return Fate::Refused("not translated".into());
    };
    let (target, mut losses) = (Target { provider: "p", model: "m", stream: false }, Losses::default());
    let written = client.read_request(&turn).and_then(|request| {
        request.may_go_to(to.name()).and_then(|()| provider.write_request(&request, &target, &mut losses))
    });
    match written {
        Err(error) => refused(error),
        Ok(_) if losses.is_empty() => Fate::Carried,
        Ok(_) => Fate::Lossy(losses.iter().map(|loss| (loss.what.to_string(), loss.why)).collect()),
    }
}
