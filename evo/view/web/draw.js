// Pictures as SVG: elements, scales and axes.
const SVG = 'http://www.w3.org/2000/svg';

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined && value !== false) element.setAttribute(name, value);
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return a picture of this size in its own units; its words are all that a screen reader gets. */
function picture(width, height, words, ...children) {
  return s('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': words }, children);
}

/** Return the width there is for a picture that would like to be this wide. */
const room = (wish) => Math.max(280, Math.min(wish, document.getElementById('main').clientWidth - 2 * Math.min(40, Math.max(16, innerWidth * 0.04))));
const narrow = innerWidth < 560;

const scale = (from, to, low, high) => (value) => low + ((value - from) / (to - from || 1)) * (high - low);

/** Return the ends of some values with a little room, within the scores there can be. */
function extent(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (!known.length) return [0, 1];
  const low = known.reduce((a, b) => Math.min(a, b)), high = known.reduce((a, b) => Math.max(a, b));
  const edge = Math.max(0.02, (high - low) * 0.06);
  return [Math.max(0, low - edge), Math.min(1, high + edge)];
}

/** Return a step that divides a span into about `count` round pieces. */
function niceStep(span, count) {
  const raw = span / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw * 0.999);
}

function ticksOf(low, high, count) {
  const step = niceStep(high - low, count), ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) ticks.push(k * step + 0);
  return ticks;
}

/** Return a short stroke as a key to a line of a picture. */
const key = (name, upright) =>
  s('svg', { width: 22, height: 12, viewBox: '0 0 22 12', 'aria-hidden': 'true', class: 'stroke' }, upright ? line(11, 2, 11, 10, name) : line(1, 6, 21, 6, name));

const line = (x1, y1, x2, y2, name) => s('line', { x1, y1, x2, y2, class: name });
const label = (x, y, text, anchor = 'start', name) => s('text', { x, y, 'text-anchor': anchor, class: name }, text);

/** Return two axes with labels: `x` and `y` are scales, `frame` is [left, top, right, bottom]. */
function axes(frame, xTicks, x, yTicks, y, wordX, wordY = (value) => percent(value, 0)) {
  const [left, , right, bottom] = frame;
  return [
    yTicks.map((value) => [line(left, y(value), right, y(value), 'axis'), label(left - 6, y(value) + 4, wordY(value), 'end')]),
    xTicks.map((value) => label(x(value), bottom + 16, wordX(value), 'middle')),
  ];
}

/** Return a path through points, broken where one has no height; `steps`: level until the next. */
function path(points, steps) {
  let d = '', before = null;
  for (const [x, y] of points) {
    if (y === null) { before = null; continue; }
    d += before === null ? `M${x.toFixed(1)} ${y.toFixed(1)}` : steps ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `L${x.toFixed(1)} ${y.toFixed(1)}`;
    before = y;
  }
  return d;
}
