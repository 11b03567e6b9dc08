// One individual: what it says, what changed, how it scored, and the calls that made it.
const count = graph.id.length;
const parentsOf = graph.id.map(() => []), childrenOf = graph.id.map(() => []), callsOf = new Map();
graph.links[0].forEach((child, at) => {
  parentsOf[child].push([graph.links[1][at], graph.roles[graph.links[2][at]]]);
  if (!childrenOf[graph.links[1][at]].includes(child)) childrenOf[graph.links[1][at]].push(child);
});
graph.calls.forEach((call) => callsOf.set(call[0], [...(callsOf.get(call[0]) || []), call]));
const MOST_CHILDREN = 24;

const operatorOf = (place) => graph.operators[graph.operator[place]];
const partsOf = (place) => graph.prompts[graph.prompt[place]] || [];

/** Return the parent an individual is a variant of: of role `base`, else the first; null where none is shown. */
function baseOf(place) {
  const base = parentsOf[place].find(([, role]) => role === 'base') || parentsOf[place][0];
  return base ? base[0] : null;
}

/** Return all ancestors that are shown. */
function ancestorsOf(place) {
  const found = new Set(), queue = [place];
  while (queue.length) for (const [parent] of parentsOf[queue.pop()]) if (!found.has(parent)) { found.add(parent); queue.push(parent); }
  return found;
}

function wordsOf(place) {
  const fitness = graph.fitness[place];
  const score = graph.status[place] === 'failed' ? 'failed' : fitness === null ? 'not scored' : `dev ${percent(fitness)}`;
  return `Individual ${nameOf(graph.id[place])}, ${operatorOf(place)}, island ${graph.island[place]}, ${score}, ${plural(parentsOf[place].length, 'parent')}, ${plural(childrenOf[place].length, 'child', 'children')}`;
}

function detailOf(place) {
  const base = baseOf(place), missing = graph.parents[place] - parentsOf[place].length;
  const facts = {
    dev: graph.fitness[place] === null ? '' : percent(graph.fitness[place]), rows: graph.n_scored[place] ? whole(graph.n_scored[place]) : '',
    status: graph.status[place], island: String(graph.island[place]), 'step in the run': whole(graph.step[place] + 1), generation: String(graph.generation[place]),
    'rows missing': graph.n_missing[place] ? whole(graph.n_missing[place]) : '', unreadable: graph.n_unparsed[place] ? whole(graph.n_unparsed[place]) : '',
    'tokens to score': whole(graph.tokens[place]), cost: graph.cost_usd[place] ? money(graph.cost_usd[place]) : '',
  };
  return [
    h('h3', { tabindex: '-1', id: 'chosen' }, `Individual ${nameOf(graph.id[place])}`),
    h('p', { class: 'note' }, 'made by ', bdi(operatorOf(place)), place === graph.best ? ' · the best' : '', ` · number ${graph.id[place]}`),
    graph.note[place] && h('p', { class: 'warn text' }, graph.note[place]),
    factsOf(facts),
    h('h4', null, base === null ? 'Prompt' : ['Changed from ', link(graph.id[base])]),
    base === null ? promptOf(partsOf(place)) : partsOf(place).length ? shownDiff(diffOf(partsOf(base), partsOf(place))) : promptOf(null),
    base !== null && partsOf(place).length > 0 && later('The prompt alone', () => h('div', null, promptOf(partsOf(place)))),
    kinOf('Parents', parentsOf[place], missing > 0 && `${plural(missing, 'parent')} not in the graph`),
    kinOf('Children', childrenOf[place].slice(0, MOST_CHILDREN).map((child) => [child, '']), childrenOf[place].length > MOST_CHILDREN && `and ${childrenOf[place].length - MOST_CHILDREN} more`),
    callsShown(callsOf.get(place) || []),
  ];
}

function kinOf(title, kin, more) {
  if (!kin.length && !more) return null;
  const items = kin.map(([place, role]) => h('li', null, link(graph.id[place]), ` ${percent(graph.fitness[place])} `, role && bdi(role)));
  return [h('h4', null, title), h('ul', null, items, more && h('li', { class: 'note' }, more))];
}

function callsShown(calls) {
  if (!calls.length) return null;
  return [h('h4', null, 'Model calls that made it'), calls.map(([, purpose, model, prompt, output, attempts, error, text]) =>
    h('details', null,
      h('summary', null, `${purpose}: ${prompt === null ? 'no answer' : `${whole(prompt)} + ${whole(output)} tokens`}${attempts > 1 ? `, ${attempts} attempts` : ''}`),
      h('p', { class: 'note' }, bdi(model)),
      error ? h('p', { class: 'warn text' }, error) : h('pre', { class: 'text', dir: 'auto' }, text || '(an empty reply)')))];
}

/** Return all individuals of the graph as a table, the fittest first, a hundred at a time. */
function individuals() {
  const PAGE = 100, order = graph.id.map((_, place) => place).sort((a, b) => (graph.fitness[b] ?? -1) - (graph.fitness[a] ?? -1) || graph.step[a] - graph.step[b]);
  const columns = [
    ['individual', (place) => link(graph.id[place])], ['dev', (place) => percent(graph.fitness[place]), true], ['rows', (place) => whole(graph.n_scored[place]), true],
    ['status', (place) => graph.status[place]], ['operator', (place) => bdi(operatorOf(place))], ['island', (place) => String(graph.island[place]), true],
    ['step', (place) => whole(graph.step[place] + 1), true], ['parents', (place) => parentsOf[place].map(([parent]) => [link(graph.id[parent]), ' '])], ['prompt', (place) => excerpt(graph.id[place], 70)],
  ];
  const box = table(`${plural(count, 'individual')}, the fittest first`, columns, order.slice(0, PAGE));
  const body = box.querySelector('tbody');
  const more = h('button', { type: 'button', class: 'more', click: () => {
    const next = order.slice(body.rows.length, body.rows.length + PAGE);
    body.append(...table('', columns, next).querySelector('tbody').rows);
    if (body.rows.length >= count) more.remove();
  } }, `Show ${PAGE} more`);
  return h('div', null, box, count > PAGE && h('p', null, more));
}
