//! The figure of the means of all runs.

use crate::assess::Assessment;
use crate::page::prose::value;
use maud::{Markup, html};

/// Draws a bar for every run, with the interval of its mean. The page holds the names as text.
pub(crate) fn bars(assessment: &Assessment) -> Markup {
    let primary = assessment.primary;
    let system = assessment.verdict.as_ref().map(|decision| decision.system.as_str());
    let runs = assessment.report.runs.iter().chain(&assessment.oracle);
    html! {
        div.bars {
            @for run in runs {
                @let mean = run.evaluation.mean_of(primary).unwrap_or_default();
                @let is_oracle = assessment.oracle.as_ref().is_some_and(|oracle| std::ptr::eq(oracle, run));
                @let interval = assessment.intervals.iter().find(|(name, _)| *name == run.name && !is_oracle);
                @let class = if is_oracle { "f-oracle" } else if Some(run.name.as_str()) == system { "f-system" } else { "f-baseline" };
                div.bar {
                    div.name { (run.name) }
                    svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true" {
                        rect class=(class) x="0" y="3" width=(format!("{:.1}", 1000.0 * mean)) height="14" rx="2" {}
                        @if let Some((_, interval)) = interval {
                            path class="whisker" d=(whisker(interval.low, interval.high)) {}
                        }
                    }
                    div.value { (value(mean)) }
                }
            }
        }
    }
}

fn whisker(low: f64, high: f64) -> String {
    let (low, high) = (1000.0 * low.clamp(0.0, 1.0), 1000.0 * high.clamp(0.0, 1.0));
    format!("M{low:.1} 10H{high:.1}M{low:.1} 6V14M{high:.1} 6V14")
}
