//! Results as tables that read well as plain text and as Markdown.

use comfy_table::{CellAlignment, Table, presets};
use whetstone_eval::{
    Assessment, Comparison, Interval, Measure, Report, RunReport, Verdict, stars,
};

/// The measures of every run, the comparison with the baseline, and the verdict, as text that is
/// also Markdown.
pub fn tables(assessment: &Assessment) -> String {
    let mut text = format!("{}\n", means(assessment));
    if let Some(table) = comparisons(assessment) {
        text += &format!("\n{table}\n");
    }
    if let Some(decision) = &assessment.verdict {
        text += &format!("\n{}: {}\n", decision.ruling, decision.reason);
    }
    if let Some(recommendation) = &assessment.recommendation {
        text += &format!("\nRecommendation: {}.\n", recommendation.text);
    }
    text
}

/// A row for each run, a column for each measure, with stars where a system differs from the
/// baseline.
fn means(assessment: &Assessment) -> Table {
    let Some(first) = assessment.report.runs.first() else { return Table::new() };
    let measures = &first.evaluation.measures;
    let mut header = vec!["run".to_owned(), "queries".to_owned()];
    for measure in measures {
        header.push(measure.to_string());
        header.extend((*measure == assessment.primary).then(|| confidence(assessment)));
    }
    let runs = assessment.report.runs.iter().chain(&assessment.oracle);
    aligned(header, runs.map(|run| mean_row(assessment, run, measures)))
}

fn mean_row(assessment: &Assessment, run: &RunReport, measures: &[Measure]) -> Vec<String> {
    let mut row = vec![run.name.clone(), run.evaluation.queries.len().to_string()];
    for (measure, mean) in measures.iter().zip(&run.evaluation.means) {
        let comparison = assessment.comparison(&run.name, *measure);
        row.push(format!(
            "{mean:.4}{:<3}",
            comparison.map_or("", |comparison| stars(comparison.p_holm))
        ));
        if *measure == assessment.primary {
            let interval = assessment.intervals.iter().find(|(name, _)| *name == run.name);
            row.push(interval.map_or(String::new(), |(_, interval)| span(*interval)));
        }
    }
    row
}

/// Compares every system with the baseline by the primary measure.
fn comparisons(assessment: &Assessment) -> Option<Table> {
    let baseline = assessment.baseline.as_ref()?;
    let header = [
        format!("{} − {baseline}", assessment.primary),
        "difference".into(),
        confidence(assessment),
        "p (Holm)".into(),
        "wins / ties / losses".into(),
        "effect size".into(),
        "detectable".into(),
        "verdict".into(),
    ];
    let primary = assessment.comparisons.iter().filter(|one| one.measure == assessment.primary);
    Some(aligned(header.into(), primary.map(comparison_row)))
}

fn comparison_row(comparison: &Comparison) -> Vec<String> {
    let Comparison { system, paired, p_holm, detectable, verdict, .. } = comparison;
    let verdict = match verdict {
        Verdict::NotEnoughQueries { needed } => format!("needs about {needed} queries"),
        decided => decided.to_string(),
    };
    [
        system.clone(),
        format!("{:+.4}", paired.difference),
        signed_span(paired.interval),
        format!("{p_holm:.4}{:<3}", stars(*p_holm)),
        format!("{} / {} / {}", paired.wins, paired.ties, paired.losses),
        paired.effect_size.map_or("–".into(), |size| format!("{size:+.2}")),
        format!("{detectable:.4}"),
        verdict,
    ]
    .into()
}

fn confidence(assessment: &Assessment) -> String {
    format!("{:.0} % interval", (1.0 - assessment.config.alpha) * 100.0)
}

fn span(interval: Interval) -> String {
    format!("{:.3} to {:.3}", interval.low, interval.high)
}

/// `-0.0120 to +0.0340`
pub fn signed_span(interval: Interval) -> String {
    format!("{:+.4} to {:+.4}", interval.low, interval.high)
}

/// A row for each run, a column for each measure.
pub fn measured(report: &Report, measures: &[Measure]) -> Table {
    let header = ["run".to_owned()].into_iter().chain(measures.iter().map(Measure::to_string));
    let rows = report.runs.iter().map(|run| {
        let means = run.evaluation.means.iter().map(|mean| format!("{mean:.4}"));
        [run.name.clone()].into_iter().chain(means).collect()
    });
    aligned(header.collect(), rows)
}

/// A Markdown table with every column but the first aligned right.
pub fn aligned(header: Vec<String>, rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
