// The line of descent of the best, step by step, and the kin of the living.
const MOST_STEPS = 12;

function descent() {
  const { steps, total } = story.descent;
  const early = steps.length > MOST_STEPS ? steps.length - MOST_STEPS : 0;
  if (!steps.length) return section('descent', 'How it came about', h('p', null, 'No prompt has been scored yet.'));
  return section(
    'descent', 'How it came about',
    h('p', { class: 'lead' }, 'The line of fittest parents. Gains are paired over the dev and train rows both prompts have a score for; the search chose this line by them, so they are optimistic.'),
    total > steps.length && h('p', { class: 'note' }, `${plural(total - steps.length, 'earlier step is', 'earlier steps are')} left out.`),
    early > 0 && later(`${plural(early, 'earlier step')}`, () => h('ol', { class: 'steps' }, steps.slice(0, early).map(stepOf))),
    h('ol', { class: 'steps', start: early + 1 }, steps.slice(early).map((one, place) => stepOf(one, early + place))),
  );
}

function stepOf(one, place) {
  const gained = one.gain && one.gain.significant && one.gain.mean > 0;
  const gain = one.gain && one.role !== 'migrant_of' && `${points(one.gain.mean)} points ${range(one.gain.low, one.gain.high)} on ${plural(one.gain.n, 'row')}`;
  const rowsOf = ([count, ...named]) => `${whole(count)}${count ? ` (${named.join(', ')}${count > named.length ? ', …' : ''})` : ''}`;
  const detail = gain && (one.won[0] || one.lost[0]) ? `rows won: ${rowsOf(one.won)}; lost: ${rowsOf(one.lost)}` : '';
  const text = place ? shownDiff(one.diff) : promptOf(one.diff.map((part) => [part.part, part.changes.map(([, said]) => said).join('')]));
  return h('li', { class: gained ? 'step gained' : 'step' },
    h('header', null, h('b', null, percent(one.fitness)), h('span', null, bdi(one.operator)), h('span', null, 'individual ', link(one.id)), one.role && one.role !== 'base' && h('span', null, 'parent as ', bdi(one.role)), gain && h('span', null, gain)),
    text, detail && h('p', { class: 'note' }, detail));
}

/** Draw who of the living is related how: time to the right, one leaf a row. */
function phylogeny() {
  const found = story.phylogeny;
  if (!found || found.nodes.length < 2) return null;
  const { nodes, links } = found, row = 16, width = narrow ? 420 : 680;
  const children = nodes.map(() => []), parentOf = nodes.map(() => null);
  links.forEach(([child, parent, steps]) => { children[parent].push(child); parentOf[child] = [parent, steps]; });
  const roots = nodes.map((_, place) => place).filter((place) => !parentOf[place]);
  const y = [], order = [];
  const visit = roots.slice().reverse();
  while (visit.length) { const place = visit.pop(); order.push(place); visit.push(...children[place].slice().reverse()); }
  let leaves = 0;
  order.forEach((place) => { if (!children[place].length) { y[place] = 12 + row * leaves; leaves += 1; } });
  order.slice().reverse().forEach((place) => { if (children[place].length) y[place] = children[place].reduce((sum, child) => sum + y[child], 0) / children[place].length; });
  const first = Math.min(...nodes.map((node) => node[1])), last = Math.max(...nodes.map((node) => node[1])), x = scale(first, last, 8, width - 120);
  const main = new Set();
  for (let place = nodes.findIndex((node) => graph.best !== null && node[0] === graph.id[graph.best]); place >= 0; place = parentOf[place] ? parentOf[place][0] : -1) main.add(place);
  const height = 12 + leaves * row + 6;
  const drawn = [
    order.filter((place) => parentOf[place]).map((place) => {
      const [parent, steps] = parentOf[place];
      return s('path', { d: `M${x(nodes[parent][1]).toFixed(1)} ${y[parent].toFixed(1)}V${y[place].toFixed(1)}H${x(nodes[place][1]).toFixed(1)}`, class: main.has(place) ? 'link main' : 'link' }, s('title', null, plural(steps, 'birth')));
    }),
    order.map((place) => {
      const [number, step, fitness] = nodes[place];
      return [
        s('circle', { cx: x(step), cy: y[place], r: main.has(place) ? 4 : 3, class: main.has(place) ? 'node main' : 'node' }, s('title', null, `individual ${number}`)),
        !children[place].length && label(x(step) + 8, y[place] + 4, `${nameOf(number)} · ${percent(fitness)}`, 'start', main.has(place) ? 'strong' : ''),
      ];
    }),
  ];
  const kin = `${plural(found.shown, 'living individual')}, descended from ${plural(roots.length, 'founder')}`;
  return section(
    'kin', 'Kin of the living',
    h('p', { class: 'lead' }, `${kin} by the parent each is a variant of; time runs to the right, and births between branchings are left out. The accent marks the best one’s ancestry.`, found.shown < found.living ? ` The fittest ${found.shown} of ${whole(found.living)} are shown.` : ''),
    h('figure', null, h('div', { class: 'scroll tall', tabindex: '0', role: 'region', 'aria-label': 'Kin of the living, scrolls' }, sized(picture(width, height, `${kin}; the table below lists every branching.`, drawn), width, height))),
    later('The same as a table', () => table('Who descends from whom', [
      ['individual', (place) => link(nodes[place][0])], ['dev', (place) => percent(nodes[place][2]), true], ['', (place) => (nodes[place][3] ? 'living' : 'ancestor')],
      ['from', (place) => (parentOf[place] ? link(nodes[parentOf[place][0]][0]) : 'founder')], ['births between', (place) => (parentOf[place] ? whole(parentOf[place][1]) : '–'), true],
    ], order)),
  );
}
