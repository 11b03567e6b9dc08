// How the run went: fitness by island, cost against quality, which rows which prompts get right.
const MOST_ISLANDS = 24;

function course() {
  const { islands, calls, median_of: medianOf } = story.course;
  if (!islands.length) return section('course', 'Course', h('p', null, 'Nobody has been born yet.'));
  const byBest = [...islands].sort((a, b) => lastBest(b) - lastBest(a));
  const shown = islands.length > MOST_ISLANDS ? islands.filter((one) => byBest.indexOf(one) < MOST_ISLANDS) : islands;
  const [low, high] = extent(islands.flatMap((one) => one.points.flatMap((point) => [point[2], point[3]])));
  const grid = h('div', { class: 'grid' }), width = narrow || shown.length > 2 ? 320 : room(shown.length > 1 ? 490 : 680);
  grid.style.setProperty('--cell', `${Math.min(width, 304) + Math.max(0, width - 320)}px`);
  const draw = (by) => {
    const most = by === 'calls' ? calls : Math.max(...islands.map((one) => one.births));
    grid.replaceChildren(...shown.map((one) => courseOf(one, by, most, [low, high], width)));
  };
  const buttons = ['births', 'calls'].map((by) => h('button', { type: 'button', 'aria-pressed': String(by === 'births'), click: () => {
    draw(by);
    buttons.forEach((button) => button.setAttribute('aria-pressed', String(button.textContent === by)));
  } }, by));
  draw('births');
  return section(
    'course', 'Course',
    h('p', { class: 'lead' }, key('best'), 'best dev fitness so far, ', key('median'), `median of the island’s last ${medianOf} scored births, `, key('tick', true), 'a migrant came. By what is known of each birth now.'),
    h('div', { class: 'tools', role: 'group', 'aria-label': 'Horizontal axis' }, 'over', buttons, h('span', { class: 'note' }, 'calls count those of the whole run')),
    grid,
    shown.length < islands.length && h('p', { class: 'note' }, `The ${shown.length} islands with the best prompts; ${plural(islands.length - shown.length, 'other is', 'others are')} left out.`),
    later('The same as a table', () => table('Islands at the end of what is logged', [
      ['island', (one) => String(one.island)], ['method', (one) => bdi(one.method)], ['births', (one) => whole(one.births), true],
      ['best dev', (one) => percent(lastBest(one) < 0 ? null : lastBest(one)), true],
      ['latest median', (one) => percent((one.points[one.points.length - 1] || [])[3]), true], ['migrants in', (one) => whole(one.arrivals.length), true],
    ], islands)),
  );
}

const lastBest = (one) => one.points.reduce((best, point) => (point[2] === null ? best : Math.max(best, point[2])), -1);

function courseOf(one, by, most, [low, high], width) {
  const column = by === 'calls' ? 1 : 0, height = width > 400 ? 220 : 168;
  const frame = [40, 8, width - 8, height - 24], x = scale(0, most, frame[0], frame[2]), y = scale(low, high, frame[3], frame[1]);
  const through = (place) => one.points.map((point) => [x(point[column]), point[place] === null ? null : y(point[place])]);
  const best = lastBest(one);
  const words = `Island ${one.island}: best dev fitness ${best < 0 ? 'not known' : percent(best)} after ${plural(one.births, 'birth')}; ${plural(one.arrivals.length, 'migrant')} came.`;
  const end = through(2).filter((point) => point[1] !== null).pop();
  return h('figure', null,
    h('figcaption', null, `Island ${one.island} `, h('span', { class: 'note' }, bdi(one.method), best < 0 ? '' : ` · best ${percent(best)}`)),
    picture(width, height, words,
      axes(frame, ticksOf(0, most, width / 80), x, ticksOf(low, high, 4), y, (value) => whole(value)),
      one.arrivals.map((arrival) => line(x(arrival[column]), frame[3], x(arrival[column]), frame[3] - 7, 'tick')),
      s('path', { d: path(through(3)), class: 'median' }), s('path', { d: path(through(2), true), class: 'best' }),
      end && s('circle', { cx: end[0], cy: end[1], r: 3, class: 'pip' })));
}

function quality() {
  const { points: all, front, total } = story.quality;
  if (!all.length) return section('quality', 'Cost and quality', h('p', null, 'No prompt has enough evidence yet.'));
  const width = room(680), height = width < 480 ? 260 : 320, frame = [48, 12, width - 20, height - 44];
  const costs = all.map((point) => point[0]), most = costs.reduce((a, b) => Math.max(a, b)), least = costs.reduce((a, b) => Math.min(a, b));
  const edge = (most - least) * 0.04 || 1, x = scale(least - edge, most + edge, frame[0], frame[2]);
  const [low, high] = extent(all.map((point) => point[1])), y = scale(low, high, frame[3], frame[1]);
  const dots = all.map((point) => `M${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}h0`).join('');
  const words = `${plural(total, 'prompt')}: tokens of one dev row against dev fitness. Not beaten in both: ${front.map((point) => `${percent(point[1])} for ${point[0]} tokens`).join(', ')}.`;
  return section(
    'quality', 'Cost and quality',
    h('p', { class: 'lead' }, 'Each dot is a prompt with enough evidence: tokens of prompt, row and reply for one dev row, and its dev fitness (optimistic). The dashed line joins those that no other beats in both.'),
    h('div', { class: 'scroll' }, h('figure', null, picture(width, height, words,
      axes(frame, ticksOf(least - edge, most + edge, width / 75), x, ticksOf(low, high, 5), y, (value) => (value >= 100 ? whole(value) : String(+value.toFixed(1)))),
      label((frame[0] + frame[2]) / 2, height - 8, 'tokens for one dev row', 'middle'),
      s('path', { d: dots, class: 'dots' }), s('path', { d: path(front.map((point) => [x(point[0]), y(point[1])]), true), class: 'front' }),
      front.map((point) => s('circle', { cx: x(point[0]), cy: y(point[1]), r: 4, class: 'pip' }))))),
    all.length < total && h('p', { class: 'note' }, `${whole(all.length)} of ${whole(total)} prompts are drawn, all of the front among them.`),
    table('The front, cheapest first', [
      ['individual', (point) => link(point[2])], ['tokens a row', (point) => point[0].toFixed(1), true], ['dev', (point) => percent(point[1]), true],
      ['prompt', (point) => excerpt(point[2])],
    ], front),
  );
}

/** Return the beginning of an individual's prompt, where the graph holds it. */
function excerpt(number, length = 90) {
  const place = placeOf.get(number), parts = place === undefined ? null : graph.prompts[graph.prompt[place]];
  if (!parts) return '–';
  const text = parts.map(([, one]) => one).join(' ').replace(/\s+/g, ' ');
  return h('bdi', { dir: 'auto', class: 'excerpt' }, text.length > length ? `${text.slice(0, length)}…` : text);
}

function rows() {
  const { prompts, examples, total, unsolved, unsolved_count: none } = story.heat;
  if (!prompts.length) return section('rows', 'Rows', h('p', null, 'No dev row has been scored yet.'));
  const size = examples.length > 80 ? 6 : 10, tall = 16, left = narrow ? 110 : 190, width = left + examples.length * size, height = prompts.length * tall + 22;
  const cells = prompts.map((one, at) => one.scores.map((score, column) => {
    const kind = score === null ? 'blank' : `heat${Math.min(4, Math.floor(score * 4.999))}`;
    return s('rect', { x: left + column * size, y: at * tall + 1, width: size - 1, height: tall - 2, class: kind }, s('title', null, `row ${examples[column]}, individual ${nameOf(one.id)}: ${score === null ? 'not scored' : percent(score)}`));
  }));
  const names = prompts.map((one, at) => label(left - 8, at * tall + 12, narrow ? `${nameOf(one.id)} · ${meanOf(one)}` : `${one.line ? 'line' : 'top'} ${nameOf(one.id)} · ${meanOf(one)}`, 'end', one.line ? 'strong' : ''));
  const words = `Scores of ${plural(prompts.length, 'prompt')} on ${plural(examples.length, 'dev row')}, rows from the hardest to the easiest; the table below says how each prompt did.`;
  return section(
    'rows', 'Which rows it gets right',
    h('p', { class: 'lead' }, 'The line of the best prompt from its first ancestor on, then the fittest others. Columns are dev rows, the hardest first.', h('span', { class: 'key heat0' }), '0 %', h('span', { class: 'key heat2' }), '50 %', h('span', { class: 'key heat4' }), '100 %, empty: not scored.'),
    h('figure', null, h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Scores by row, scrolls sideways' }, sized(picture(width, height, words, cells, names), width, height)),
      h('figcaption', null, examples.length < total ? `The ${examples.length} of ${total} rows on which these prompts differ most. ` : '', none ? `${plural(none, 'row')} that none of them gets right: ${unsolved.join(', ')}${none > unsolved.length ? ', …' : ''}.` : 'Each row is right for at least one of them.')),
    later('The same prompts as a table', () => table('Dev scores on the rows shown', [
      ['individual', (one) => link(one.id)], ['', (one) => (one.line ? 'line of the best' : 'among the fittest')],
      ['mean on these rows', meanOf, true], ['rows scored', (one) => whole(one.scores.filter((score) => score !== null).length), true], ['prompt', (one) => excerpt(one.id)],
    ], prompts)),
  );
}

function meanOf(one) {
  const known = one.scores.filter((score) => score !== null);
  return percent(known.length ? known.reduce((a, b) => a + b) / known.length : null, 0);
}

/** Let a picture keep its size, and its box scroll. */
function sized(svg, width, height) {
  svg.style.maxWidth = 'none';
  svg.style.width = `${width}px`;
  svg.style.height = `${height}px`;
  return svg;
}
