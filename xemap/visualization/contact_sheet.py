"""A page of examples that a browser opens without a network or any other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from xemap.datasets.selection import UNKNOWN
from xemap.visualization.examples import Example
from xemap.visualization.overlay import colorize, draw_outlines, overlay

QUALITY = 85

STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 0; }
header { padding: .6rem 1rem; background: Canvas; border-bottom: 1px solid GrayText; }
h1 { display: inline; margin: 0 1rem 0 0; font-size: 1.1rem; }
@media (min-width: 50rem) { header { position: sticky; top: 0; } }
form, nav { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: center; margin-top: .4rem; }
input { width: min(24rem, 60vw); }
input, select { font: inherit; }
header img { vertical-align: middle; }
main { display: grid; margin: 1rem; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 33rem), 1fr)); }
article { padding: .6rem; border: 1px solid GrayText; border-radius: .3rem; scroll-margin-top: 9rem; min-width: 0; }
article[hidden] { display: none; }
article:focus { outline: 3px solid Highlight; }
article div { display: flex; gap: .5rem; align-items: flex-start; }
article img { max-width: calc(50% - .25rem); height: auto; }
h2 { margin: 0 0 .4rem; font-size: 1.05rem; overflow-wrap: anywhere; }
p { margin: .4rem 0 0; overflow-wrap: anywhere; }
.path { color: GrayText; font-size: .85rem; }
.problem { color: #d33; }
kbd { border: 1px solid GrayText; border-radius: .2rem; padding: 0 .25rem; }
"""

SCRIPT = """
const by = id => document.getElementById(id), cards = [...document.querySelectorAll('article')];
const fields = ['text', 'kind', 'source'].map(by), [text, kind, source] = fields;
for (const field of [kind, source])
  for (const value of [...new Set(cards.map(card => card.dataset[field.id]))].sort()) field.add(new Option(value));
function filter() {
  const term = text.value.trim().toLowerCase();
  for (const card of cards)
    card.hidden = !(card.textContent.toLowerCase().includes(term)
      && [kind, source].every(field => !field.value || field.value === card.dataset[field.id]));
  by('count').textContent = `${cards.filter(card => !card.hidden).length} of ${cards.length} on this page`;
}
function step(by) {
  const shown = cards.filter(card => !card.hidden), now = shown.indexOf(document.activeElement);
  const next = shown[now < 0 ? 0 : now + by];
  if (next) next.focus();
}
const keys = {j: () => step(1), k: () => step(-1), n: () => by('next')?.click(), p: () => by('previous')?.click(),
  '/': () => text.focus()};
document.addEventListener('input', filter);
document.addEventListener('submit', event => event.preventDefault());
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape') { fields.forEach(field => field.value = ''); filter(); document.activeElement.blur(); }
  else if (!event.target.matches('input, select') && keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
filter();
"""

FOOT = f'</main>\n<script>{SCRIPT}</script>\n</html>\n'


def head(title: str, about: str, page: int, pages: Sequence[str]) -> str:
    """Everything before the first card.

    Args:
        title, about: text above the cards.
        page: number of this page, from 0.
        pages: file names of all pages.
    """
    links = []
    for name, at in (('previous', page - 1), ('next', page + 1)):
        if 0 <= at < len(pages):
            links.append(f'<a id="{name}" href="{escape(pages[at])}">{name} page</a>')
    ramp = colorize(np.linspace(0, 1, 96, dtype=np.float32)[None].repeat(12, 0))
    # The policy is the promise "no other resource", kept by the browser.
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{STYLE}</style>
<header>
<h1>{escape(title)}</h1>{escape(about)}
<form role="search">
<label>filter <input type="search" id="text" placeholder="part of query, category or image name"></label>
<label>kind <select id="kind"><option value="">all</option></select></label>
<label>source <select id="source"><option value="">all</option></select></label>
<output id="count"></output>
</form>
<nav>
<span>page {page + 1} of {len(pages)}</span> {' '.join(links)}
<span>target map: 0 <img src="{data_uri(ramp)}" alt="from dark to bright"> 1</span>
<span><kbd>/</kbd> filter, <kbd>Esc</kbd> all, <kbd>j</kbd> <kbd>k</kbd> next, previous query,
<kbd>n</kbd> <kbd>p</kbd> next, previous page</span>
</nav>
</header>
<main>
"""


def card(example: Example) -> str:
    """One query: text, image with outlines, target map, and what else is known of it."""
    record, query = example.record, example.query
    kind = query.kind or UNKNOWN
    hops, referents = (UNKNOWN if n is None else str(n) for n in (query.hops, query.referents))
    facts = [f'kind: {kind}', f'hops: {hops}', f'referents: {referents}', f'source: {record.source}']
    if query.category is not None:
        facts.insert(0, f'category: {query.category}')
    where = f'{record.image}, query {example.query_id}, {record.width} x {record.height}'
    warning = f'<p class="problem">{escape(example.problem)}</p>\n' if example.problem else ''
    return f"""<article tabindex="0" data-kind="{escape(kind)}" data-source="{escape(record.source)}">
<h2 dir="auto">{escape(query.text)}</h2>
<div><img src="{data_uri(draw_outlines(example.image, example.outlines(), 1))}" alt="image, region outlined">
<img src="{data_uri(overlay(example.image, example.target()))}" alt="target map"></div>
<p>{escape(' · '.join(facts))}</p>
<p class="path">{escape(where)}</p>
{warning}</article>
"""


def data_uri(picture: np.ndarray) -> str:
    """An (h, w, 3) uint8 RGB picture as a JPEG within a URI."""
    buffer = io.BytesIO()
    # Without subsampling, which would blur thin outlines.
    Image.fromarray(picture).save(buffer, 'JPEG', quality=QUALITY, subsampling=0)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode()
