//! Chooses the pairs of `golden.json`.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use whetstone_model::Scorer;
use whetstone_records::{DataSet, Golden, GoldenPair, Pair, Silent, read_jsonl};

/// Pairs in the file.
const PAIRS: usize = 20;

/// Returns the file of a data set whose pairs are taken: the test pairs, else those of dev.
pub fn source(data: &Path) -> PathBuf {
    let data = DataSet::new(data);
    let test = data.test();
    if test.is_file() { test } else { data.dev() }
}

/// Returns pairs of the file, or built-in ones, with the model's scores.
///
/// # Errors
/// [`Error::NoPairs`] for a file without any; a pair that cannot be scored.
pub fn golden(file: Option<&Path>, scorer: &Scorer, max_seq_tokens: usize) -> Result<Golden> {
    let (source, texts) = match file {
        Some(file) => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            (format!("{name} of the data set"), of_file(file)?)
        }
        None => ("built-in pairs".to_owned(), built_in()),
    };
    let pairs: Vec<(&str, &str)> =
        texts.iter().map(|(query, passage)| (&**query, &**passage)).collect();
    let logits = scorer.score(&pairs, &Silent)?;
    let pairs = texts.iter().cloned().zip(logits);
    let pairs = pairs.map(|((query, passage), logit)| GoldenPair { query, passage, logit });
    let version = env!("CARGO_PKG_VERSION").into();
    Ok(Golden { version, source, max_seq_tokens, pairs: pairs.collect() })
}

/// Returns pairs at even distances in the file, which has those of a query side by side.
fn of_file(file: &Path) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<Pair> = read_jsonl(file)?;
    if pairs.is_empty() {
        return Err(Error::NoPairs { path: file.into() });
    }
    let (all, wanted) = (pairs.len(), PAIRS.min(pairs.len()));
    let mut chosen = vec![];
    for place in (0..wanted).rev() {
        let Pair { query, passage, .. } = pairs.swap_remove(place * all / wanted);
        chosen.push((query, passage));
    }
    chosen.reverse();
    Ok(chosen)
}

/// Pairs that try what programs do differently: lengths from one word to more than any model reads,
/// other scripts, accents, code, words that are special tokens, white space.
fn built_in() -> Vec<(String, String)> {
    let long = "Before you replace the bearing, drain the housing, loosen the four bolts of the \
                cover and check the seal for cracks. The pressure at the outlet should stay \
                between two and three bar; above four bar the relief valve opens. ";
    let [longer, endless] = [4, 30].map(|times| long.repeat(times));
    let filter = "Clean the filter. ".repeat(12);
    let queries: [(&str, [&str; 4]); 5] = [
        (
            "How often must the filter be cleaned?",
            [
                "Once a month in normal use, and once a week where the water is hard.",
                "The museum is open from nine to five, except on Monday.",
                "filter",
                &filter,
            ],
        ),
        ("relief valve pressure", [long, &longer, &endless, "4 bar"]),
        (
            "où est le café crème?",
            [
                "Le CAFÉ naïve d'Ångström — “Zoë” coûte 12€ à São Paulo…",
                "水泵过热时，请重启。圧力が高い門のバルブ。",
                "Die Größe der Öffnung beträgt 5 µm ± 0,5 °C.",
                "emoji 🙂👩‍🔧, zero\u{200b}width, no\u{a0}break, combining e\u{301}",
            ],
        ),
        (
            "what does std::fs::read_to_string() return",
            [
                "fn main() { let x: Vec<u8> = vec![1, 2, 3]; }",
                "It returns a Result<String, std::io::Error> with the whole file as text.",
                "a\tb\tc   d    e",
                "[MASK] is a token, and so is [SEP]",
            ],
        ),
        (
            "does a low dose reduce the risk of infection in patients with high blood pressure \
             after twelve weeks of treatment",
            [
                "No difference in risk was found between the two groups (p = 0.41).",
                "!?.,;:-",
                "pneumonoultramicroscopicsilicovolcanoconiosis",
                "Yes.",
            ],
        ),
    ];
    let pair = |query: &str, passage: &str| (query.to_owned(), passage.trim().to_owned());
    let pairs = queries
        .iter()
        .flat_map(|(query, passages)| passages.iter().map(move |passage| pair(query, passage)));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pairs_are_as_many_as_a_data_set_gives_and_all_different() {
        let mut pairs = built_in();
        pairs.sort();
        pairs.dedup();
        assert_eq!(pairs.len(), PAIRS);
    }

    #[test]
    fn pairs_of_a_file_are_spread_over_it_and_stay_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.jsonl");
        let line = |n: usize| {
            format!(
                r#"{{"query":"q{n}","passage":"p{n}","label":0.0,"query_id":"{n}","passage_id":"{n}"}}"#
            )
        };
        let lines: Vec<String> = (0..100).map(line).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let queries: Vec<String> = of_file(&file).unwrap().into_iter().map(|pair| pair.0).collect();
        let expected: Vec<String> = (0..20).map(|n| format!("q{}", n * 5)).collect();
        assert_eq!(queries, expected);
        std::fs::write(&file, lines[..3].join("\n")).unwrap();
        assert_eq!(of_file(&file).unwrap().len(), 3);
    }
}
