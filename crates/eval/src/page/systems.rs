//! The section that shows all systems side by side.

use super::plot;
use super::prose::{prose, signed, tone, value};
use crate::assess::Assessment;
use crate::compare::Comparison;
use crate::decision::{p_value, percent, stars};
use crate::report::RunReport;
use crate::verdict::Verdict;
use maud::{Markup, html};

/// All systems side by side: bars, the table of measures, and the comparison with the baseline.
pub(crate) fn section(assessment: &Assessment) -> Markup {
    let confidence = percent(1.0 - assessment.config.alpha);
    html! {
        section {
            h2 { "Systems" }
            p.soft.small {
                "Mean " code { (assessment.primary) } " with its " (confidence) " interval over the queries. All systems order \
                 the same candidates"
                @if assessment.oracle.is_some() { "; the oracle is the best order of them" }
                "."
            }
            (plot::bars(assessment))
            (measures(assessment))
            @if let Some(baseline) = &assessment.baseline {
                h3 { "Against " code { (baseline) } }
                (comparisons(assessment, &confidence))
            }
        }
    }
}

fn class(assessment: &Assessment, run: &str) -> &'static str {
    if assessment.verdict.as_ref().is_some_and(|decision| decision.system == run) {
        "chosen"
    } else {
        ""
    }
}

fn measures(assessment: &Assessment) -> Markup {
    let Some(first) = assessment.report.runs.first() else { return html! {} };
    html! {
        div.scroll tabindex="0" role="region" aria-label="measures" {
            table {
                thead { tr {
                    th { "run" }
                    @for measure in &first.evaluation.measures { th { (measure) span.stars {} } }
                } }
                tbody {
                    @for run in &assessment.report.runs { (measure_row(assessment, run, class(assessment, &run.name))) }
                    @if let Some(oracle) = &assessment.oracle { (measure_row(assessment, oracle, "oracle")) }
                }
            }
        }
    }
}

fn measure_row(assessment: &Assessment, run: &RunReport, class: &str) -> Markup {
    let evaluation = &run.evaluation;
    let stars = |measure| {
        assessment.comparison(&run.name, measure).map_or("", |comparison| stars(comparison.p_holm))
    };
    html! {
        tr class=(class) {
            td { (run.name) }
            @for (measure, mean) in evaluation.measures.iter().zip(&evaluation.means) {
                td { (value(*mean)) span.stars { @if class != "oracle" { (stars(*measure)) } } }
            }
        }
    }
}

fn comparisons(assessment: &Assessment, confidence: &str) -> Markup {
    let primary = assessment.comparisons.iter().filter(|one| one.measure == assessment.primary);
    html! {
        div.scroll tabindex="0" role="region" aria-label="comparison with the baseline" {
            table {
                thead { tr {
                    th { "system" }
                    th { "difference" } th { (confidence) " interval" } th { "p (Holm)" span.stars {} } th { "wins" } th { "ties" } th { "losses" }
                    th { "effect size" } th { "detectable" } th.left { "verdict" }
                } }
                tbody { @for comparison in primary { (comparison_row(comparison, class(assessment, &comparison.system))) } }
            }
        }
        p.soft.small {
            "Effect size: mean difference over its standard deviation. Detectable: the smallest true difference that so \
             many queries show with a probability of " (percent(assessment.config.power)) "."
        }
    }
}

fn comparison_row(comparison: &Comparison, class: &str) -> Markup {
    let Comparison { system, paired, p_holm, detectable, verdict, .. } = comparison;
    html! {
        tr class=(class) {
            td { (system) }
            td class=(tone(paired.difference)) { (signed(paired.difference)) }
            td { (signed(paired.interval.low)) " to " (signed(paired.interval.high)) }
            td { (p_value(*p_holm)) span.stars { (stars(*p_holm)) } }
            td { (paired.wins) } td { (paired.ties) } td { (paired.losses) }
            td { @match paired.effect_size { Some(size) => (format!("{size:+.2}").replace('-', "−")), None => "–" } }
            td { (value(*detectable)) }
            td.left { @match verdict {
                Verdict::NotEnoughQueries { needed } => { "needs about " (needed) " queries" }
                decided => (prose(&decided.to_string())),
            } }
        }
    }
}
