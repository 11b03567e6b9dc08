// The lineage graph by mouse, finger and keyboard.
const NEAR = 14;

/** Select an individual by its place; show it, and say it to who does not see it. */
function select(place) {
  if (place === null || place === undefined || place < 0) return;
  view.selected = place;
  view.follows = false;
  view.ancestors = ancestorsOf(place);
  document.getElementById('detail').replaceChildren(...h('div', null, detailOf(place)).childNodes);
  say(wordsOf(place));
  reveal(graph.step[place]);
  soon();
}

/** Select the best, and whoever is the best later. */
function follow() {
  select(graph.best);
  view.follows = true;
}

/** Select an individual from elsewhere in the page, and go there. */
function go(number) {
  const place = placeOf.get(number), inside = document.activeElement && document.activeElement.closest('.lineage');
  select(place);
  if (!inside) document.getElementById('lineage').scrollIntoView();
  document.getElementById('chosen').focus({ preventScroll: Boolean(inside) });
}

function reveal(step) {
  const span = view.to - view.from;
  if (step < view.from) show(step - span * 0.1, span);
  if (step > view.to) show(step - span * 0.9, span);
}

function show(from, span) {
  const most = lastStep - firstStep || 1;
  span = Math.max(Math.min(8, most), Math.min(most, span));
  view.from = Math.max(firstStep, Math.min(lastStep - span, from));
  view.to = view.from + span;
  soon();
}

/** Zoom so that what is at this share of the width stays there. */
function zoom(factor, share = 0.5) {
  const span = view.to - view.from;
  show(view.from + span * share * (1 - factor), span * factor);
}

function nearest(x, y) {
  let best = -1, distance = NEAR * NEAR;
  for (let place = 0; place < count; place += 1) {
    const d = (view.x[place] - x) ** 2 + (view.y[place] - y) ** 2;
    if (d < distance) { best = place; distance = d; }
  }
  return best;
}

/** Return who is reached by a key: parents and children to the sides, the island's other births up and down. */
function reached(key, place) {
  const fittestOf = (places) => places.reduce((a, b) => (a === null || (graph.fitness[b] ?? -1) > (graph.fitness[a] ?? -1) ? b : a), null);
  if (place < 0 || key === 'Home' || key === 'End') return key === 'Home' ? bySteps[0] : graph.best ?? bySteps[bySteps.length - 1];
  if (key === 'ArrowLeft') return baseOf(place);
  if (key === 'ArrowRight') return fittestOf(childrenOf[place]);
  const own = bySteps.filter((other) => graph.island[other] === graph.island[place]);
  return own[own.indexOf(place) + (key === 'ArrowUp' ? -1 : 1)] ?? null;
}

const bySteps = graph.id.map((_, place) => place).sort((a, b) => graph.step[a] - graph.step[b]);

function keyed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const zooms = { '+': 0.6, '=': 0.6, '-': 1 / 0.6, 0: Infinity };
  if (event.key in zooms) { if (zooms[event.key] === Infinity) show(firstStep, Infinity); else zoom(zooms[event.key]); }
  else if (event.key === 'Enter' && view.selected >= 0) document.getElementById('chosen').focus();
  else if (/^(Arrow.*|Home|End)$/.test(event.key)) {
    const next = reached(event.key, view.selected);
    if (next === null) say({ ArrowLeft: 'No parent', ArrowRight: 'No child', ArrowUp: 'The first birth of the island', ArrowDown: 'The last birth of the island' }[event.key]);
    select(next);
  } else return;
  event.preventDefault();
}

function steer() {
  const held = new Map();
  let moved = 0;
  canvas.addEventListener('pointerdown', (event) => { held.set(event.pointerId, event.offsetX); moved = 0; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener('pointermove', (event) => {
    if (!held.has(event.pointerId)) return;
    const by = event.offsetX - held.get(event.pointerId), others = [...held.keys()].filter((id) => id !== event.pointerId);
    if (others.length) {
      const other = held.get(others[0]);
      zoom(Math.abs(held.get(event.pointerId) - other) / Math.max(20, Math.abs(event.offsetX - other)), (other - view.left) / (view.width - view.left));
    } else show(view.from - (by / (view.width - view.left)) * (view.to - view.from), view.to - view.from);
    moved += Math.abs(by);
    held.set(event.pointerId, event.offsetX);
  });
  const end = (event) => {
    if (held.delete(event.pointerId) && event.type === 'pointerup' && moved < 5) select(nearest(event.offsetX, event.offsetY));
  };
  canvas.addEventListener('pointerup', end);
  canvas.addEventListener('pointercancel', end);
  canvas.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && Math.abs(event.deltaX) < Math.abs(event.deltaY)) return; // the page scrolls
    event.preventDefault();
    const span = view.to - view.from;
    if (event.ctrlKey) zoom(Math.exp(event.deltaY / 200), (event.offsetX - view.left) / (view.width - view.left));
    else show(view.from + (event.deltaX / view.width) * span, span);
  }, { passive: false });
  canvas.addEventListener('keydown', keyed);
}

function lineage() {
  if (!count) return section('lineage', 'Lineage', h('p', null, 'Nobody has been born yet.'));
  const left = graph.total - count;
  const input = h('input', { id: 'number', inputmode: 'numeric', autocomplete: 'off', placeholder: 'such as 0:12', 'aria-label': 'Number of an individual' });
  const search = (event) => {
    event.preventDefault();
    const asked = input.value.trim().split(':').map(Number), number = asked.length === 2 ? asked[0] * ISLAND + asked[1] : asked[0];
    if (placeOf.has(number) && input.value.trim()) select(placeOf.get(number));
    else say(`No individual ${input.value} in the graph`);
    input.setAttribute('aria-invalid', String(!placeOf.has(number)));
  };
  const tool = (words, act, name) => h('button', { type: 'button', 'aria-label': name, click: act }, words);
  return section(
    'lineage', 'Lineage',
    h('p', { class: 'lead' }, 'A lane for each island; births from left to right, dev fitness upwards within a lane. Select one to see where it comes from.'),
    left > 0 && h('p', { class: 'note warn' }, `${whole(count)} of ${whole(graph.total)} individuals are shown: the best one’s ancestors, then the fittest. The other ${whole(left)}, and links to them, are left out.`),
    h('div', { class: 'tools' }, tool('+', () => zoom(0.6), 'Zoom in'), tool('−', () => zoom(1 / 0.6), 'Zoom out'), tool('All', () => show(firstStep, Infinity), 'Show all births'),
      graph.best !== null && tool('The best', follow), h('form', { submit: search }, input, h('button', { type: 'submit' }, 'Go'))),
    h('div', { class: 'lineage' },
      h('div', null, h('div', { class: lanes.length > 12 ? 'board tall' : 'board' }, canvas), legend(),
        h('p', { class: 'note only-screen', id: 'graph-help' }, 'Drag to move, pinch or Ctrl and wheel to zoom. With the graph in focus: left to the parent, right to the fittest child, up and down through the births of an island, Home to the first, End to the best, + − 0 to zoom, Enter to read.')),
      h('section', { class: 'detail', id: 'detail', 'aria-label': 'Selected individual', tabindex: '0' }, h('p', { class: 'note' }, 'Nobody is selected.'))),
    later(`All ${whole(count)} individuals as a table`, individuals),
  );
}

function legend() {
  const sign = (...drawn) => s('svg', { width: 12, height: 12, viewBox: '0 0 12 12', 'aria-hidden': 'true' }, drawn);
  const item = (drawn, words, shape) => (!shape || shapeOf.includes(shape)) && h('li', null, sign(drawn), words);
  return h('ul', { class: 'legend' },
    item(s('circle', { cx: 6, cy: 6, r: 4, class: 'node' }), 'birth'), item(s('path', { d: 'M6 1L11 6L6 11L1 6Z', class: 'node' }), 'seed', 'diamond'), item(s('rect', { x: 2, y: 2, width: 8, height: 8, class: 'node' }), 'migrant', 'square'),
    item(s('circle', { cx: 6, cy: 6, r: 4, class: 'link' }), 'dropped', 'ring'), item(s('path', { d: 'M2 2L10 10M10 2L2 10', class: 'link' }), 'failed', 'cross'), item(s('circle', { cx: 6, cy: 6, r: 4, class: 'node main' }), 'ancestor of the selected'));
}
