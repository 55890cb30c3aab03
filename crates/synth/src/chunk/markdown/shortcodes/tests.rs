//! What a reader sees of texts with such markup.

use super::*;

fn seen(text: &str) -> String {
    let text = without(text).unwrap_or_else(|| text.to_owned());
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn shortcodes_go_and_their_prose_and_captions_stay() {
    let text = "{{% note %}}\nMind the **valve**.\n{{% /note %}}\n\n{{< figure src=\"a.png\"\n  caption=\"The pump\" >}}\n\n\
        Drain {{< ref \"x.md\" >}} it. {{< tab \"Linux\" >}}\nRun it.\n{{< /tab >}}\n\n{{< comment >}}secret{{< /comment >}}\n";
    assert_eq!(seen(text), "Mind the **valve**.\nThe pump\nDrain it. Linux\nRun it.");
    for shown in [
        "See {{</* figure */>}} here.",
        "`{{< note >}}` in code.",
        "```\n{{< note >}}\n```",
        "a {{ b",
    ] {
        assert_eq!(without(shown), None, "{shown}");
    }
}

#[test]
fn liquid_goes_and_what_is_raw_stays() {
    let text = "{% include nav.html %}\n{%- if site.x -%}\nOpen the valve.\n{%- endif -%}\n{% hint style=\"info\" %}\nSlowly.\n\
        {% endhint %}\n{% comment %}\nsecret\n{% endcomment %}\nAt [home]({{ site.baseurl }}/x), {% raw %}{{ page.title }}{% endraw %}.\n{: .note}\n";
    let expected = "Open the valve.\nSlowly.\nAt [home](/x), {{ page.title }}.";
    assert_eq!(seen(text), expected);
    for shown in [
        "Set ${{ secrets.KEY }} there.",
        "{{ .Values.port }} is 80.",
        "{% 50 %} of it",
        "{%",
        "{% x",
    ] {
        assert_eq!(without(shown), None, "{shown}");
    }
}

#[test]
fn imports_and_components_go_and_what_they_hold_stays() {
    let text = "import Tabs from '@theme/Tabs';\nimport {\n  A,\n  B,\n} from \"x\";\n\nexport const meta = {\n  a: 1,\n};\n\n\
        <Tabs\n  values={[\n    {label: 'a > b', value: 'x'},\n  ]}>\n<TabItem value=\"l\" label=\"Linux\">\n\nRun **it**.\n\n</TabItem>\n</Tabs>\n\
        <Card title={\"The pump\"} style={{a: 1}} />\n{/* secret */}\n<>\nWith <Icon name=\"x\"/> it stops.\n</>\n";
    assert_eq!(seen(text), "Linux\nRun **it**.\nThe pump\nWith it stops.");
    for shown in [
        "First, import it from the menu.",
        "export it with default names",
        "<HTTP://x.y> and <TABLE> and <Kim@x.y>",
        "a <B and 1 <Two",
        "not equal: <> or",
        "```js\nimport a from 'b'\n```",
        "<Details>\nMore\n</Details>",
    ] {
        assert_eq!(without(shown), None, "{shown}");
    }
}

#[test]
fn admonitions_lose_their_marks_and_keep_their_titles() {
    let text = ":::note Careful\nHot.\n:::\n\n::: {.warning}\nSteam.\n:::\n\n:::tip[Good to know]{#x}\nWater.\n:::\n\n\
        > [!WARNING]\n> Wet.\n\n!!! danger \"High voltage\"\n\n    Stand back.\n\n    ```sh\n    off\n    ```\nNext.\n\n\
        === \"Linux\"\n    Run.\n\n[[toc]]\n";
    let expected = "Careful\nHot.\nSteam.\nGood to know\nWater.\n>\n> Wet.\nHigh voltage\nStand back.\n```sh\noff\n```\nNext.\nLinux\nRun.";
    assert_eq!(seen(text), expected);
    for shown in ["Title\n===\n\nText: a ::: b", "A [!x] b", "Wait!!! no", "[x]: y"] {
        assert_eq!(without(shown), None, "{shown}");
    }
}

#[test]
fn no_text_makes_it_panic_or_lose_time() {
    let parts = [
        "{{<", "{%", "%}", ">}}", "<Ab", "{", "}", "\"", "é", "`", "\n", ":::", "!!! ", " ", "raw",
        "comment", "/",
    ];
    let mut state = 1_u64;
    for _ in 0..3000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text += parts[(state >> 33) as usize % parts.len()];
        }
        without(&text);
    }
    for part in ["{{< ", "<Ab ", "`", "{% comment %}", "{% raw %}"] {
        without(&part.repeat(20_000));
    }
}
