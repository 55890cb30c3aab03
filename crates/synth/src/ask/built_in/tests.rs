//! Tests of the built-in generator.

use super::*;
use whetstone_records::{PassageMetadata, Silent};

fn passage(id: &str, title: &str, text: &str) -> Passage {
    Passage {
        id: id.into(),
        title: title.into(),
        text: text.into(),
        metadata: PassageMetadata::default(),
    }
}

fn corpus() -> Vec<Passage> {
    vec![
        passage(
            "a",
            "Fault list for Kelvin 5.0 > 2xx: communication",
            "**K-204, meter bus silent.** No answer from the heat meter for 60 minutes. Heating is not affected, though \
             the power limiter is off. After the restart of Kelvin the bus speed must be checked.",
        ),
        passage(
            "b",
            "Service terms: Plus > Boost window",
            "A boost window is an agreed period in which the building may draw more heat. The window lasts for two hours. \
             If the zone has a capacity warning, the control room may cancel it.",
        ),
        passage(
            "d",
            "Rest mode > Ceilings",
            "| Unit | Normal rest |\n|---|---|\n| VX-20 | 47 °C |\n| VX-40 | 45 °C |\n",
        ),
        passage(
            "c",
            "A kinase that nobody had looked at is needed for the growth of cells in the cold.",
            "Here we show that kinase ABC1 inhibits the growth of muscle cells in mice. The growth of muscle was rescued by ABC2 in \
             the lines that had been treated with salt and frozen twice over a month.",
        ),
    ]
}

fn queries(passages: &[Passage]) -> Vec<Vec<(String, String)>> {
    let config = SynthConfig { seed: 1, ..SynthConfig::default() };
    let english = Lexicon::of(Language::English);
    let built_in = BuiltIn::new(passages, &config, &english);
    let asked: Vec<&Passage> = passages.iter().collect();
    let answers = built_in.generate(&asked, &Silent).unwrap();
    answers
        .into_iter()
        .map(|answer| {
            answer.proposals.into_iter().map(|proposal| (proposal.style, proposal.text)).collect()
        })
        .collect()
}

#[test]
fn queries_name_what_tells_a_passage_from_its_near_misses() {
    let queries = queries(&corpus());
    assert!(queries.iter().all(|queries| (3..=5).contains(&queries.len())), "{queries:?}");
    for (index, names) in [(1, "plus"), (2, "rest")] {
        let all = queries[index].iter().all(|(_, text)| text.to_lowercase().contains(names));
        assert!(all, "{:?}", queries[index]);
    }
}

#[test]
fn what_all_titles_share_is_in_no_query() {
    let mut passages = corpus();
    let names =
        ["Plant Book > Fault list", "Plant Book > Boost", "Plant Book > Rest", "Plant Book"];
    for (passage, name) in passages.iter_mut().zip(names) {
        passage.title = name.into();
    }
    let all = queries(&passages).concat();
    assert!(all.iter().any(|(_, text)| text.contains("boost")), "{all:?}");
    assert!(all.iter().all(|(_, text)| !text.to_lowercase().contains("plant book")), "{all:?}");
    for (passage, name) in passages.iter_mut().zip(["Faults", "Boost", "Rest", "Cells"]) {
        passage.title = format!("{name} | Plant Docs > Part");
    }
    let all = queries(&passages).concat();
    assert!(all.iter().all(|(_, text)| !text.to_lowercase().contains("docs")), "{all:?}");
}

#[test]
fn text_without_spaces_gets_keyword_queries_of_its_own_terms() {
    let texts = [
        (
            "循環ポンプの点検",
            "循環ポンプは毎週点検されます。戻り温度が四十五度を超えると安全弁が開きます。",
        ),
        ("冷却塔の清掃", "冷却塔は夏季に二度清掃されます。清掃の記録は制御室の台帳に残します。"),
        ("水泵检查", "水泵的轴承必须在两年后更换。夜班人员检查密封圈和压力表。"),
    ];
    let passages: Vec<Passage> =
        texts.iter().map(|(title, text)| passage(title, title, text)).collect();
    for (queries, (title, text)) in queries(&passages).iter().zip(texts) {
        assert!(!queries.is_empty(), "{text}");
        for (_, query) in queries {
            let said =
                query.split(' ').filter(|term| format!("{title} {text}").contains(term)).count();
            assert!(said >= 2, "{query}");
        }
    }
}

#[test]
fn each_pattern_gives_its_query() {
    let queries = queries(&corpus()).concat();
    let asked = |style: &str, begin: &str| {
        queries.iter().any(|(found, text)| found == style && text.starts_with(begin))
    };
    for (style, begin) in [
        ("definition", "What does K-204 mean"),
        ("definition", "What is a boost window"),
        ("value", "How long does the window last"),
        ("table", "What is the normal rest for VX-20"),
        ("item", "Kelvin 5.0 meter bus silent"),
        ("heading", "rest mode ceilings"),
        ("title", "A kinase that nobody had looked at is needed"),
        ("phrase", "growth of muscle cells in mice"),
        ("keywords", "control room plus"),
    ] {
        assert!(asked(style, begin), "{style} {begin}: {queries:#?}");
    }
}

#[test]
fn passages_of_a_small_corpus_that_share_a_heading_get_queries_of_their_own() {
    let texts = ["Loosen the bolt first.", "Wash it off with water.", "Then ride ten slow stops."];
    let passages = texts.map(|text| passage(text, "Rim brakes > Pads", text));
    let queries = queries(&passages);
    for (queries, own) in queries.iter().zip(["bolt", "water", "slow"]) {
        assert!(queries.iter().any(|(_, text)| text.contains(own)), "{queries:?}");
    }
    let all: HashSet<&String> = queries.iter().flatten().map(|(_, text)| text).collect();
    assert_eq!(all.len(), queries.iter().map(Vec::len).sum::<usize>(), "{queries:?}");
}

#[test]
fn the_same_seed_gives_the_same_queries() {
    assert_eq!(queries(&corpus()), queries(&corpus()));
}

#[test]
fn no_text_makes_it_panic() {
    const PIECES: &[&str] = &[
        "",
        " ",
        ".",
        "**",
        "`",
        "|",
        "\n",
        "- ",
        "is",
        "The",
        "must",
        "VX-40",
        "3.5 bar",
        "é",
        "日本。",
        "(",
        ")",
        "—",
        "[a](b",
        "if",
        "because",
        "<b",
        "</b>",
        "\u{301}",
        "…",
        "1.",
        "of",
        "°C",
        "#",
        "```",
        "a",
        "10%",
        "K",
        "\u{a0}",
        "so that",
        "stopped",
    ];
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    let mut text = |length: usize| -> String {
        (0..length)
            .map(|_| PIECES[next() % PIECES.len()].to_owned() + ["", " "][next() % 2])
            .collect()
    };
    let passages: Vec<Passage> =
        (0..2000).map(|index| passage("x", &text(index % 7), &text(index % 40))).collect();
    queries(&passages);
}
