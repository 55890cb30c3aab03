//! The report as one self-contained page. Every text of the data set is escaped.

use super::{DocumentCoverage, Example, SynthReport};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Number of documents on the page, those with the smallest share of answered passages first.
/// synth.json has all.
const MAX_DOCUMENTS: usize = 200;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1f;--soft:#5c5f66;--line:#d9dbe0;--card:#f6f7f9;--bar:#3b6fb6;--page:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e7ea;--soft:#a0a4ad;--line:#373b43;--card:#22252b;--bar:#6f9fe0;--page:#17191d}}\
body{margin:0 auto;padding:2rem 1rem 4rem;max-width:60rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}\
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}p.note{color:var(--soft);margin:.2rem 0 .8rem}\
.cards{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}.card{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.5rem .9rem}\
.card b{display:block;font-size:1.3rem;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:.85rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.b{width:50%}.bar{height:.8rem;background:var(--bar);border-radius:2px;min-width:1px}\
.example{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem .9rem;margin:.6rem 0;overflow-wrap:anywhere}\
.example q{font-weight:600}.example small,.tag{color:var(--soft)}.example p{margin:.3rem 0 0}";

/// Returns the page.
pub fn page(report: &SynthReport) -> String {
    let title = format!("Queries by {}", report.generator);
    let flaws =
        "Answers that were useless as a whole. The LLM was asked once more, with another seed.";
    let skipped = "These passages answer nothing; skipped.jsonl lists them.";
    let grades = [
        ("Grades of queries", &report.question_grades),
        ("Grades of answers", &report.answer_grades),
    ];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (cards(report))
                (overlap(report))
                (bars("Queries per passage", "", report.queries_per_passage.iter()))
                (bars("Length in words", "", report.query_words.iter()))
                (bars("Styles", "", report.styles.iter()))
                (bars("Dropped queries", "Proposals that were not kept, by the first filter that refused them.", report.drops.iter()))
                (bars("Faulty answers", flaws, report.flaws.iter()))
                (bars("Skipped passages", skipped, report.skipped.iter()))
                @if let Some(ranks) = &report.round_trip {
                    (bars("Round trip", "Rank at which a query brings its own passage back.", ranks.iter()))
                }
                @for (heading, grades) in grades {
                    @if let Some(grades) = grades { (bars(heading, "By the judge, 0 to 3.", grades.iter().enumerate())) }
                }
                (examples("Random queries", &report.examples))
                (examples("Random dropped queries", &report.dropped_examples))
                (documents(&report.documents))
            }
        }
    }
    .into_string()
}

fn cards(report: &SynthReport) -> Markup {
    let mut cards = vec![
        ("queries", report.queries.to_string()),
        ("language", report.language.to_string()),
        ("by humans", report.queries_human.to_string()),
        ("passages", report.passages.to_string()),
        ("asked about", report.passages_asked.to_string()),
        ("without a query", report.passages_without_query.to_string()),
        ("not answered", report.passages_not_answered.to_string()),
        ("not asked (cap)", report.passages_not_asked.to_string()),
        ("asked twice", report.passages_asked_twice.to_string()),
        ("tokens in", report.tokens_in.to_string()),
        ("tokens out", report.tokens_out.to_string()),
    ];
    cards.extend(report.cost.map(|cost| ("cost", format!("{cost:.4} {}", report.currency))));
    html! { div.cards { @for (name, value) in cards { div.card { b { (value) } span { (name) } } } } }
}

fn overlap(report: &SynthReport) -> Markup {
    let note = format!(
        "Share of a query's words with a topic that its passage holds too; mean {:.2}. Near 1, an evaluation on these \
         queries flatters BM25.",
        report.overlap.mean
    );
    let bins = report.overlap.histogram.iter().enumerate();
    let name = |bin: usize| format!("{:.1}–{:.1}", bin as f64 / 10.0, (bin + 1) as f64 / 10.0);
    bars("Overlap meter", &note, bins.map(|(bin, count)| (name(bin), count)))
}

/// A bar for each count; nothing where all are 0.
fn bars<'c, N: ToString>(
    heading: &str,
    note: &str,
    counts: impl Iterator<Item = (N, &'c u64)>,
) -> Markup {
    let counts: Vec<(String, u64)> =
        counts.map(|(name, count)| (name.to_string(), *count)).collect();
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let width = |count: u64| format!("width:{:.1}%", count as f64 * 100.0 / most as f64);
    html! {
        @if most > 0 {
            h2 { (heading) }
            @if !note.is_empty() { p.note { (note) } }
            table { @for (name, count) in counts {
                tr { td { (name) } td.n { (count) } td.b { div.bar style=(width(count)) {} } }
            } }
        }
    }
}

fn examples(heading: &str, examples: &[Example]) -> Markup {
    html! {
        @if !examples.is_empty() {
            h2 { (heading) }
            @for example in examples {
                div.example {
                    q { (example.query) } " " span.tag { (tags(example).join(" · ")) }
                    p { (example.passage) }
                    small { (example.passage_id) " · " (example.title) }
                }
            }
        }
    }
}

/// Facts about a query, beside its text.
fn tags(example: &Example) -> Vec<String> {
    let mut tags: Vec<String> = example.reason.map(str::to_owned).into_iter().collect();
    if let Some(metadata) = &example.metadata {
        tags.extend(metadata.style.clone());
        tags.extend(metadata.persona.clone());
        let quality = metadata.quality.clone().unwrap_or_default();
        tags.extend(quality.overlap_fraction.map(|fraction| format!("overlap {fraction:.2}")));
        tags.extend(quality.round_trip_rank.map(|rank| format!("comes back at rank {rank}")));
        let grades = quality.question_grade.zip(quality.answer_grade);
        tags.extend(grades.map(|(question, answer)| format!("grades {question} and {answer}")));
    }
    tags
}

fn documents(documents: &[DocumentCoverage]) -> Markup {
    let share = |of: &DocumentCoverage| of.passages_with_query as f64 / of.passages.max(1) as f64;
    let mut order: Vec<&DocumentCoverage> = documents.iter().collect();
    order.sort_by(|a, b| share(a).total_cmp(&share(b)));
    html! {
        h2 { "Documents" }
        p.note {
            (documents.len()) " documents; those least covered first"
            @if documents.len() > MAX_DOCUMENTS { ", " (MAX_DOCUMENTS) " of them. synth.json has all" }
            "."
        }
        table {
            tr { th { "document" } @for of in ["passages", "asked about", "with a query", "queries"] { th.n { (of) } } }
            @for of in order.into_iter().take(MAX_DOCUMENTS) {
                tr {
                    td { (of.document) }
                    @for count in [of.passages, of.passages_asked, of.passages_with_query, of.queries] { td.n { (count) } }
                }
            }
        }
    }
}
