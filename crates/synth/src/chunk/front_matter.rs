//! What stands above a page's text for the program that publishes it: YAML between `---`, TOML
//! between `+++`, JSON between `;;;` or in braces.

/// The front matter of a text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct FrontMatter {
    /// `title`, else `linkTitle`.
    pub title: Option<String>,
    /// Where the text begins below it; 0 where there is none.
    pub end: usize,
}

/// The keys that name a page, the better first.
const KEYS: [&str; 2] = ["title", "linktitle"];

/// Returns where the text begins, and the title that stands above it.
pub(crate) fn read(text: &str) -> FrontMatter {
    let start = text.len() - text.trim_start().len();
    let first = text[start..].lines().next().unwrap_or_default().trim_end();
    let found = match first {
        "---" => fenced(text, start, &["---", "..."], yaml),
        "+++" => fenced(text, start, &["+++"], toml),
        ";;;" => fenced(text, start, &[";;;"], json),
        _ if first.starts_with('{') => braces(text, start),
        _ => None,
    };
    found.unwrap_or_default()
}

/// Values of [`KEYS`], where the words between the fences are of the format at all.
type Fields = Option<[Option<String>; 2]>;

fn fenced(
    text: &str,
    start: usize,
    fences: &[&str],
    parse: fn(&str) -> Fields,
) -> Option<FrontMatter> {
    let inside = start + text[start..].find('\n')? + 1;
    let mut at = inside;
    for line in text[inside..].split_inclusive('\n') {
        let end = at + line.len();
        if fences.contains(&line.trim_end()) {
            return Some(FrontMatter { title: title_of(parse(&text[inside..at])?), end });
        }
        at = end;
    }
    None
}

/// A JSON object at the top, as Hugo has it.
fn braces(text: &str, start: usize) -> Option<FrontMatter> {
    let mut values = serde_json::Deserializer::from_str(&text[start..])
        .into_iter::<serde_json::Map<String, serde_json::Value>>();
    let object = values.next()?.ok()?;
    let end = start + values.byte_offset();
    let rest = &text[end..];
    // `{"a": 1} is an object.` is a sentence.
    let alone = rest.lines().next().is_none_or(|line| line.trim().is_empty());
    (alone && !object.is_empty()).then(|| FrontMatter { title: title_of(fields(&object)), end })
}

fn title_of(fields: [Option<String>; 2]) -> Option<String> {
    let squeeze = |title: String| title.split_whitespace().collect::<Vec<_>>().join(" ");
    fields.into_iter().flatten().map(squeeze).find(|title| !title.is_empty())
}

fn json(inside: &str) -> Fields {
    // Without braces between its fences, or with them.
    let parse = |text: &str| serde_json::from_str(text).ok();
    let object = parse(inside).or_else(|| parse(&format!("{{{inside}}}")))?;
    Some(fields(&object))
}

fn fields(object: &serde_json::Map<String, serde_json::Value>) -> [Option<String>; 2] {
    KEYS.map(|key| {
        let (_, value) = object.iter().find(|(name, _)| name.to_lowercase() == key)?;
        value.as_str().map(str::to_owned)
    })
}

fn toml(inside: &str) -> Fields {
    let table: toml::Table = inside.parse().ok()?;
    Some(KEYS.map(|key| {
        let (_, value) = table.iter().find(|(name, _)| name.to_lowercase() == key)?;
        value.as_str().map(str::to_owned)
    }))
}

/// Reads the top-level strings of YAML; what else it holds does not matter here.
fn yaml(inside: &str) -> Fields {
    let lines: Vec<&str> = inside.lines().collect();
    let mut stated = lines.iter().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    if !stated.next().is_none_or(|line| key_and_value(line).is_some() || *line == "{}") {
        return None;
    }
    let mut fields = [None, None];
    for (index, line) in lines.iter().enumerate() {
        let Some((key, value)) = key_and_value(line) else { continue };
        let place = KEYS.iter().position(|wanted| key.to_lowercase() == *wanted);
        if let Some(place) = place.filter(|place| fields[*place].is_none()) {
            fields[place] = Some(scalar(value, &lines[index + 1..]));
        }
    }
    Some(fields)
}

/// `key: value`, with the key at the line's start.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim_end().trim_matches(['"', '\'']);
    let named = !key.is_empty() && !key.starts_with(['-', ' ', '\t', '#', '{', '[', '|', '>', '*']);
    let parted = value.is_empty() || value.starts_with([' ', '\t']);
    (named && parted && !line.starts_with([' ', '\t'])).then_some((key, value.trim()))
}

/// A plain, quoted or block scalar whose first line is `value`.
fn scalar(value: &str, below: &[&str]) -> String {
    let indented = || {
        let deeper = |line: &&&str| line.starts_with([' ', '\t']) || line.trim().is_empty();
        below.iter().take_while(deeper).map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    };
    let is_block = value.starts_with(['|', '>'])
        && value[1..].split(" #").next().unwrap_or_default().trim().len() <= 2;
    if is_block || value.is_empty() {
        // A map or a list below a key is no title.
        let block = indented();
        let nested =
            value.is_empty() && (block.starts_with("- ") || key_and_value(&block).is_some());
        return if nested { String::new() } else { block };
    }
    let folded = format!("{value} {}", indented());
    match value.chars().next() {
        Some('"') => double_quoted(&folded[1..]),
        Some('\'') => single_quoted(&folded[1..]),
        _ => folded.split(" #").next().unwrap_or_default().trim().to_owned(),
    }
}

fn double_quoted(text: &str) -> String {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n' | 't' | 'r') => value.push(' '),
                Some(escaped) => value.push(escaped),
                None => {}
            },
            c => value.push(c),
        }
    }
    value
}

fn single_quoted(text: &str) -> String {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\'') {
        value += before;
        let Some(after) = after.strip_prefix('\'') else { break };
        value.push('\'');
        rest = after;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(text: &str) -> Option<String> {
        let found = read(text);
        assert_eq!(text[found.end..].trim(), "Text.", "{text}");
        found.title
    }

    #[test]
    fn every_kind_of_front_matter_is_cut_off_and_names_the_page() {
        for text in [
            "---\ntitle: Pump list\nweight: 3\n---\nText.",
            "---\n# page\nweight: 3\nTitle: \"Pump list\" # short\n---\n\nText.",
            "---\r\ntitle: 'Pump list'\r\n---\r\nText.",
            "---\ntitle: >-\n  Pump\n  list\ntags:\n  - a\n...\nText.",
            "\n---\ntitle: Pump\n  list\nlinkTitle: List\n---\nText.",
            "---\nlinkTitle: Pump list\n---\nText.",
            "+++\ntitle = \"Pump list\"\n[params]\na = 1\n+++\nText.",
            "{\n  \"title\": \"Pump list\",\n  \"tags\": []\n}\n\nText.",
            ";;;\n\"title\": \"Pump list\"\n;;;\nText.",
        ] {
            assert_eq!(title(text).as_deref(), Some("Pump list"), "{text}");
        }
        assert_eq!(title("---\ntitle:\n  en: Pump\n---\nText."), None);
        assert_eq!(title("---\ntitle: 'The pump''s list'\n---\nText.").unwrap(), "The pump's list");
        assert_eq!(title("---\n---\nText."), None);
    }

    #[test]
    fn rules_and_braces_of_a_text_are_no_front_matter() {
        for text in [
            "---\n\nA first part.\n\n---\n\nA second part.",
            "---\ntitle: never closed\n\nText.",
            "{\"a\": 1} is an object.",
            "{{< shortcode >}}\nText.",
            "+++\nno toml here\n+++\n",
            "Text.",
            "",
        ] {
            assert_eq!(read(text), FrontMatter::default(), "{text}");
        }
    }
}
