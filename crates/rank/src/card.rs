//! Renders the model card, README.md of a model folder, from what lies beside it.

use crate::error::Result;
use crate::notes::read_notes;
use crate::results::read_results;
use std::fmt::Write;
use whetstone_eval::ModelNotes;
use whetstone_records::{AtomicFile, ModelDir, Origin, read_json};

/// Writes the card of an exported model. The stages that learn something about a model call it at
/// their end. A model from elsewhere keeps its own card.
pub fn write_card(model: &ModelDir) -> Result<()> {
    let Some(origin) = read_json::<Origin>(&model.origin())? else { return Ok(()) };
    let text = text(model, &origin, read_notes(model)?.as_ref());
    if std::fs::read(model.card()).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    Ok(AtomicFile::write_all_to(&model.card(), text.as_bytes())?)
}

fn text(model: &ModelDir, origin: &Origin, notes: Option<&ModelNotes>) -> String {
    let mut card = String::from("---\n");
    if let Some(license) = &origin.base_license {
        let _ = writeln!(card, "license: {license}");
    }
    let is_late = !model.late_interaction_files().is_empty();
    card.push_str(if is_late { LATE_FRONT_MATTER } else { FRONT_MATTER });
    if let Some(base) = &origin.base_model {
        let _ = write!(card, "Base model: `{base}`. ");
    }
    let Origin { template, max_seq_tokens, .. } = origin;
    let _ = match is_late {
        true => writeln!(
            card,
            "Input: query and passage apart, passages of at most {max_seq_tokens} tokens. Output: for \
             each token of the query the greatest cosine with a token of the passage, added up; higher \
             is more relevant."
        ),
        false => writeln!(
            card,
            "Input: `{template}`, at most {max_seq_tokens} tokens, the passage truncated. Output: one \
             raw logit, higher is more relevant."
        ),
    };
    card.push_str(if is_late { LATE_USAGE } else { USAGE });
    onnx(&mut card, model, is_late);
    card.push_str("\n## Results\n\n");
    if let Some(results) = read_results(model) {
        let _ = writeln!(card, "{}\n", results.recommendation.text);
    }
    results(&mut card, origin, notes);
    training(&mut card, origin);
    card
}

/// Lists the ONNX files that the folder has.
fn onnx(card: &mut String, model: &ModelDir, is_late: bool) {
    let files = [
        (ModelDir::ONNX, "32 bits, the same scores"),
        (ModelDir::ONNX_F16, "16 bits"),
        (ModelDir::ONNX_INT8, "8 bits, smaller and faster, other scores"),
    ];
    let present: Vec<_> = files.iter().filter(|(file, _)| model.path(file).is_file()).collect();
    if present.is_empty() {
        return;
    }
    card.push_str(match is_late {
        true => {
            "\nFor ONNX Runtime, a vector of length 1 for every token (`token_embeddings`) of the \
             sequences that PyLate makes:\n\n"
        }
        false => "\nFor ONNX Runtime, transformers.js, fastembed and others:\n\n",
    });
    for (file, what) in present {
        let _ = writeln!(card, "- `{file}`: {what}");
    }
}

fn results(card: &mut String, origin: &Origin, notes: Option<&ModelNotes>) {
    match origin.dev_ndcg_at_10 {
        Some(ndcg) => {
            let _ = writeln!(
                card,
                "nDCG@10 on the run's own dev queries, which also chose the step: {ndcg:.4}."
            );
        }
        None => card.push_str("Not measured on dev queries.\n"),
    }
    if let Some(notes) = notes {
        let _ = writeln!(
            card,
            "\nOn {} dev queries, {}: the first stages {:.4}, the model alone {:.4}, joined with their \
             scores ({}) {:.4}.",
            notes.dev.queries,
            notes.fusion.measure,
            notes.fusion.first_stages,
            notes.fusion.model_alone,
            notes.fusion.join,
            notes.fusion.joined
        );
    }
}

fn training(card: &mut String, origin: &Origin) {
    card.push_str("\n## Training\n\n");
    let _ = writeln!(card, "Step {} of its run, with Whetstone {}.", origin.step, origin.version);
    match &origin.base_license {
        Some(license) => {
            let _ = writeln!(card, "Licence of the base model: {license}.");
        }
        None => card.push_str(
            "The licence of the base model is not known here; it holds for this model too.\n",
        ),
    }
    smaller(card, origin);
    if !origin.data.is_empty() {
        card.push_str("\nSHA-256 of the data:\n\n");
    }
    for (role, digest) in &origin.data {
        let _ = writeln!(card, "- `{role}`: `{digest}`");
    }
    let _ = write!(card, "\n```toml\n{}\n```\n", origin.config.trim_end());
}

/// Says which layers and how many tokens of a larger model this one has.
fn smaller(card: &mut String, origin: &Origin) {
    let Some(shrunk) = &origin.shrunk else { return };
    let mut parts = vec![];
    if let (Some(layers), Some(of)) = (&shrunk.layers, shrunk.of_layers) {
        let numbers: Vec<String> = layers.iter().map(usize::to_string).collect();
        parts.push(format!("layers {} of 0 to {}", numbers.join(", "), of.saturating_sub(1)));
    }
    if let (Some(tokens), Some(of)) = (shrunk.tokens, shrunk.of_tokens) {
        parts.push(format!("{tokens} of {of} tokens"));
    }
    let _ = writeln!(card, "\nMade smaller from `{}`: {}.", shrunk.from, parts.join(", "));
}

const FRONT_MATTER: &str = "\
library_name: sentence-transformers
pipeline_tag: text-ranking
tags:
- cross-encoder
- reranker
- whetstone
---

# Cross-encoder reranker

Scores how well a passage answers a query. Fine-tuned with Whetstone.
";

const LATE_FRONT_MATTER: &str = "\
library_name: PyLate
pipeline_tag: sentence-similarity
tags:
- ColBERT
- PyLate
- late-interaction
- reranker
- whetstone
---

# Late-interaction reranker

Scores how well a passage answers a query. Fine-tuned with Whetstone.
";

const LATE_USAGE: &str = "
## Use

```sh
whetstone rerank --model THIS_FOLDER --query \"…\" passages.txt
```

```python
from pylate import models, rank
model = models.ColBERT(\"THIS_FOLDER\")
queries = model.encode([\"a query\"], is_query=True)
passages = model.encode([[\"a passage\", \"another\"]], is_query=False)
rank.rerank(documents_ids=[[0, 1]], queries_embeddings=queries, documents_embeddings=passages)
```

`golden.json` has pairs with their scores, for `whetstone verify THIS_FOLDER`.
";

const USAGE: &str = "
## Use

```sh
whetstone rerank --model THIS_FOLDER --query \"…\" passages.txt
```

```python
from sentence_transformers import CrossEncoder
CrossEncoder(\"THIS_FOLDER\").rank(\"a query\", [\"a passage\", \"another\"])
```

text-embeddings-inference applies a sigmoid unless a request says `\"raw_scores\": true`; the order is the same.
`golden.json` has pairs with their logits, for `whetstone verify THIS_FOLDER`.
";

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::{sha256_file, write_json};

    fn origin() -> Origin {
        Origin {
            version: "1.2.3".into(),
            base_model: Some("tiny".into()),
            base_license: Some("apache-2.0".into()),
            shrunk: None,
            step: 7,
            max_seq_tokens: 32,
            template: "[CLS] query [SEP] passage [SEP]".into(),
            dev_ndcg_at_10: Some(0.25),
            data: [("train".to_owned(), "abc".to_owned())].into(),
            config: "max-seq-tokens = 32\n".into(),
        }
    }

    #[test]
    fn the_card_states_base_licence_step_measure_data_and_config() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        write_json(&model.origin(), &origin()).unwrap();
        write_card(&model).unwrap();
        let card = std::fs::read_to_string(model.card()).unwrap();
        for part in [
            "license: apache-2.0\n",
            "Base model: `tiny`",
            "at most 32 tokens",
            "Step 7 of its run, with Whetstone 1.2.3",
            "the step: 0.2500",
            "- `train`: `abc`",
            "max-seq-tokens = 32",
        ] {
            assert!(card.contains(part), "{part} is not in\n{card}");
        }
        assert!(!card.contains("ONNX"), "{card}");
        std::fs::create_dir(folder.path().join("onnx")).unwrap();
        std::fs::write(model.onnx(), "").unwrap();
        write_card(&model).unwrap();
        assert!(std::fs::read_to_string(model.card()).unwrap().contains("`onnx/model.onnx`"));
    }

    #[test]
    fn the_card_of_a_smaller_model_says_what_is_left_of_the_larger() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        let shrunk = whetstone_records::Shrunk {
            from: "models/mine".into(),
            layers: Some(vec![0, 3, 5]),
            of_layers: Some(6),
            tokens: Some(8000),
            of_tokens: Some(30_522),
        };
        write_json(&model.origin(), &Origin { shrunk: Some(shrunk), ..origin() }).unwrap();
        write_card(&model).unwrap();
        let card = std::fs::read_to_string(model.card()).unwrap();
        let told = "from `models/mine`: layers 0, 3, 5 of 0 to 5, 8000 of 30522 tokens.";
        assert!(card.contains(told), "{card}");
    }

    #[test]
    fn results_are_told_unless_they_are_those_of_other_weights() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        write_json(&model.origin(), &origin()).unwrap();
        std::fs::write(model.weights(), "weights").unwrap();
        let weights = sha256_file(&model.weights()).unwrap();
        let results = serde_json::json!({
            "version": "1", "weights": weights, "qrels": "", "recommendation": {
                "order": "model-alone", "temperature": 4.0, "weights": {}, "measure": "ndcg@10",
                "queries": 60, "queries_of_people": null, "orders": [], "text": "Use it alone.",
            },
        });
        write_json(&model.results(), &results).unwrap();
        let told = || {
            write_card(&model).unwrap();
            std::fs::read_to_string(model.card()).unwrap().contains("Use it alone.")
        };
        assert!(told());
        std::fs::write(model.weights(), "other weights").unwrap();
        assert!(!told());
    }

    #[test]
    fn a_model_from_elsewhere_keeps_its_own_card() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        std::fs::write(model.card(), "mine").unwrap();
        write_card(&model).unwrap();
        assert_eq!(std::fs::read_to_string(model.card()).unwrap(), "mine");
    }
}
