//! Name, rule and examples of each style of query.

use crate::config::Style;

/// The passage of the compiled-in examples.
pub const EXAMPLE_TITLE: &str = "Allotment rules > Water";
pub const EXAMPLE_TEXT: &str = "The garden pumps run from April to October. Watering by hose is allowed before 9 in the \
    morning and after 6 in the evening. Tanks of up to 300 litres may be set up without asking the board, larger ones need \
    its written consent.";

/// A style, in the words of the prompt.
pub struct Words {
    /// In the plural.
    pub kind: &'static str,
    /// One sentence; empty if `kind` says it all.
    pub rule: &'static str,
    /// Queries on the example's passage.
    pub examples: [&'static str; 4],
}

const MIXED: Words = Words {
    kind: "queries",
    rule: "Write in three forms: a question; the situation or the problem of somebody who searches, told in a \
           few words; and two to six keywords as one types them into a search box. Where your words can differ \
           from the passage's, they do: think of what people say who have not read it. If the passage answers \
           nothing that anybody would search for, return an empty list.",
    examples: [
        "When can I water my plot with a hose?",
        "want to put up a big rain barrel, do I have to ask somebody",
        "allotment tap turned off months",
        "Who decides about water butts above 300 litres?",
    ],
};

const NATURAL: Words = Words {
    kind: "questions",
    rule: "",
    examples: [
        "When can I water my allotment with a hose?",
        "In which months is there water on the allotment?",
        "How big may a rainwater tank be without permission?",
        "Who has to agree to a large water tank on an allotment?",
    ],
};

/// Returns the words for a style.
pub fn words(style: Style) -> Words {
    match style {
        Style::Mixed => MIXED,
        Style::Natural => NATURAL,
        Style::Keyword => Words {
            kind: "keyword queries",
            rule: "Each is two to six words as one types them into a search box, not a sentence, without a question mark.",
            examples: [
                "allotment hose watering hours",
                "garden pumps season months",
                "rainwater tank size limit without permission",
                "board consent large water tank allotment",
            ],
        },
        Style::MultiConstraint => Words {
            kind: "questions with several conditions",
            rule: "Each names two or more conditions that hold at the same time.",
            examples: [
                "Can I water with a hose at noon in July when the pumps are running?",
                "Which water tanks over 300 litres are allowed without written consent?",
                "Is there water for the garden in March if I only water in the evening?",
                "May I put up a 200 litre tank in May without asking the board?",
            ],
        },
        Style::HowTo => Words {
            kind: "how-to questions",
            rule: "Each asks how something is done, or what has to be done first.",
            examples: [
                "How do I get permission for a water tank of 500 litres?",
                "How can I water my allotment in summer without breaking the rules?",
                "What do I have to do before I set up a large rainwater tank?",
                "How do I plan watering by hose around the allowed hours?",
            ],
        },
        Style::Comparison => Words {
            kind: "questions that compare",
            rule: "Each asks for the difference between two things or cases that the passage names.",
            examples: [
                "What is the difference between small and large water tanks as to permission?",
                "Is watering by hose treated differently in the morning and in the evening?",
                "Do tanks above 300 litres follow other rules than those below?",
                "Is there water on the allotment in winter as there is in summer?",
            ],
        },
        Style::Troubleshooting => Words {
            kind: "problem descriptions",
            rule: "Each describes something that went wrong or does not work, as somebody who looks for help would.",
            examples: [
                "no water from the garden pump in November",
                "neighbour complains that I water with a hose at midday",
                "board objects to my 400 litre rain tank",
                "pump on the allotment does not run in March",
            ],
        },
    }
}
