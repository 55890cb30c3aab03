use super::Request;
use super::sources::Sources;
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use whetstone_eval::{Inputs, Lengths, Material};
use whetstone_model::PairTokenizer;
use whetstone_records::{Passage, PassageId, Query, QueryId, select_jsonl};

/// Reads the texts of the judged queries and of all passages that are ranked for them, and their
/// lengths in the model's tokens.
pub fn gather(request: &Request, inputs: &Inputs, sources: &Sources) -> Result<Material> {
    let mut material = Material { costs: sources.costs.clone(), ..Default::default() };
    if let Some(data) = &request.data {
        material.queries = queries(&data.join("queries.jsonl"), inputs)?;
        material.passages = passages(&data.join("corpus.jsonl"), inputs)?;
    }
    if let Some(model) = &request.model {
        material.lengths = Some(lengths(model, &material)?);
    }
    Ok(material)
}

fn queries(path: &Path, inputs: &Inputs) -> Result<HashMap<QueryId, Query>> {
    let queries =
        select_jsonl(path, |query: &Query| inputs.qrels.get(query.id.as_str()).is_some())?;
    Ok(queries.into_iter().map(|query| (query.id.clone(), query)).collect())
}

fn passages(path: &Path, inputs: &Inputs) -> Result<HashMap<PassageId, Passage>> {
    let mut wanted: HashSet<&PassageId> = HashSet::new();
    for (query, grades) in inputs.qrels.iter() {
        wanted.extend(grades.keys());
        let runs = inputs.candidates.iter().chain(inputs.runs.iter().map(|(_, run)| run));
        wanted.extend(
            runs.flat_map(|run| run.get(query.as_str()).unwrap_or_default())
                .map(|hit| &hit.passage),
        );
    }
    let passages = select_jsonl(path, |passage: &Passage| wanted.contains(&passage.id))?;
    Ok(passages.into_iter().map(|passage| (passage.id.clone(), passage)).collect())
}

fn lengths(model: &Path, material: &Material) -> Result<Lengths> {
    let max_seq_tokens = PairTokenizer::stored_limit(model)?;
    let tokenizer = PairTokenizer::open(model, max_seq_tokens)?;
    let count = |texts: &[&str]| -> Result<Vec<usize>> {
        Ok(tokenizer.tokenize(texts)?.iter().map(|tokens| tokens.len()).collect())
    };
    let texts: Vec<&str> = material.queries.values().map(|query| query.text.as_str()).collect();
    let queries = material.queries.keys().cloned().zip(count(&texts)?).collect();
    let texts: Vec<String> = material.passages.values().map(Passage::full_text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let passages = material.passages.keys().cloned().zip(count(&texts)?).collect();
    let special_tokens = tokenizer.special_tokens();
    Ok(Lengths { max_seq_tokens, special_tokens, queries, passages })
}
