//! The texts for the report, and their lengths in the model's tokens.

use super::EvalRequest;
use super::sources::Sources;
use crate::error::Result;
use crate::texts::{TextFiles, Texts, Wanted};
use whetstone_eval::{Inputs, Lengths, Material};
use whetstone_model::PairTokenizer;
use whetstone_records::{ModelDir, Passage};

/// Reads the texts of the judged queries and of all their ranked passages, and their lengths in the
/// model's tokens.
pub fn gather(request: &EvalRequest, inputs: &Inputs, sources: &Sources) -> Result<Material> {
    let mut material = Material { costs: sources.costs.clone(), ..Default::default() };
    if let Some(data) = &request.data {
        let (corpus, queries) = (data.corpus(), data.queries());
        let files = TextFiles { corpus: &corpus, queries: &queries };
        let texts = Texts::find(files, &wanted(inputs))?;
        (material.queries, material.passages) = (texts.queries, texts.passages);
        material.language = data.language()?.unwrap_or_default();
    }
    if let Some(model) = &request.model {
        material.lengths = Some(lengths(model, &material)?);
    }
    Ok(material)
}

/// The judged queries, and every passage that is judged or ranked for one of them.
fn wanted(inputs: &Inputs) -> Wanted<'_> {
    let mut wanted = Wanted::default();
    for (query, grades) in inputs.qrels.iter() {
        wanted.queries.insert(query);
        wanted.passages.extend(grades.keys());
        let runs = inputs.candidates.iter().chain(inputs.runs.iter().map(|(_, run)| run));
        let hits = runs.flat_map(|run| run.get(query.as_str()).unwrap_or_default());
        wanted.passages.extend(hits.map(|hit| &hit.passage));
    }
    wanted
}

fn lengths(model: &ModelDir, material: &Material) -> Result<Lengths> {
    let max_seq_tokens = PairTokenizer::stored_limit(model.root())?;
    let tokenizer = PairTokenizer::open(model.root(), max_seq_tokens)?;
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
