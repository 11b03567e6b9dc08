// The head of the page, and the verdict: winner, honest score, gain.
function head() {
  const { head: run } = story;
  const open = run.status === 'unfinished';
  const state = { done: 'finished', budget: 'budget ended before the whole test', unfinished: 'not finished' }[run.status] || run.status;
  const made = new Date(run.made_at).toISOString().slice(0, 16).replace('T', ' ');
  const facts = {
    method: run.methods.join(', '),
    ...Object.fromEntries(Object.entries(run.models).map(([role, names]) => [role === 'task' ? 'model' : `model for ${role}`, names.join(', ')])),
    islands: whole(run.islands),
    births: `${whole(run.births)}${run.failed ? `, ${whole(run.failed)} failed` : ''}${run.dropped ? `, ${whole(run.dropped)} dropped` : ''}`,
    calls: whole(run.calls), tokens: whole(run.tokens), cost: money(run.usd), time: duration(run.elapsed_s), seed: String(run.seed),
  };
  if (facts['model for operators'] === facts.model) delete facts['model for operators'];
  document.getElementById('head').replaceChildren(
    h('p', { class: 'eyebrow' }, h('span', { class: open ? 'state open' : 'state' }, state), bdi(run.run), ` · as of ${made} UTC`),
    h('h1', null, bdi(run.description || run.run)),
    factsOf(facts),
    later('Settings and versions', () => h('div', null, treeOf(run.settings), h('p', { class: 'part' }, 'Versions'), treeOf(run.versions))),
  );
}

const factsOf = (facts) => h('dl', { class: 'facts' }, Object.entries(facts).filter(([, value]) => value).map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, bdi(value)))));

function treeOf(value) {
  if (value === null || value === undefined) return '–';
  if (typeof value !== 'object') return bdi(value);
  const entries = Object.entries(value).filter(([, one]) => one !== null && !(typeof one === 'object' && !Object.keys(one).length));
  return h('dl', { class: 'tree' }, entries.map(([name, one]) => [h('dt', null, bdi(name)), h('dd', null, treeOf(one))]));
}

/** Return what the paired difference says, in a figure and in words. */
function claim(result) {
  const { winner, baseline, crossed } = result;
  const gain = result.gain || (crossed && crossed.gain);
  if (!result.ended) return ['', 'not known yet: the final test comes at the end of the run', true];
  if (baseline.operator !== result.seed) return ['', 'unknown: no seed prompt was scored to compare with', true];
  if (winner.individual === baseline.individual) return ['no gain', 'no prompt beat the best seed prompt on dev', true];
  if (!gain) return ['', `unknown: no ${crossed ? 'dev' : 'test'} rows were scored`, true];
  const rows = result.gain ? plural(gain.n, 'test row') : `${plural(gain.n, 'dev row')}, each under what the other folds chose`;
  const words = `${range(gain.low, gain.high)} at 95 %, paired on ${rows}, p\u00a0=\u00a0${pValue(gain.p_value)}`;
  const meaning = !gain.significant ? '; no significant gain' : gain.mean < 0 ? '; the seed prompt is better' : '';
  return [`${points(gain.mean)} points`, `over the best seed prompt, ${words}${meaning}`, !gain.significant || gain.mean < 0];
}

function verdict() {
  const { result } = story;
  if (!result) return section('verdict', 'Best prompt', h('p', null, 'No prompt has been scored yet.'));
  const { winner, baseline } = result;
  const [figure, words, even] = claim(result);
  const unread = story.failures.scored && story.failures.unparsed / story.failures.scored > 0.25;
  return section(
    'verdict',
    result.ended ? 'Best prompt' : 'Best prompt so far',
    h('div', { class: 'prompt' }, promptOf(winner.parts)),
    h('p', { class: even ? 'claim even' : 'claim' }, figure && h('strong', null, figure), h('span', null, figure ? words : `Gain: ${words}.`)),
    scores(result),
    h('p', { class: 'note' }, `The dev score chose this prompt among many and is therefore optimistic. ${result.crossed ? 'Folds stand in for a test; the search saw all rows.' : 'Test rows were seen by nothing in the search.'} `,
      'It is individual ', link(winner.individual), ', made by ', bdi(winner.operator), ` on island ${winner.island}.`),
    result.anytime && baseline.individual !== winner.individual && h('p', { class: 'note' }, `However often one looks at the test while it goes on: ${range(result.anytime.low, result.anytime.high)} points, e-value ${Number(result.anytime.e_value.toPrecision(2))} (20 and more: better than the seed prompt).`),
    result.looks > 1 && h('p', { class: 'note warn' }, `These test rows have judged ${result.looks} pairs of finalists, as resumes ended with others: test and gain are less sure.`),
    unread && h('p', { class: 'note warn' }, `${percent(story.failures.unparsed / story.failures.scored)} of dev replies held no answer and score 0: name the labels in the seed prompts, or raise model.max_tokens.`),
    baseline && baseline.individual !== winner.individual && later('The prompt it is compared with', () =>
      h('div', { class: 'prompt' }, promptOf(baseline.parts), h('p', { class: 'note' }, 'Individual ', link(baseline.individual), ', the best seed prompt by dev.'))),
    story.descent.origin.length > 0 && later('Where each phrase comes from', () => origin()),
  );
}

/** Draw scores of winner and baseline on one scale: intervals for test, hollow for dev. */
function scores({ winner, baseline, seed }) {
  const other = baseline && baseline.operator === seed && baseline.individual !== winner.individual ? baseline : null;
  const rows = [
    other && ['seed prompt, test', other.test, 'soft'],
    ['best prompt, test', winner.test, ''],
    ['best prompt, dev', { ...winner.dev, dev: true }, 'hollow'],
  ].filter((row) => row && row[1] && row[1].mean !== null);
  const width = room(640), left = narrow ? 8 : 132, right = narrow ? width - 8 : 500, tall = narrow ? 42 : 30;
  const x = scale(0, 1, left, right), bottom = 14 + rows.length * tall;
  const words = (one) => (one.dev ? `${percent(one.mean)}, optimistic` : `${percent(one.mean)} [${percent(one.low)}, ${percent(one.high)}]`);
  const said = rows.map(([name, one]) => `${name} ${words(one)} on ${one.n} rows`).join('; ');
  const drawn = rows.map(([name, one, kind], place) => {
    const y = (narrow ? 34 : 18) + place * tall, value = one.dev ? `${percent(one.mean)} on ${one.n}, optimistic` : `${percent(one.mean)} on ${one.n}`;
    return [
      narrow ? label(left, y - 14, `${name}: ${value}`) : [label(left - 12, y + 4, name, 'end'), label(right + 14, y + 4, value, 'start', 'strong')],
      !one.dev && line(x(one.low), y, x(one.high), y, `whisker ${kind}`),
      s('circle', { cx: x(one.mean), cy: y, r: 5, class: `pip ${kind}` }),
    ];
  });
  const grid = [0, 0.25, 0.5, 0.75, 1].map((value) => [line(x(value), 4, x(value), bottom, 'axis'), label(x(value), bottom + 14, percent(value, 0), narrow && value === 0 ? 'start' : narrow && value === 1 ? 'end' : 'middle')]);
  const rowsOf = table('Scores', [['', (row) => row[0]], ['mean', (row) => percent(row[1].mean), true], ['95 % interval', (row) => (row[1].dev ? 'chosen by it: none' : `[${percent(row[1].low)}, ${percent(row[1].high)}]`), true], ['rows', (row) => whole(row[1].n), true]], rows);
  return h('div', null, h('figure', null, picture(width, bottom + 20, `Scores: ${said}.`, grid, drawn)), later('These scores as a table', () => rowsOf));
}

function origin() {
  const rows = story.descent.origin.flatMap((part) => part.spans.map((span) => ({ ...span, part: part.part }))).filter((span) => span.text.trim());
  const several = new Set(rows.map((row) => row.part)).size > 1;
  const columns = [['phrase', (row) => h('span', { class: 'text', dir: 'auto' }, row.text.trim())], several && ['part', (row) => bdi(row.part)], ['first had by', (row) => link(row.individual)], ['made by', (row) => bdi(row.operator)], ['island', (row) => String(row.island), true]];
  return table('Each phrase of the best prompt, and the ancestor that first had it', columns.filter(Boolean), rows);
}
