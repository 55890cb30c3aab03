//! Answers of every form: thoughts, parts, streams, answers beside questions, and none at all.

use super::server::{self, Reply, Request, Server, asked_text, completion, good, questions};
use super::*;
use serde_json::{Value, json};
use whetstone_records::Hint;

/// The first word of the passage that was asked about.
fn topic(request: &Request) -> String {
    asked_text(&request.body).split(' ').next().unwrap().to_owned()
}

fn ok(body: Value) -> Reply {
    Reply::Status(200, "", body.to_string())
}

fn note<'m>(manifest: &'m Manifest, part: &str) -> &'m str {
    let found = manifest.notes.iter().find(|note| note.contains(part));
    found.unwrap_or_else(|| panic!("no `{part}` in {:?}", manifest.notes))
}

#[test]
fn nothing_that_a_model_thinks_becomes_a_query() {
    let server = Server::start(|request| {
        let thought = "Maybe: What is known about topic today?\nOr [\"How does topic come?\"]";
        let said = questions(request);
        let (content, reason) = match &*topic(request) {
            "topic0" => (format!("<think>\n{thought}\n"), "length"),
            "topic1" => (format!("<think>\n{thought}\n</think>\n{said}"), "stop"),
            "topic2" => (format!("{thought}\n</think>\n{said}"), "stop"),
            "topic3" => (format!("[THINK]{thought}[/THINK]{said}"), "stop"),
            "topic4" => (format!("<|channel|>analysis<|message|>{thought}"), "length"),
            _ => {
                let message = json!({"content": "", "reasoning_content": thought});
                return ok(json!({"choices": [{"message": message, "finish_reason": "length"}]}));
            }
        };
        Reply::Status(200, "", completion(&content, reason))
    });
    let folder = data_set(6);
    let manifest = run(folder.path(), &config(&server)).unwrap();
    assert_eq!(manifest.counts["queries"], 9, "{:?}", queries(folder.path()));
    assert!(queries(folder.path()).iter().all(|query| !query.text.contains(" topic ")));
    assert_eq!(manifest.counts["answers-cut-off-in-thought"], 6, "three, asked twice each");
    let told = note(&manifest, "thinks before it answers");
    assert!(told.contains("6 answers") && told.contains("`ask.max-answer-tokens` (400)"), "{told}");
}

#[test]
fn a_limit_that_no_answer_fits_is_named_before_much_is_paid() {
    let server =
        Server::start(|_| Reply::Status(200, "", completion("<think>\nWhat is known?", "length")));
    let folder = data_set(40);
    let config = config(&server);
    let error = run(folder.path(), &config).unwrap_err();
    assert!(error.to_string().starts_with("no answer of `test-llm` can be read"), "{error}");
    assert!(error.hint().unwrap().contains("raise `ask.max-answer-tokens` (400)"));
    let paid = server.count();
    assert!(paid <= 2 * (8 + config.llm.concurrency), "{paid}");
    let again = run(folder.path(), &config).unwrap_err();
    assert!(again.hint().unwrap().contains("ask.max-answer-tokens"), "{again}");
    assert_eq!(server.count(), paid, "the journal tells it for nothing");

    let server = Server::start(good);
    let mut larger = super::config(&server);
    larger.ask.max_answer_tokens = 4000;
    assert_eq!(run(folder.path(), &larger).unwrap().counts["queries"], 120);
}

#[test]
fn a_judge_that_is_cut_off_grades_nothing_and_names_its_limit() {
    let verdict = |request: &Request| {
        let content = request.body["messages"][1]["content"].as_str().unwrap();
        content.starts_with("Query: ").then(|| content.contains("What is known"))
    };
    let server = Server::start(move |request| match verdict(request) {
        None => good(request),
        Some(true) => {
            Reply::Status(200, "", completion("{\"question\": \"3\", \"answer\": 2.0}", "stop"))
        }
        Some(false) => Reply::Status(
            200,
            "",
            completion("<think>\nFirst {\"question\": 3, \"answer\": 3}, but", "length"),
        ),
    });
    let folder = data_set(2);
    let mut config = config(&server);
    config.filter.judge = true;
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((manifest.counts["queries"], manifest.counts["dropped-not-graded"]), (2, 4));
    note(&manifest, "raise `judge.max-answer-tokens` (1024)");
    assert_eq!(server.bodies().last().unwrap()["max_tokens"], 1024, "room to think");

    let server = Server::start(move |request| match verdict(request) {
        None => good(request),
        Some(_) => ok(json!({"choices": [{"finish_reason": "length",
            "message": {"content": null, "reasoning": "The query asks"}}]})),
    });
    config.llm.base_url = server.url.clone();
    config.judge.max_answer_tokens = 60;
    let error = run(folder.path(), &config).unwrap_err();
    assert!(error.hint().unwrap().contains("raise `judge.max-answer-tokens` (60)"), "{error}");
}

#[test]
fn of_questions_with_answers_only_the_questions_are_taken() {
    let server = Server::start(|request| {
        let topic = topic(request);
        let [one, two, three] = [
            format!("What is known about {topic} today?"),
            format!("How does {topic} come to be so?"),
            format!("Why would anyone ask for {topic}?"),
        ];
        let content = match &*topic {
            "topic0" => {
                let pair = |question: &str| {
                    json!({"question": question, "answer": format!("It is {topic} in town."),
                        "reasoning": format!("Is {topic} not a thing?")})
                };
                json!({"questions": [pair(&one), pair(&two), pair(&three)]}).to_string()
            }
            "topic1" => {
                format!("Q1: {one}\nA1: {topic} costs 1 kr.\n**Question 2:** {two}\nQuery: {three}")
            }
            "topic2" => [one, two, three].map(|text| json!({"query": text}).to_string()).join("\n"),
            "topic3" => json!({"questions": json!([one, two, three]).to_string()}).to_string(),
            _ => {
                let list =
                    json!({"questions": [{"q": one}, {"q": two}, {"q": three}, {"q": "half a"}]});
                let list = list.to_string();
                let cut = list[..list.len() - 8].to_owned();
                return Reply::Status(200, "", completion(&cut, "length"));
            }
        };
        Reply::Status(200, "", completion(&content, "stop"))
    });
    let folder = data_set(5);
    let manifest = run(folder.path(), &config(&server)).unwrap();
    assert_eq!(manifest.counts["queries"], 15, "{:?}", queries(folder.path()));
    assert_eq!(manifest.counts["answers-cut-off"], 2);
    assert!(!manifest.counts.keys().any(|name| name.starts_with("dropped")));
}

#[test]
fn a_passage_that_answers_nothing_is_asked_about_once_and_counted() {
    let server = Server::start(|request| {
        let content = match &*topic(request) {
            "topic0" => "{\"questions\": []}",
            "topic1" => "[]",
            "topic2" => "{\"questions\": null}",
            "topic3" => "{\"questions\": [\"\", \" \"]}",
            "topic4" => "NONE",
            _ => return good(request),
        };
        Reply::Status(200, "", completion(content, "stop"))
    });
    let folder = data_set(6);
    let manifest = run(folder.path(), &config(&server)).unwrap();
    let count = |name: &str| manifest.counts.get(name).copied();
    assert_eq!((server.count(), count("passages-that-answer-nothing")), (6, Some(5)));
    assert_eq!((count("answers-unreadable"), count("passages-asked-twice")), (None, None));
    assert!(run(folder.path(), &config(&server)).unwrap().up_to_date);
}

#[test]
fn an_answer_that_can_be_read_is_taken_in_whatever_form() {
    let server = Server::start(|request| {
        let said = questions(request);
        let choice = |message: Value| json!([{"message": message, "finish_reason": 0}]);
        ok(match &*topic(request) {
            "topic0" => json!({"choices": choice(json!({"content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "[\"no\"]"}]},
                {"type": "text", "text": said}]}))}),
            "topic1" => json!({"choices": choice(json!({"content": said})),
                "usage": {"prompt_tokens": 100.0, "completion_tokens": -1}}),
            "topic2" => json!({"choices": [{"text": said}], "usage": "unknown"}),
            "topic3" => {
                let (begin, end) = said.split_at(said.len() / 2);
                let event = |text: &str| json!({"choices": [{"delta": {"content": text}}]});
                let stream =
                    format!("data: {}\n\ndata: {}\n\ndata: [DONE]\n\n", event(begin), event(end));
                return Reply::Status(200, "content-type: text/event-stream\r\n", stream);
            }
            _ => {
                json!({"choices": choice(json!({"content": serde_json::from_str::<Value>(&said).unwrap()}))})
            }
        })
    });
    let folder = data_set(5);
    let manifest = run(folder.path(), &config(&server)).unwrap();
    assert_eq!((server.count(), manifest.counts["queries"]), (5, 15), "{:?}", manifest.counts);
    assert_eq!(manifest.counts["answers-without-usage"], 4);
}

#[test]
fn a_message_that_is_null_is_an_empty_answer_and_not_a_broken_connection() {
    let server = Server::start(|request| match &*topic(request) {
        "topic0" => ok(json!({"choices": [{"message": null, "finish_reason": "stop"}]})),
        _ => good(request),
    });
    let manifest = run(data_set(2).path(), &config(&server)).unwrap();
    assert_eq!((server.count(), manifest.counts["answers-empty"]), (3, 2));
    assert_eq!(manifest.counts["calls-retried"], 0);
}

#[test]
fn without_an_answer_the_user_reads_the_servers_own_words() {
    let said = "the fuse is blown";
    let bodies = [
        (200, json!({"choices": null, "error": {"message": said, "code": 400}}).to_string()),
        (200, json!({"choices": null, "usage": null, "error": {"message": said}}).to_string()),
        (200, json!({"error": {"message": said, "type": "invalid_request_error"}}).to_string()),
        (200, format!("<!DOCTYPE html><html>\n<body><h1>{said}</h1></body></html>")),
        (200, format!("data: {}\n\n", json!({"error": {"message": said}}))),
        (500, json!({"error": {"message": said}}).to_string()),
        (503, format!("<html>{said}</html>")),
    ];
    for (status, body) in bodies {
        let reply = body.clone();
        let server = Server::start(move |_| Reply::Status(status, "", reply.clone()));
        let mut config = config(&server);
        (config.llm.max_retries, config.llm.concurrency) = (0, 1);
        let error = run(data_set(4).path(), &config).unwrap_err();
        assert!(error.to_string().contains(said), "{body}: {error}");
    }
}

#[test]
fn a_template_without_a_system_role_gets_its_words_in_the_users_message() {
    for (status, message) in [
        (400, "System role not supported"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (500, "Jinja Exception: Only user and assistant roles are supported!"),
    ] {
        let server =
            Server::start(move |request| match request.body["messages"][0]["role"] == "system" {
                true => {
                    let error = json!({"error": {"message": message}});
                    Reply::Status(status, "", error.to_string())
                }
                false => good(request),
            });
        let manifest = run(data_set(4).path(), &config(&server)).unwrap();
        assert_eq!((server.count(), manifest.counts["queries"]), (5, 12), "learnt once");
        note(&manifest, "takes no system message");
        let bodies = server.bodies();
        let first = |body: &Value| body["messages"][0]["content"].as_str().unwrap().to_owned();
        let begins = format!("{}\n\nTitle: ", first(&bodies[0]));
        assert!(first(&bodies[1]).starts_with(&begins), "{}", first(&bodies[1]));
        assert_eq!(bodies[1]["response_format"]["type"], "json_schema", "nothing else is given up");
    }
}

#[test]
fn results_of_a_batch_are_read_in_the_same_forms() {
    let (folder, server) = (data_set(4), Server::start(good));
    let config = config(&server);
    let [requests, results] =
        ["requests.jsonl", "results.jsonl"].map(|name| folder.path().join(name));
    batch_out(&job(folder.path(), &config), &requests).unwrap();
    let lines: Vec<Value> = read_jsonl(&requests).unwrap();
    let answered = lines.iter().enumerate().map(|(place, line)| {
        let said = questions(&server::Request { body: line["body"].clone(), number: 0 });
        let message = json!({"content": [{"type": "text", "text": said}]});
        let id = &line["custom_id"];
        match place {
            0 => json!({"custom_id": id, "response": null, "error": {"message": "the fuse is blown"}}),
            1 => json!({"custom_id": id, "response": {"status_code": 400,
                "body": {"error": {"message": "another fuse"}}}}),
            _ => json!({"custom_id": id, "response": {"status_code": 200,
                "body": {"choices": [{"message": message}], "usage": {"prompt_tokens": -1}}}}),
        }
    });
    write_jsonl(&results, answered).unwrap();
    let came = batch_in(&job(folder.path(), &config), &results).unwrap();
    assert_eq!((came.answers, came.failed), (2, 2));
    assert!(came.first_failure.unwrap().contains("the fuse is blown"));
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((server.count(), manifest.counts["queries"]), (2, 12));
}
