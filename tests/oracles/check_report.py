#!/usr/bin/env python3
"""Opens a report in a real browser and looks for what a reader would stumble over.

needs  pip install playwright, and a Chromium (apt-get install chromium, or playwright install chromium)
run    python check_report.py REPORT_HTML OUT_DIR [--chromium /usr/bin/chromium]

At 1280 and 400 pixels, light and dark, and as printed on A4: no error or warning on the console, no request but the file
itself, nothing wider than the window, no text over another text, no text of a figure cut off, and enough contrast
(4.5 : 1, WCAG AA). Screenshots and the PDF are left in OUT_DIR. Exit code 1 where anything was found.
"""
import argparse
import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

# Boxes of lines reach a little over their letters; this much of two may lie over each other.
SLACK = 2.0
CONTRAST = 4.5

LOOK = """
([slack, wanted]) => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth + 0.5)
    found.push(`the page is ${root.scrollWidth} wide in a window of ${window.innerWidth}`);

  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim()) continue;
    const parent = node.parentElement;
    if (parent.closest("svg") && parent.tagName === "title") continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    // What a scrolling box hides is not in anybody's way.
    const scroll = parent.closest(".scroll");
    const window_ = scroll && getComputedStyle(scroll).overflowX !== "visible" ? scroll.getBoundingClientRect() : null;
    const svg = parent.closest("svg");
    for (let box of range.getClientRects()) {
      let [left, right] = [box.left, box.right];
      if (window_) { left = Math.max(left, window_.left); right = Math.min(right, window_.right); }
      if (right - left < 1 || box.height < 1) continue;
      if (svg) {
        const frame = svg.getBoundingClientRect();
        if (left < frame.left - 1 || right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
          found.push(`"${node.data.trim()}" is cut off at the edge of its figure`);
      }
      boxes.push({ left, right, top: box.top, bottom: box.bottom, text: node.data.trim().slice(0, 60), node });
    }
  }
  boxes.sort((a, b) => a.top - b.top);
  for (let i = 0; i < boxes.length; i++)
    for (let j = i + 1; j < boxes.length && boxes[j].top < boxes[i].bottom - slack; j++) {
      const [a, b] = [boxes[i], boxes[j]];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (a.node !== b.node && wide > slack && high > slack) found.push(`"${a.text}" and "${b.text}" lie over each other`);
    }

  const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const rgba = numbers(getComputedStyle(e).backgroundColor);
      if (rgba.length && (rgba.length < 4 || rgba[3] > 0)) return rgba;
    }
    return [255, 255, 255];
  };
  const weak = new Set();
  for (const { node, text } of boxes) {
    const e = node.parentElement, style = getComputedStyle(e);
    const [a, b] = [light(numbers(e.closest("svg") ? style.fill : style.color)), light(ground(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < wanted) weak.add(`contrast ${contrast.toFixed(2)} of "${text}"`);
  }
  return { found: [...found, ...weak], texts: boxes.length };
}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    url = args.report.resolve().as_uri()
    problems = 0
    with sync_playwright() as playwright:
        # The sandbox doesn't start for root, who is who runs it in a container; the file is our own.
        browser = playwright.chromium.launch(executable_path=args.chromium, args=["--no-sandbox"])
        for name, width, scheme, media in [
            ("light", 1280, "light", "screen"),
            ("dark", 1280, "dark", "screen"),
            ("narrow-light", 400, "light", "screen"),
            ("narrow-dark", 400, "dark", "screen"),
            # A4 without its margins of 15 mm, at 96 dots an inch; a dark system must not print white on white.
            ("print", 680, "dark", "print"),
        ]:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.emulate_media(media=media, color_scheme=scheme)
            heard = []
            page.on("console", lambda message: heard.append(f"console {message.type}: {message.text}"))
            page.on("pageerror", lambda error: heard.append(f"error: {error}"))
            page.on("request", lambda request: request.url != url and not request.url.startswith("data:") and heard.append(f"request for {request.url}"))
            page.goto(url)
            seen = page.evaluate(LOOK, [SLACK, CONTRAST])
            found = heard + seen["found"]
            page.screenshot(path=args.out / f"{name}.png", full_page=True)
            if media == "print":
                page.pdf(path=args.out / "report.pdf", format="A4", prefer_css_page_size=True)
            page.close()
            print(f"{name:<13} {width:>5} px, {seen['texts']} pieces of text: {'; '.join(found) or 'nothing found'}")
            problems += len(found)
        browser.close()
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
