//! What a server in bfloat16 answers.

use crate::client::post;
use crate::running::{Running, tiny_model};
use serde_json::{Value, json};
use whetstone_model::{
    DeviceName, Engine, Placement, Precision, Ranked, Reranker, RerankerOptions, Scorer,
};
use whetstone_records::Silent;

const QUERY: &str = "how much of it is left";
const LISTS: usize = 150;
const WANTED: usize = 3;

fn in_precision(precision: Precision) -> Placement {
    Placement { device: DeviceName::Cpu, precision }
}

fn documents(list: usize) -> Vec<String> {
    let words = "water valve snow filter pump hard dry week tank bearing month opens bar";
    let words: Vec<&str> = words.split(' ').collect();
    let word = |seed: usize| words[seed % words.len()];
    let text = |at: usize| {
        let seed = list * 25 + at;
        let numbers = (0..3 + at % 9).map(|place| seed / (1 + place) + place * at);
        numbers.map(word).collect::<Vec<_>>().join(" ")
    };
    (0..25).map(text).collect()
}

fn indices(results: &Value) -> Vec<usize> {
    let index = |result: &Value| result["index"].as_u64().unwrap() as usize;
    results.as_array().unwrap_or_else(|| panic!("{results}")).iter().map(index).collect()
}

#[test]
fn nearly_all_answers_have_the_order_of_f32_however_many_documents_are_wanted() {
    if !Precision::Bf16.is_supported() {
        return;
    }
    let open = |precision| {
        let options = RerankerOptions { placement: in_precision(precision), ..Default::default() };
        Reranker::open_with(tiny_model(), options).unwrap()
    };
    let (exact, rounding) = (open(Precision::F32), open(Precision::Bf16));
    let engine = Engine::placed(in_precision(Precision::Bf16)).unwrap();
    let plain = Scorer::load(&tiny_model(), None, None, &engine).unwrap();
    let server = Running::start(|config| config.placement = in_precision(Precision::Bf16));
    let (mut wrong, mut wrong_before) = (0, 0);
    for list in 0..LISTS {
        let documents = documents(list);
        let first = |ranking: &[Ranked]| -> Vec<usize> {
            ranking.iter().take(WANTED).map(|hit| hit.index).collect()
        };
        let wanted = first(&exact.rank(QUERY, &documents).unwrap());
        let body = json!({"query": QUERY, "documents": documents, "top_n": WANTED});
        let answer = post(server.address, "/v2/rerank", &body).json();
        wrong += usize::from(indices(&answer["results"]) != wanted);

        let pairs: Vec<(&str, &str)> = documents.iter().map(|text| (QUERY, &**text)).collect();
        let scores = plain.score(&pairs, &Silent).unwrap().into_iter().enumerate();
        let mut ranking: Vec<_> = scores.map(|(index, score)| Ranked { index, score }).collect();
        ranking.sort_by(|a, b| b.score.total_cmp(&a.score));
        wrong_before += usize::from(first(&ranking) != wanted);

        // Without a number of its own, a request is answered as a program is.
        let body = json!({"query": QUERY, "texts": documents, "raw_scores": true});
        let answer = post(server.address, "/rerank", &body).json();
        let found = answer.as_array().unwrap().iter();
        let found: Vec<f32> = found.map(|hit| hit["score"].as_f64().unwrap() as f32).collect();
        let ranking = rounding.rank(QUERY, &documents).unwrap();
        assert_eq!(found, ranking.iter().map(|hit| hit.score).collect::<Vec<_>>(), "list {list}");
    }
    // Scores of random weights are closer together than those of a trained model.
    assert!(wrong_before > 0 && wrong * 3 <= wrong_before, "{wrong_before} before, {wrong} after");
}
