//! Verbs that the built-in generator can turn into a question. Regular ones are inflected by rule.

/// Auxiliaries that change places with the subject in a question.
pub const AUXILIARIES: &[&str] = &[
    "is", "are", "was", "were", "can", "could", "may", "might", "must", "should", "will", "would", "shall", "has",
    "have", "had",
];

const REGULAR: &[&str] = &[
    "accept",
    "accelerate",
    "activate",
    "affect",
    "allow",
    "alter",
    "answer",
    "appear",
    "apply",
    "assume",
    "attenuate",
    "average",
    "belong",
    "block",
    "call",
    "carry",
    "cause",
    "change",
    "charge",
    "check",
    "clear",
    "collect",
    "compare",
    "confer",
    "confirm",
    "connect",
    "contain",
    "contribute",
    "control",
    "correlate",
    "count",
    "cover",
    "create",
    "cure",
    "decrease",
    "delay",
    "deliver",
    "demand",
    "demonstrate",
    "depend",
    "deserve",
    "determine",
    "differ",
    "disappear",
    "display",
    "drop",
    "elevate",
    "eliminate",
    "enable",
    "encode",
    "end",
    "enhance",
    "enter",
    "exceed",
    "exhibit",
    "explain",
    "express",
    "extend",
    "fail",
    "feed",
    "fill",
    "follow",
    "generate",
    "handle",
    "happen",
    "help",
    "identify",
    "impair",
    "improve",
    "include",
    "increase",
    "indicate",
    "induce",
    "influence",
    "inhibit",
    "initiate",
    "interact",
    "involve",
    "join",
    "last",
    "learn",
    "lift",
    "limit",
    "link",
    "look",
    "lower",
    "maintain",
    "mark",
    "measure",
    "mediate",
    "modify",
    "modulate",
    "need",
    "offer",
    "open",
    "owe",
    "own",
    "participate",
    "pass",
    "pay",
    "permit",
    "play",
    "poll",
    "predict",
    "prevent",
    "produce",
    "promote",
    "propose",
    "protect",
    "provide",
    "reach",
    "receive",
    "recommend",
    "record",
    "reduce",
    "refer",
    "regulate",
    "release",
    "remain",
    "remove",
    "replace",
    "report",
    "represent",
    "repress",
    "require",
    "resist",
    "respond",
    "restart",
    "restore",
    "result",
    "return",
    "reveal",
    "reverse",
    "save",
    "send",
    "serve",
    "settle",
    "show",
    "slow",
    "start",
    "stay",
    "stimulate",
    "stop",
    "store",
    "suffer",
    "support",
    "suppress",
    "survive",
    "switch",
    "target",
    "tolerate",
    "trigger",
    "turn",
    "use",
    "vary",
    "visit",
    "wait",
    "warm",
    "weigh",
    "work",
    "yield",
];

/// Base, third person, past.
const IRREGULAR: &[(&str, &str, &str)] = &[
    ("arise", "arises", "arose"),
    ("bear", "bears", "bore"),
    ("become", "becomes", "became"),
    ("begin", "begins", "began"),
    ("bind", "binds", "bound"),
    ("bring", "brings", "brought"),
    ("come", "comes", "came"),
    ("cost", "costs", "cost"),
    ("draw", "draws", "drew"),
    ("fall", "falls", "fell"),
    ("find", "finds", "found"),
    ("get", "gets", "got"),
    ("give", "gives", "gave"),
    ("go", "goes", "went"),
    ("grow", "grows", "grew"),
    ("hold", "holds", "held"),
    ("keep", "keeps", "kept"),
    ("lead", "leads", "led"),
    ("leave", "leaves", "left"),
    ("lie", "lies", "lay"),
    ("lose", "loses", "lost"),
    ("make", "makes", "made"),
    ("mean", "means", "meant"),
    ("meet", "meets", "met"),
    ("rise", "rises", "rose"),
    ("run", "runs", "ran"),
    ("see", "sees", "saw"),
    ("shut", "shuts", "shut"),
    ("stand", "stands", "stood"),
    ("take", "takes", "took"),
    ("tell", "tells", "told"),
    ("undergo", "undergoes", "underwent"),
    ("wake", "wakes", "woke"),
    ("win", "wins", "won"),
];

/// The form that a verb was found in, which decides between do, does and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Base,
    Third,
    Past,
}

impl Form {
    pub fn auxiliary(self) -> &'static str {
        match self {
            Form::Base => "do",
            Form::Third => "does",
            Form::Past => "did",
        }
    }
}

/// Returns base and form of a word that is one of the known verbs.
pub fn verb(lower: &str) -> Option<(String, Form)> {
    for (base, third, past) in IRREGULAR {
        match lower {
            _ if lower == *third => return Some((base.to_string(), Form::Third)),
            _ if lower == *past => return Some((base.to_string(), Form::Past)),
            _ if lower == *base => return Some((base.to_string(), Form::Base)),
            _ => {}
        }
    }
    for base in REGULAR {
        let Some(ending) = lower.strip_prefix(&base[..base.len() - 1]) else { continue };
        let last = &base[base.len() - 1..];
        let form = match ending {
            _ if ending == last => Form::Base,
            "ies" | "ied" if last == "y" => {
                if ending == "ies" {
                    Form::Third
                } else {
                    Form::Past
                }
            }
            _ if ending.strip_prefix(last).is_some_and(|rest| rest == "s" || rest == "es") => Form::Third,
            _ if ending.strip_prefix(last).is_some_and(|rest| rest == "ed" || (last == "e" && rest == "d")) => {
                Form::Past
            }
            // stop, stopped
            _ if ending.strip_prefix(last).and_then(|rest| rest.strip_prefix(last)) == Some("ed") => Form::Past,
            _ => continue,
        };
        return Some((base.to_string(), form));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_lead_back_to_the_base() {
        let found = |word| verb(word).map(|(base, form)| format!("{} {base}", form.auxiliary()));
        for (word, expected) in [
            ("reaches", "does reach"),
            ("reached", "did reach"),
            ("applies", "does apply"),
            ("carried", "did carry"),
            ("stopped", "did stop"),
            ("induces", "does induce"),
            ("induced", "did induce"),
            ("increase", "do increase"),
            ("plays", "does play"),
            ("gave", "did give"),
        ] {
            assert_eq!(found(word).as_deref(), Some(expected), "{word}");
        }
        assert_eq!((found("valve"), found("openness"), found("user")), (None, None, None));
    }
}
