// The document, `story`, and the few words every part of the page is made with. All texts are set as text, never as markup.
const graph = story.graph;
const placeOf = new Map(graph.id.map((number, place) => [number, place]));
const ISLAND = 2 ** 40;
const unmade = new WeakMap();

/** Return an element; properties that are functions listen, `data` and attributes are set as they are. */
function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return a stranger's text as an element that cannot turn its surroundings round. */
const bdi = (text) => h('bdi', { dir: 'auto' }, String(text));

const percent = (value, digits = 1) => (value === null || value === undefined ? '–' : `${(100 * value).toFixed(digits)} %`);
const points = (value) => `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)}`;
const whole = (value) => (value === null || value === undefined ? '–' : Math.round(value).toLocaleString('en'));
const money = (usd) => (usd === null || usd === undefined ? 'unknown' : `$${usd.toFixed(usd < 1 ? 4 : 2)}`);
const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;
const range = (low, high) => `[${points(low)}, ${points(high)}]`;
const nameOf = (number) => `${Math.floor(number / ISLAND)}:${number % ISLAND}`;

function duration(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

const pValue = (p) => (p < 0.001 ? p.toExponential(1).replace('e-', '\u00a0×\u00a010⁻').replace(/⁻(\d+)$/, (_, n) => `⁻${raised(n)}`) : p.toFixed(3));
const raised = (digits) => [...digits].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]).join('');

/** Return a button that selects an individual in the lineage graph, or its name where the graph leaves it out. */
function link(number, label = nameOf(number)) {
  if (!placeOf.has(number)) return h('span', { title: 'not in the graph' }, label);
  return h('button', { type: 'button', 'data-id': number, title: `individual ${number}`, click: () => go(number) }, label);
}

/** Return a section of the page with its heading; its id is what the contents point to. */
function section(id, title, ...children) {
  return h('section', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), ...children);
}

/** Return a table in a box that scrolls by itself. Columns: [heading, function of a row, is a number]. */
function table(caption, columns, rows, options = {}) {
  const heading = columns.map(([name, , number]) => h('th', { scope: 'col', class: number && 'number' }, name));
  const cell = (row) => ([, value, number], place) =>
    h(place ? 'td' : 'th', { class: number && 'number', scope: place ? undefined : 'row' }, value(row));
  const body = h('tbody', null, rows.map((row) => h('tr', null, columns.map(cell(row)))));
  const element = h('table', { class: options.class }, h('caption', null, caption), h('thead', null, h('tr', null, heading)), body);
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': options.label || caption }, element);
}

/** Return a disclosure that makes its content when it is first opened. */
function later(title, make) {
  const details = h('details', null, h('summary', null, title));
  unmade.set(details, make);
  details.addEventListener('toggle', () => { if (details.open) fill(details); });
  return details;
}

/** Make the content of a disclosure, if it has not been made. */
function fill(details) {
  if (unmade.has(details)) details.append(unmade.get(details)());
  unmade.delete(details);
}

/** Return a prompt's parts as text, each under its name where there are several. */
function promptOf(parts) {
  if (!parts || !parts.length) return h('p', { class: 'note' }, 'This birth gave no prompt.');
  return parts.map(([name, text]) => [
    parts.length > 1 && h('p', { class: 'part' }, bdi(name)),
    h('p', { class: 'text', dir: 'auto' }, text || '(empty)'),
  ]);
}

function say(text) {
  document.getElementById('said').textContent = text;
}
