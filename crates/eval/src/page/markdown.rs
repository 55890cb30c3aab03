//! The report as Markdown, for a pull request.

use super::Page;
use super::prose::share;
use crate::assess::Assessment;
use crate::decision::{name, stars};
use crate::why::Why;

/// Returns the report for a pull request: the verdict, a table, and what to know.
pub fn markdown(page: &Page) -> String {
    let assessment = page.assessment;
    let mut text = String::new();
    if let Some(decision) = &assessment.verdict {
        text += &format!("## {}\n\n{}.\n\n", decision.ruling, prose(&decision.reason));
    }
    if let Some(recommendation) = &assessment.recommendation {
        text += &format!("**Recommendation:** {}.\n\n", prose(&recommendation.text));
    }
    for warning in &assessment.warnings {
        text += &format!("> **Note:** {}\n>\n", prose(warning));
    }
    if !assessment.warnings.is_empty() {
        text += "\n";
    }
    text += &table(assessment);
    if let Some(why) = page.why {
        text += &notes(why, assessment);
    }
    text += &format!(
        "\n<sub>Whetstone {}, {} queries, seed {}. Stars: randomisation test after Holm's correction, \\* 0.05, \\*\\* 0.01, \
         \\*\\*\\* 0.001; the oracle is the best order of the candidates.</sub>\n",
        env!("CARGO_PKG_VERSION"),
        assessment.queries(),
        assessment.config.seed
    );
    text
}

fn table(assessment: &Assessment) -> String {
    let Some(first) = assessment.report.runs.first() else { return String::new() };
    let measures = &first.evaluation.measures;
    let mut text = "| run |".to_owned();
    text.extend(measures.iter().map(|measure| format!(" {measure} |")));
    text += " difference | wins / ties / losses |\n|---|";
    text += &"---:|".repeat(measures.len() + 2);
    for run in assessment.report.runs.iter().chain(&assessment.oracle) {
        text += &format!("\n| {} |", cell(&run.name));
        for (measure, mean) in measures.iter().zip(&run.evaluation.means) {
            let comparison = assessment.comparison(&run.name, *measure);
            let stars =
                comparison.map_or(String::new(), |one| stars(one.p_holm).replace('*', "\\*"));
            text += &format!(" {mean:.4}{stars} |");
        }
        text += &match assessment.comparison(&run.name, assessment.primary) {
            None => " | |".to_owned(),
            Some(one) => format!(
                " {:+.4} [{:+.4}, {:+.4}] | {} / {} / {} |",
                one.paired.difference,
                one.paired.interval.low,
                one.paired.interval.high,
                one.paired.wins,
                one.paired.ties,
                one.paired.losses
            ),
        };
    }
    text + "\n"
}

fn notes(why: &Why, assessment: &Assessment) -> String {
    let mut notes = vec![why.first_stage.in_words()];
    for sweep in &why.depth {
        if let Some(knee) = sweep.knee {
            notes.push(format!(
                "`{}`: reranking the first {knee} candidates gives 95 % of the greatest gain.",
                sweep.system
            ));
        }
    }
    notes.extend(why.truncation.as_ref().map(|truncation| truncation.in_words()));
    for run in why.unjudged.iter().filter(|run| run.run == why.system && run.unjudged > 0) {
        let share = share(run.unjudged, run.passages);
        notes.push(format!(
            "{share} of the first {} passages of {} are not judged.",
            run.depth,
            name(&run.run)
        ));
    }
    let change = |title: &str, changes: &[crate::why::Change]| {
        let change = changes.first()?;
        let text = if change.text.is_empty() { change.query_id.as_str() } else { &change.text };
        Some(format!(
            "{title}: “{}”, {} {:.2} → {:.2}.",
            cell(text),
            assessment.primary,
            change.baseline,
            change.system
        ))
    };
    notes.extend(change("Greatest loss", &why.changes.worst));
    notes.extend(change("Greatest gain", &why.changes.best));
    format!("\n{}", notes.iter().map(|note| format!("- {note}\n")).collect::<String>())
}

/// Escapes a sentence; words in backticks are names.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(place, part)| if place % 2 == 1 { format!("`{part}`") } else { cell(part) })
        .collect()
}

/// Escapes a text so that it cannot end a cell or start Markdown or HTML syntax.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}
