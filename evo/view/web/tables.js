// Operators, migration, failures.
function operators() {
  const found = story.operators;
  if (!found.length) return section('operators', 'Operators', h('p', null, 'No operator’s birth has ended yet.'));
  const known = found.filter((row) => row.gain !== null);
  const most = Math.max(0.05, ...known.flatMap((row) => [Math.abs(row.gain_low), Math.abs(row.gain_high)]));
  return section(
    'operators', 'Operators',
    h('p', { class: 'lead' }, 'What each operator’s births came to. Gain: child minus parent in points, mean over the births compared with its 95 % interval, on the rows the search went by: rather low where scores chose the parents, rather high where the operator had read their mistakes.'),
    table('Births', [
      ['operator', (row) => bdi(row.operator)], ['tried', (row) => whole(row.tried), true], ['valid', (row) => whole(row.valid), true], ['failed', (row) => whole(row.failed), true],
      ['duplicates', (row) => whole(row.duplicates), true], ['dropped', (row) => whole(row.dropped), true], ['improved', (row) => `${whole(row.improved)} of ${whole(row.compared)}`, true],
      ['mean gain', (row) => (row.gain === null ? '–' : points(row.gain)), true], ['95 %', (row) => (row.gain === null ? '–' : range(row.gain_low, row.gain_high)), true], ['', (row) => forest(row, most)],
    ], found),
    table('Model calls', [
      ['operator', (row) => bdi(row.operator)], ['own calls', (row) => whole(row.calls), true], ['tokens', (row) => whole(row.tokens), true], ['cost', (row) => money(row.cost_usd), true],
      ['calls to score its children', (row) => whole(row.task_calls), true], ['calls per improvement', (row) => (row.calls_per_improvement === null ? '–' : row.calls_per_improvement.toFixed(1)), true],
    ], found),
  );
}

function forest(row, most) {
  if (row.gain === null) return '';
  const x = scale(-most, most, 4, 116);
  const svg = s('svg', { viewBox: '0 0 120 16', width: 120, height: 16, 'aria-hidden': 'true' },
    line(60, 0, 60, 16, 'zero'), line(x(row.gain_low), 8, x(row.gain_high), 8, 'whisker'), s('circle', { cx: x(row.gain), cy: 8, r: 3.5, class: 'pip' }));
  svg.style.minWidth = '120px';
  return svg;
}

const MOST_ACROSS = 12;

function migration() {
  const found = story.migration;
  if (!found || found.islands.length < 2) return null;
  const intro = h('p', { class: 'lead' }, `Prompts that went from island to island: sent, accepted, and how many of the ${whole(found.living)} living descend from them. Of an island that has not come to rest, the parents of its last ${found.recent} births count as living: deaths are not logged.`);
  if (!found.flows.length) return section('migration', 'Migration', h('p', null, 'Nobody has migrated.'));
  const flows = table('Migration by way', [
    ['from', (flow) => `island ${flow.from}`], ['to', (flow) => `island ${flow.to}`], ['sent', (flow) => whole(flow.sent), true],
    ['accepted', (flow) => whole(flow.accepted), true], ['living descendants', (flow) => whole(flow.living), true],
  ], found.flows);
  if (found.islands.length > MOST_ACROSS) return section('migration', 'Migration', intro, flows);
  const ways = new Map(found.flows.map((flow) => [`${flow.from}>${flow.to}`, flow]));
  const cell = (from, to) => {
    const flow = ways.get(`${from}>${to}`);
    if (!flow) return h('td', null, from === to ? '·' : '');
    const share = found.living ? flow.living / found.living : 0;
    return h('td', { class: `heat${Math.min(4, Math.ceil(share * 4))}` }, `${flow.accepted} of ${flow.sent}`, h('small', null, `${whole(flow.living)} living`));
  };
  const body = found.islands.map((from) => h('tr', null, h('th', { scope: 'row' }, `from ${from}`), found.islands.map((to) => cell(from, to))));
  const top = h('tr', null, h('td', null, ''), found.islands.map((to) => h('th', { scope: 'col' }, `to ${to}`)));
  const matrix = h('table', { class: 'matrix' }, h('caption', null, 'Accepted of sent, and living descendants; darker: a larger share of the living'), h('thead', null, top), h('tbody', null, body));
  matrix.style.width = 'auto';
  return section('migration', 'Migration', intro, h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Migration matrix' }, matrix), later('The same as a list', () => flows));
}

function failures() {
  const { births, calls, rows: missing, unparsed, scored } = story.failures;
  const list = (title, found) => found.length > 0 && table(title, [['what', (one) => bdi(one.what)], ['times', (one) => whole(one.count), true]], found);
  const none = !births.length && !calls.length && !missing.length;
  return section(
    'failures', 'Failures',
    h('p', { class: 'lead' }, none ? 'No birth, no call and no row has failed. ' : 'What failed, by kind; numbers in messages are made alike. ', `${whole(unparsed)} of ${whole(scored)} scored dev rows held no answer that could be read.`),
    list('Births that failed', births), list('Model calls that failed', calls), list('Rows left without a score', missing),
  );
}
