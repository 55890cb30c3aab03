//! The report as one page that needs nothing else. Every text of the data set is escaped.

use super::{DocumentCoverage, Example, SynthReport};
use std::fmt::Write;

/// Documents that the page lists, those with the smallest share of answered passages first; synth.json has all.
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
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Queries by {0}</title><style>{STYLE}</style></head><body>\n<h1>Queries by {0}</h1>\n",
        escape(&report.generator)
    );
    cards(&mut page, report);
    overlap(&mut page, report);
    bars(&mut page, "Queries per passage", "", report.queries_per_passage.iter());
    bars(&mut page, "Length in words", "", report.query_words.iter());
    bars(&mut page, "Styles", "", report.styles.iter());
    let dropped = "Proposals that were not kept, by the first filter that refused them.";
    bars(&mut page, "Dropped queries", dropped, report.drops.iter());
    let flaws = "Answers that were of no use as a whole; such a passage is asked about once more, with another seed.";
    bars(&mut page, "Faulty answers", flaws, report.flaws.iter());
    bars(
        &mut page,
        "Skipped passages",
        "They are no text that answers anything; skipped.jsonl lists them.",
        report.skipped.iter(),
    );
    if let Some(ranks) = &report.round_trip {
        bars(&mut page, "Round trip", "Rank at which a query brings its own passage back.", ranks.iter());
    }
    for (heading, grades) in
        [("Grades of queries", &report.question_grades), ("Grades of answers", &report.answer_grades)]
    {
        if let Some(grades) = grades {
            bars(&mut page, heading, "By the judge, 0 to 3.", grades.iter().enumerate());
        }
    }
    examples(&mut page, "Random queries", &report.examples);
    examples(&mut page, "Random dropped queries", &report.dropped_examples);
    documents(&mut page, &report.documents);
    page.push_str("</body></html>\n");
    page
}

fn cards(page: &mut String, report: &SynthReport) {
    let mut cards = vec![
        ("queries", report.queries.to_string()),
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
    if let Some(cost) = report.cost {
        cards.push(("cost", format!("{cost:.4} {}", report.currency)));
    }
    page.push_str("<div class=\"cards\">");
    for (name, value) in cards {
        let _ = write!(page, "<div class=\"card\"><b>{}</b><span>{name}</span></div>", escape(&value));
    }
    page.push_str("</div>\n");
}

fn overlap(page: &mut String, report: &SynthReport) {
    let note = format!(
        "Share of a query's words with a topic that its passage holds too; mean {:.2}. Near 1, an evaluation on these \
         queries flatters BM25.",
        report.overlap.mean
    );
    let bins = report.overlap.histogram.iter().enumerate();
    let named: Vec<(String, u64)> =
        bins.map(|(bin, count)| (format!("{:.1}–{:.1}", bin as f64 / 10.0, (bin + 1) as f64 / 10.0), *count)).collect();
    bars(page, "Overlap meter", &note, named.iter().map(|(name, count)| (name, count)));
}

fn bars<'c, N: ToString>(page: &mut String, heading: &str, note: &str, counts: impl Iterator<Item = (N, &'c u64)>) {
    let counts: Vec<(String, u64)> = counts.map(|(name, count)| (name.to_string(), *count)).collect();
    let Some(most) = counts.iter().map(|(_, count)| *count).max().filter(|most| *most > 0) else { return };
    let _ = writeln!(page, "<h2>{heading}</h2>");
    if !note.is_empty() {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(note));
    }
    page.push_str("<table>");
    for (name, count) in counts {
        let width = count as f64 * 100.0 / most as f64;
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"n\">{count}</td><td class=\"b\"><div class=\"bar\" style=\"width:{width:.1}%\"></div></td></tr>",
            escape(&name)
        );
    }
    page.push_str("</table>\n");
}

fn examples(page: &mut String, heading: &str, examples: &[Example]) {
    if examples.is_empty() {
        return;
    }
    let _ = writeln!(page, "<h2>{heading}</h2>");
    for example in examples {
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
        let _ = writeln!(
            page,
            "<div class=\"example\"><q>{}</q> <span class=\"tag\">{}</span><p>{}</p><small>{} · {}</small></div>",
            escape(&example.query),
            escape(&tags.join(" · ")),
            escape(&example.passage),
            escape(&example.passage_id),
            escape(&example.title)
        );
    }
}

fn documents(page: &mut String, documents: &[DocumentCoverage]) {
    let share = |of: &DocumentCoverage| of.passages_with_query as f64 / of.passages.max(1) as f64;
    let mut order: Vec<&DocumentCoverage> = documents.iter().collect();
    order.sort_by(|a, b| share(a).total_cmp(&share(b)));
    let _ =
        write!(page, "<h2>Documents</h2>\n<p class=\"note\">{} documents; those least covered first", documents.len());
    if documents.len() > MAX_DOCUMENTS {
        let _ = write!(page, ", {MAX_DOCUMENTS} of them. synth.json has all");
    }
    page.push_str(
        ".</p>\n<table><tr><th>document</th><th class=\"n\">passages</th><th class=\"n\">asked about</th>\
         <th class=\"n\">with a query</th><th class=\"n\">queries</th></tr>",
    );
    for of in order.into_iter().take(MAX_DOCUMENTS) {
        let name = escape(&of.document);
        let _ = write!(page, "<tr><td>{name}</td>");
        for count in [of.passages, of.passages_asked, of.passages_with_query, of.queries] {
            let _ = write!(page, "<td class=\"n\">{count}</td>");
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>\n");
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
