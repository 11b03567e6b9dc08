// The lineage graph on a canvas: a lane for each island, time to the right, fitness upwards within a lane.
const lanes = [...new Set(graph.island)].sort((a, b) => a - b);
const laneOf = new Map(lanes.map((island, lane) => [island, lane]));
const [worst, fittest] = extent(graph.fitness.filter((_, place) => graph.status[place] !== 'failed'));
const firstStep = graph.step.reduce((a, b) => Math.min(a, b), Infinity), lastStep = graph.step.reduce((a, b) => Math.max(a, b), 0);
const view = { from: firstStep, to: lastStep, selected: -1, follows: true, ancestors: new Set(), width: 0, height: 0, left: 0, lane: 0, x: [], y: [] };
const canvas = h('canvas', { id: 'graph', tabindex: '0', role: 'application', 'aria-roledescription': 'lineage graph', 'aria-label': `Lineage graph: ${plural(count, 'individual')} on ${plural(lanes.length, 'island')}`, 'aria-describedby': 'graph-help' });
const pen = canvas.getContext('2d');
const shapeOf = graph.id.map((_, place) => {
  if (graph.status[place] === 'failed') return 'cross';
  if (operatorOf(place) === 'migration') return 'square';
  return parentsOf[place].length || graph.parents[place] ? (graph.status[place] === 'dropped' ? 'ring' : 'dot') : 'diamond';
});
let colours = {}, waiting = false;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['paper', 'ink', 'soft', 'faint', 'rule', 'accent', 'accent-soft', 'dot', 'warm']) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

/** Fit the canvas to its box, and place everything. */
function layOut() {
  view.width = canvas.parentElement.clientWidth;
  view.left = view.width < 480 ? 40 : 64;
  view.lane = Math.max(48, Math.min(230, 500 / lanes.length));
  view.height = lanes.length * view.lane + 26;
  const dense = Math.min(2, window.devicePixelRatio || 1);
  canvas.width = view.width * dense;
  canvas.height = view.height * dense;
  canvas.style.height = `${view.height}px`;
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  view.y = graph.id.map((_, place) => {
    const top = laneOf.get(graph.island[place]) * view.lane, fitness = graph.fitness[place];
    if (graph.status[place] === 'failed' || fitness === null) return top + view.lane - 7;
    return scale(worst, fittest, top + view.lane - 18, top + 9)(fitness);
  });
  draw();
}

function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  const x = scale(view.from, view.to, view.left + 8, view.width - 14);
  view.x = graph.step.map(x);
  pen.clearRect(0, 0, view.width, view.height);
  drawLanes(x);
  pen.save();
  pen.beginPath();
  pen.rect(view.left, 0, view.width - view.left, view.height);
  pen.clip();
  drawLinks();
  drawNodes();
  pen.restore();
  if (view.selected < 0) return;
  canvas.dataset.selected = graph.id[view.selected];
  canvas.dataset.at = `${view.x[view.selected].toFixed(1)} ${view.y[view.selected].toFixed(1)}`;
}

function drawLanes(x) {
  pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  pen.lineWidth = 1;
  lanes.forEach((island, lane) => {
    const top = lane * view.lane;
    pen.fillStyle = colours.ink;
    pen.textAlign = 'left';
    pen.fillText(view.width < 480 ? String(island) : `island ${island}`, 8, top + 20);
    pen.fillStyle = colours.faint;
    if (view.lane > 70) pen.fillText(percent(fittest, 0), 8, top + 36);
    if (view.lane > 70) pen.fillText(percent(worst, 0), 8, top + view.lane - 16);
    pen.strokeStyle = colours.rule;
    pen.beginPath();
    pen.moveTo(0, top + view.lane + 0.5);
    pen.lineTo(view.width, top + view.lane + 0.5);
    pen.stroke();
  });
  pen.fillStyle = colours.soft;
  pen.textAlign = 'center';
  ticksOf(view.from + 1, view.to + 1, view.width / 110).forEach((step) => { if (step === Math.floor(step) && x(step - 1) > view.left) pen.fillText(whole(step), x(step - 1), view.height - 9); });
}

function drawLinks() {
  const [children, parents] = graph.links, { x, y, ancestors, selected } = view;
  const some = (wanted, colour, width, alpha) => {
    pen.beginPath();
    for (let at = 0; at < children.length; at += 1) {
      const child = children[at], parent = parents[at];
      if (x[child] < view.left || x[parent] > view.width || !wanted(child, parent)) continue;
      pen.moveTo(x[parent], y[parent]);
      pen.lineTo(x[child], y[child]);
    }
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.globalAlpha = alpha;
    pen.stroke();
    pen.globalAlpha = 1;
  };
  const own = (child) => child === selected || ancestors.has(child);
  const visible = children.length * Math.min(1, (view.to - view.from) / (lastStep - firstStep || 1));
  some((child) => !own(child), colours.faint, 1, Math.max(0.1, Math.min(0.5, 150 / visible)));
  some(own, colours.accent, 1.2, ancestors.size > 400 ? 0.3 : 0.75);
}

function drawNodes() {
  const { x, y, ancestors, selected } = view, size = Math.max(2, Math.min(4.5, 2 + 300 / count));
  const groups = { rest: [], own: [] };
  for (let place = count - 1; place >= 0; place -= 1) if (x[place] > view.left - 6 && x[place] < view.width + 6) groups[ancestors.has(place) ? 'own' : 'rest'].push(place);
  const fill = (places, colour) => {
    pen.fillStyle = pen.strokeStyle = colour;
    pen.lineWidth = 1.2;
    pen.beginPath();
    places.filter((place) => !'ring cross'.includes(shapeOf[place])).forEach((place) => trace(place, x[place], y[place], size));
    pen.fill();
    pen.beginPath();
    places.filter((place) => 'ring cross'.includes(shapeOf[place])).forEach((place) => trace(place, x[place], y[place], size));
    pen.stroke();
  };
  fill(groups.rest, colours.dot);
  fill(groups.own, colours.accent);
  if (graph.best !== null) mark(graph.best, size + 2.5, colours.accent, true, 'best');
  if (selected >= 0) mark(selected, size + 4, colours.ink, false);
}

function trace(place, x, y, r) {
  const shape = shapeOf[place];
  if (shape === 'square') pen.rect(x - r, y - r, 2 * r, 2 * r);
  else if (shape === 'diamond') { pen.moveTo(x, y - r * 1.4); pen.lineTo(x + r * 1.4, y); pen.lineTo(x, y + r * 1.4); pen.lineTo(x - r * 1.4, y); pen.closePath(); }
  else if (shape === 'cross') { pen.moveTo(x - r, y - r); pen.lineTo(x + r, y + r); pen.moveTo(x + r, y - r); pen.lineTo(x - r, y + r); }
  else { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 2 * Math.PI); }
}

function mark(place, radius, colour, filled, word) {
  pen.beginPath();
  pen.arc(view.x[place], view.y[place], radius, 0, 2 * Math.PI);
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 2;
  if (filled) pen.fill();
  else pen.stroke();
  if (!word) return;
  pen.textAlign = view.x[place] > view.width - 60 ? 'right' : 'left';
  pen.fillText(word, view.x[place] + (view.x[place] > view.width - 60 ? -14 : 14), view.y[place] + 4);
}
