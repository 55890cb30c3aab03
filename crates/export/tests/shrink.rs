//! Models that lose layers and words: what stays is what it was.

mod common;

use common::{FAMILIES, PAIRS, logits, oracle};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use whetstone_export::{Error, ShrinkJob, shrink};
use whetstone_model::{
    Architecture, CrossEncoder, DeviceName, Engine, LateInteraction, PairTokenizer, read_tokenizer,
};
use whetstone_records::{Golden, Hint, ModelDir, Silent};

/// Keeps so many layers of a model.
fn cut(model: &Path, layers: usize, out: &Path) -> Result<whetstone_records::Manifest, Error> {
    shrink(&ShrinkJob { model, layers: Some(layers), vocabulary: &[] }, out)
}

/// Keeps the words of [`PAIRS`] in a model.
fn prune(model: &str, folder: &Path, out: &Path) -> Result<whetstone_records::Manifest, Error> {
    let texts = PAIRS.iter().flat_map(|(query, passage)| [query, passage]).enumerate();
    let line = |(id, text): (usize, &&str)| {
        format!("{}\n", serde_json::json!({ "_id": id.to_string(), "text": text }))
    };
    let corpus = folder.join("corpus.jsonl");
    fs::write(&corpus, texts.map(line).collect::<String>()).unwrap();
    shrink(&ShrinkJob { model: &oracle(model), layers: None, vocabulary: &[corpus] }, out)
}

/// The bytes of every tensor.
fn tensors(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(ModelDir::new(folder).weights()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

#[test]
fn a_model_of_any_family_loads_with_fewer_layers_and_these_are_its_own() {
    for model in FAMILIES {
        let out = tempfile::tempdir().unwrap();
        cut(&oracle(model), 1, out.path()).unwrap();
        let Architecture { family, spec } = Architecture::read(out.path()).unwrap();
        assert_eq!(spec.layers, 1, "{model}");
        assert!(logits(out.path(), Some(64)).iter().all(|logit| logit.is_finite()), "{model}");
        assert_ne!(logits(out.path(), Some(64)), logits(&oracle(model), Some(64)), "{model}");
        let (whole, left) = (tensors(&oracle(model)), tensors(out.path()));
        assert!(left.len() < whole.len(), "{model}");
        let of_layers = left.keys().filter(|name| family.names.in_layer(name).is_some());
        assert!(of_layers.count() >= 5, "{model}");
        assert!(left.iter().all(|(name, bytes)| whole[name] == *bytes), "{model}");
    }
}

/// The scores of [`PAIRS`] by a late interaction.
fn similarities(model: &Path) -> Vec<f32> {
    let engine = Engine::open(DeviceName::Cpu).unwrap();
    LateInteraction::load(model, None, &engine).unwrap().score(&PAIRS, &Silent).unwrap()
}

#[test]
fn a_late_interaction_with_fewer_layers_stays_one() {
    for model in ["tiny-colbert", "tiny-pylate"] {
        let out = tempfile::tempdir().unwrap();
        let manifest = cut(&oracle(model), 1, out.path()).unwrap();
        assert_eq!(Architecture::read(out.path()).unwrap().spec.layers, 1, "{model}");
        assert_ne!(similarities(out.path()), similarities(&oracle(model)), "{model}");
        let golden = Golden::read(&ModelDir::new(out.path())).unwrap();
        assert!(golden.pairs.iter().all(|pair| pair.logit.is_finite()), "{model}");
        for file in ModelDir::new(oracle(model)).late_interaction_files() {
            assert!(manifest.outputs.contains_key(file), "{model}: {file}");
        }
    }
}

#[test]
fn a_late_interaction_with_fewer_words_keeps_its_markers_and_its_scores() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest = prune("tiny-colbert", folder.path(), out.path()).unwrap();
    assert!(manifest.counts["tokens"] < manifest.counts["tokens-before"]);
    let whole = similarities(&oracle("tiny-colbert"));
    assert_eq!(similarities(out.path()), whole, "the same to the last bit");
}

#[test]
fn a_layer_that_moves_up_keeps_its_values_and_the_last_one_is_the_last() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Three layers out of two: the second is there twice.
    for entry in fs::read_dir(oracle("tiny-model")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let model = ModelDir::new(folder.path());
    let bytes = fs::read(model.weights()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let twice = file.iter().flat_map(|(name, view)| {
        let again = name.contains("layer.1.").then(|| name.replace("layer.1.", "layer.2."));
        [Some(name.to_owned()), again].into_iter().flatten().map(move |name| (name, view.clone()))
    });
    fs::write(model.weights(), safetensors::serialize(twice, None).unwrap()).unwrap();
    let config = fs::read_to_string(model.config()).unwrap();
    let config = config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    fs::write(model.config(), config).unwrap();

    let manifest = cut(folder.path(), 2, out.path()).unwrap();
    assert!(manifest.notes[0].starts_with("kept layers 0, 2 of 0 to 2"), "{:?}", manifest.notes);
    assert_eq!(
        logits(out.path(), Some(64)),
        logits(&oracle("tiny-model"), Some(64)),
        "layer 2 is a copy of layer 1"
    );
}

#[test]
fn layers_with_a_window_stay_layers_with_a_window() {
    let (two, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let model = oracle("tiny-modernbert");
    cut(&model, 2, two.path()).unwrap();
    let (whole, left) = (tensors(&model), tensors(two.path()));
    // Of global, local, global, two are global and local, not the first and the last.
    assert!(left.iter().all(|(name, bytes)| whole[name] == *bytes));
    cut(&model, 3, three.path()).unwrap();
    assert_eq!(logits(three.path(), Some(64)), logits(&model, Some(64)));
}

#[test]
fn texts_whose_words_stay_have_the_same_logits_to_the_last_bit() {
    for model in ["tiny-model", "tiny-electra", "tiny-xlm-roberta"] {
        let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = prune(model, folder.path(), out.path()).unwrap();
        assert_eq!(logits(out.path(), Some(64)), logits(&oracle(model), Some(64)), "{model}");
        let spec = Architecture::read(out.path()).unwrap().spec;
        let before = Architecture::read(&oracle(model)).unwrap().spec;
        assert!(spec.vocabulary < before.vocabulary, "{model}");
        assert_eq!(manifest.counts["tokens"], spec.vocabulary as u64, "{model}");
        assert_eq!(manifest.counts["texts"], 2 * PAIRS.len() as u64);
    }
}

#[test]
fn words_that_no_text_had_are_split_into_characters_that_have_tokens() {
    for model in ["tiny-model", "tiny-xlm-roberta"] {
        let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        prune(model, folder.path(), out.path()).unwrap();
        let text = ["pressure regulator housing, winter supplement 1987"];
        let unknown = |folder: &Path| {
            PairTokenizer::open(folder, 64).unwrap().unknown_fraction(&text).unwrap()
        };
        assert_eq!(unknown(out.path()), unknown(&oracle(model)), "{model}");
        let count =
            |folder: &Path| PairTokenizer::open(folder, 64).unwrap().count(text[0]).unwrap();
        assert!(count(out.path()) > count(&oracle(model)), "{model}");
    }
}

#[test]
fn the_files_of_a_pruned_vocabulary_say_the_same_of_every_token() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prune("tiny-model", folder.path(), out.path()).unwrap();
    let model = ModelDir::new(out.path());
    let from_json = read_tokenizer(out.path()).unwrap();
    let text = fs::read_to_string(model.vocabulary()).unwrap();
    assert_eq!(text.lines().count(), Architecture::read(out.path()).unwrap().spec.vocabulary);
    for (id, token) in text.lines().enumerate() {
        assert_eq!(from_json.token_to_id(token), Some(id as u32), "{token}");
    }
    let before = logits(out.path(), Some(64));
    fs::remove_file(model.tokenizer()).unwrap();
    assert_eq!(logits(out.path(), Some(64)), before, "vocab.txt alone makes the same tokenizer");
}

#[test]
fn byte_pairs_cannot_lose_tokens() {
    for model in ["tiny-roberta", "tiny-modernbert"] {
        let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let error = prune(model, folder.path(), &out.path().join("out")).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("tokenizer.json` is a vocabulary of the kind `BPE`"), "{message}");
        assert!(error.hint().unwrap().contains("leave --vocabulary out"));
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "nothing was left");
    }
}

#[test]
fn more_layers_than_there_are_and_none_at_all_are_refused() {
    let out = tempfile::tempdir().unwrap();
    for wanted in [0, 3] {
        let error = cut(&oracle("tiny-model"), wanted, &out.path().join("out")).unwrap_err();
        assert!(matches!(error, Error::Layers { layers: 2, .. }), "{error}");
    }
}

#[test]
fn a_model_is_not_replaced_by_its_own_smaller_one_nor_emptied_by_a_file_without_texts() {
    let out = tempfile::tempdir().unwrap();
    cut(&oracle("tiny-model"), 1, out.path()).unwrap();
    let before = tensors(out.path());
    let error = cut(out.path(), 1, out.path()).unwrap_err();
    assert!(matches!(error, Error::ShrinksItself { .. }), "{error}");
    assert!(before == tensors(out.path()));
    let empty = out.path().join("empty.jsonl");
    fs::write(&empty, "").unwrap();
    let job = ShrinkJob { model: &oracle("tiny-model"), layers: None, vocabulary: &[empty] };
    let error = shrink(&job, &out.path().join("small")).unwrap_err();
    assert!(matches!(error, Error::NoTexts { .. }), "{error}");
}

#[test]
fn the_same_model_and_texts_are_up_to_date_and_a_golden_file_is_its_own() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(!prune("tiny-model", folder.path(), out.path()).unwrap().up_to_date);
    assert!(prune("tiny-model", folder.path(), out.path()).unwrap().up_to_date);
    let golden = whetstone_records::Golden::read(&ModelDir::new(out.path())).unwrap();
    let engine = Engine::open(DeviceName::Cpu).unwrap();
    let encoder = CrossEncoder::load(out.path(), None, &engine).unwrap();
    let again = encoder.score(&golden.texts(), &Silent).unwrap();
    assert!(again.iter().zip(&golden.pairs).all(|(logit, pair)| *logit == pair.logit));
}
