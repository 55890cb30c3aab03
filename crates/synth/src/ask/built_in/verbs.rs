//! The verbs that the built-in generator can turn into a question. Regular ones are inflected by
//! rule.

use super::lists::REGULAR_VERBS;
use std::collections::HashMap;
use std::sync::LazyLock;

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

/// The form of a verb in the text. It decides between do, does and did.
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

/// Every form of every known verb.
static FORMS: LazyLock<HashMap<String, (&'static str, Form)>> = LazyLock::new(|| {
    let mut forms = HashMap::new();
    for base in REGULAR_VERBS.iter().copied() {
        forms.insert(past(base), (base, Form::Past));
        forms.insert(third_person(base), (base, Form::Third));
        forms.insert(base.to_owned(), (base, Form::Base));
    }
    for (base, third, past) in IRREGULAR {
        forms.insert(past.to_string(), (*base, Form::Past));
        forms.insert(third.to_string(), (*base, Form::Third));
        forms.insert(base.to_string(), (*base, Form::Base));
    }
    forms
});

/// Returns base and form of a word that is one of the known verbs.
pub fn verb(lower: &str) -> Option<(&'static str, Form)> {
    FORMS.get(lower).copied()
}

/// `reaches`, `applies`, `plays`.
pub fn third_person(base: &str) -> String {
    match base {
        _ if base.ends_with(['s', 'x', 'h']) => format!("{base}es"),
        _ if base.ends_with('y') && !["ay", "ey", "oy"].iter().any(|end| base.ends_with(end)) => {
            format!("{}ies", &base[..base.len() - 1])
        }
        _ => format!("{base}s"),
    }
}

/// `reached`, `applied`, `induced`, `stopped`.
fn past(base: &str) -> String {
    match base {
        "stop" | "drop" | "transfer" | "refer" | "confer" | "permit" | "commit" | "occur"
        | "slip" | "trip" => {
            format!("{base}{}ed", &base[base.len() - 1..])
        }
        _ if base.ends_with('e') => format!("{base}d"),
        _ if base.ends_with('y') && !["ay", "ey", "oy"].iter().any(|end| base.ends_with(end)) => {
            format!("{}ied", &base[..base.len() - 1])
        }
        _ => format!("{base}ed"),
    }
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
