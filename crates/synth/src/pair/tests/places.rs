//! Checks passages that stand in several places.

use super::*;

/// Lets a passage stand in the document of another one, too.
fn also_in(fixture: &mut Fixture, passage: &str, document: &str) {
    let passage = fixture.passages.iter_mut().find(|one| one.id.as_str() == passage).unwrap();
    let place = |document: &str| Place {
        document: document.into(),
        title: String::new(),
        span: (1000, 1110),
    };
    let own = passage.document();
    passage.metadata.places = vec![
        Place { span: passage.metadata.span.unwrap(), ..place(own.as_str()) },
        place(document),
    ];
}

#[test]
fn a_passage_of_several_splits_is_no_positive_and_joins_no_documents() {
    let mut fixture = Fixture::new(20).with_human_question("h1", &[3, 4]);
    also_in(&mut fixture, "d03-0", "d07.md");
    also_in(&mut fixture, "d05-1", "d04.md");
    let split = SplitConfig { dev_fraction: 0.0, test_fraction: 0.0 };
    let collection = fixture.collection(&split, 1).unwrap();
    let place = |id: &str| collection.passage(&id.into()).unwrap();
    assert_eq!(collection.passage_split(place("d07-1")), Split::Train, "no document moves");
    let query =
        |id: &str| collection.queries.iter().position(|query| query.id.as_str() == id).unwrap();
    assert_eq!(collection.positives[query("h1")], [(place("d04-0"), 1)]);
    assert_eq!(collection.query_split[query("qd05-1")], None);
    assert_eq!(collection.counts["queries-of-text-in-several-splits-dropped"], 2);
    assert!(!collection.is_trainable(place("d05-1")));

    let folder = mined(&fixture, &split, 1);
    let manifest = run_pair(&folder, &PairConfig::default(), &split, 1).unwrap();
    assert!(manifest.notes.iter().all(|note| !note.contains("questions of people")));
    let qrels = Qrels::read(&folder.path().join("qrels/test.tsv")).unwrap();
    let answers: Vec<&str> = qrels.get("h1").unwrap().keys().map(PassageId::as_str).collect();
    assert_eq!(answers, ["d04-0"]);
    let test = pairs(&folder, "test.jsonl");
    assert!(!test.is_empty() && test.iter().all(|pair| pair.passage_id.as_str() != "d03-0"));
    let train = pairs(&folder, "train.jsonl");
    assert!(train.iter().all(|pair| !["d03-0", "d05-1"].contains(&pair.passage_id.as_str())));

    also_in(&mut fixture, "d04-0", "d08.md");
    let folder = mined(&fixture, &split, 1);
    let manifest = run_pair(&folder, &PairConfig::default(), &split, 1).unwrap();
    assert!(manifest.notes.iter().any(|note| note.ends_with("`h1`")), "{:?}", manifest.notes);
}

#[test]
fn equal_texts_share_their_judgements() {
    let mut fixture = Fixture::new(20).with_human_question("h1", &[4]);
    // As in a BEIR corpus: the same text under two ids.
    let text = fixture.passages[4 * PASSAGES_PER_DOCUMENT].text.clone();
    let twin = fixture.passages.iter_mut().find(|one| one.id.as_str() == "d09-0").unwrap();
    twin.text = text;
    let split = SplitConfig { dev_fraction: 0.0, test_fraction: 0.0 };
    let folder = mined(&fixture, &split, 1);
    run_pair(&folder, &PairConfig::default(), &split, 1).unwrap();
    let qrels = Qrels::read(&folder.path().join("qrels/test.tsv")).unwrap();
    let grades: Vec<(&str, i32)> =
        qrels.get("h1").unwrap().iter().map(|(id, grade)| (id.as_str(), *grade)).collect();
    assert_eq!(grades, [("d04-0", 2), ("d09-0", 2)]);
    let labelled = pairs(&folder, "test.jsonl");
    let labels: Vec<(&str, f32)> =
        labelled.iter().map(|pair| (pair.passage_id.as_str(), pair.label)).collect();
    assert!(labels.contains(&("d04-0", 1.0)) && labels.contains(&("d09-0", 1.0)), "{labels:?}");
}

#[test]
fn a_file_that_changes_while_it_is_paired_is_named() {
    for name in ["corpus.jsonl", "negatives.jsonl", "mined/dense.run"] {
        let folder = mined(&Fixture::new(20), &SPLIT, 1);
        let path = folder.path().join(name);
        let error = pair(folder.path(), &config_of(&SPLIT, 1), &Rewriting(&path)).unwrap_err();
        let expected = format!("`{}` was changed while it was read", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(!run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap().up_to_date);
    }
}
