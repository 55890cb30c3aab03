//! The page escapes what comes from data and says what the evaluation found.

use super::*;
use crate::report::Inputs;
use crate::why::{Lengths, Material, why};
use crate::{AssessConfig, Caveats, Judged, assess, calibrate};
use whetstone_records::{Hit, Passage, PassageId, Qrels, Query, QueryId, Run};

const HOSTILE: &str = "</style><script>alert(1)</script> & \"quotes\" 'all' `ticks` | pipes";

/// 60 queries with ten candidates, whose texts all try to inject markup.
struct World {
    inputs: Inputs,
    material: Material,
    assessment: Assessment,
}

fn run(rank: impl Fn(usize) -> usize) -> Run {
    let mut run = Run::default();
    for query in 0..60 {
        let score = |passage: usize| {
            if passage == 0 { 10.5 - rank(query) as f32 } else { 10.0 - passage as f32 }
        };
        let hit =
            |passage| Hit { passage: PassageId::new(format!("p{passage}")), score: score(passage) };
        run.insert(QueryId::new(format!("q{query}")), (0..10).map(hit).collect());
    }
    run
}

fn world(tuned: impl Fn(usize) -> usize) -> World {
    let mut qrels = Qrels::default();
    let mut material = Material::default();
    for query in 0..60 {
        let id = QueryId::new(format!("q{query}"));
        qrels.insert(id.clone(), "p0".into(), 1);
        let metadata = Default::default();
        material.queries.insert(
            id.clone(),
            Query { id, text: if query % 2 == 0 { HOSTILE } else { "short" }.into(), metadata },
        );
    }
    for passage in 0..10 {
        let id = PassageId::new(format!("p{passage}"));
        let passage = Passage {
            id: id.clone(),
            title: HOSTILE.into(),
            text: HOSTILE.into(),
            metadata: Default::default(),
        };
        material.passages.insert(id, passage);
    }
    let tokens = |count: usize, name: &str| {
        (0..count).map(|at| (format!("{name}{at}"), 20 + at)).collect::<Vec<_>>()
    };
    material.lengths = Some(Lengths {
        max_seq_tokens: 64,
        special_tokens: 3,
        queries: tokens(60, "q")
            .into_iter()
            .map(|(id, tokens)| (QueryId::new(id), tokens))
            .collect(),
        passages: tokens(10, "p")
            .into_iter()
            .map(|(id, tokens)| (PassageId::new(id), tokens))
            .collect(),
    });
    material.costs.insert(HOSTILE.into(), whetstone_records::Cost { pairs: 600, seconds: 6.0 });
    let runs =
        vec![("bm25".to_owned(), run(|query| query % 4 + 2)), (HOSTILE.to_owned(), run(tuned))];
    let inputs = Inputs { qrels, runs, candidates: None };
    let assessment = assess(&inputs, &Caveats::default(), &AssessConfig::default()).unwrap();
    World { inputs, material, assessment }
}

fn render(world: &World) -> (String, String) {
    let why = why(&world.inputs, &world.assessment, &world.material).unwrap();
    let pair =
        |at: usize| Judged { query: at / 10, logit: (at % 10) as f64 - 5.0, relevant: at % 10 > 7 };
    let calibration = calibrate(&(0..100).map(pair).collect::<Vec<_>>()).unwrap();
    let origins =
        [Origin { role: HOSTILE.into(), path: HOSTILE.into(), digest: "0123456789abcdef".into() }];
    let page = Page {
        assessment: &world.assessment,
        why: Some(&why),
        calibration: Some(&calibration),
        origins: &origins,
        made_by: &[],
    };
    (html(&page), markdown(&page))
}

#[test]
fn nothing_of_the_data_becomes_markup_and_nothing_is_loaded() {
    let (html, _) = render(&world(|query| query % 2 + 1));
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
    assert_eq!(html.matches("</style>").count(), 1);
    for remote in ["http:", "https:", "@import", "url(", "src=", "<link rel=\"stylesheet\""] {
        assert!(!html.contains(remote), "{remote}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf"), "a number that is none");
}

#[test]
fn every_section_and_figure_is_there_and_tags_are_closed() {
    let (html, _) = render(&world(|query| query % 2 + 1));
    for section in [
        "Systems",
        "Query by query",
        "How deep to rerank",
        "Scores",
        "Where it changed",
        "Truncation",
        "Judgements",
        "Calibration",
        "Examples",
        "Provenance",
    ] {
        assert!(html.contains(&format!("<h2>{section}")), "{section}");
    }
    for tag in [
        "section", "table", "tr", "td", "svg", "path", "div", "figure", "article", "span", "p",
        "html", "body",
    ] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
    // Differences, depth, two score distributions, reliability; and a bar for each run and the
    // oracle.
    assert_eq!(
        (html.matches("class=\"plot\"").count(), html.matches("viewBox=\"0 0 1000 20\"").count()),
        (5, 3)
    );
}

#[test]
fn the_verdict_stands_on_top() {
    for (rank, ruling) in [(1, "SHIP"), (9, "DON&#39;T SHIP"), (3, "NOT ENOUGH QUERIES")] {
        let (html, markdown) =
            render(&world(|query| if rank == 3 { 2 + (query * 7) % 4 } else { rank }));
        let (before, _) = html.split_once("<h2>").unwrap();
        let plain = ruling.replace("&#39;", "'");
        assert!(
            before.contains(&format!("<strong>{ruling}</strong>"))
                || before.contains(&format!("<strong>{plain}</strong>")),
            "{before}"
        );
        assert!(markdown.starts_with(&format!("## {plain}\n")), "{markdown}");
    }
}

#[test]
fn the_markdown_is_short_and_its_table_is_whole() {
    let (_, markdown) = render(&world(|query| query % 2 + 1));
    assert!(markdown.lines().count() < 30, "{markdown}");
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    let columns = |row: &str| row.replace("\\|", "").matches('|').count();
    assert_eq!(rows.len(), 5, "header, rule, two runs, oracle");
    assert!(rows.iter().all(|row| columns(row) == columns(rows[0])), "{rows:#?}");
    // Text between backticks is not markup.
    let outside: Vec<String> = markdown
        .lines()
        .flat_map(|line| line.split('`').step_by(2).map(|text| text.replace("\\<", "")))
        .collect();
    assert!(outside.iter().all(|text| !text.contains("<script")), "{markdown}");
}

#[test]
fn a_single_run_has_a_page_too() {
    let world = world(|_| 1);
    let inputs = Inputs { runs: world.inputs.runs[..1].to_vec(), ..world.inputs };
    let assessment = assess(&inputs, &Caveats::default(), &AssessConfig::default()).unwrap();
    let page =
        Page { assessment: &assessment, why: None, calibration: None, origins: &[], made_by: &[] };
    assert!(html(&page).contains("<h2>Systems</h2>") && markdown(&page).starts_with("| run |"));
}
