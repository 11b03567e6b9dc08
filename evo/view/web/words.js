// What changed from one text to another, word by word: the longest common subsequence of their words.
const PIECES = /\s+|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|(?:(?![\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])[\p{L}\p{M}\p{N}_])+|[^\p{L}\p{M}\p{N}_\s]/gu;
const MOST_PAIRS = 4e6;

/** Return [kind, text] stretches: same, removed, added. Always together: same and removed are the first text, same and added the second. */
function changesOf(before, after) {
  const a = before.match(PIECES) || [], b = after.match(PIECES) || [];
  let head = 0, tail = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const inner = aligned(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const same = (pieces) => pieces.map((piece) => ['same', piece]);
  return joined([...same(a.slice(0, head)), ...inner, ...same(a.slice(a.length - tail))]);
}

function aligned(a, b) {
  const n = a.length, m = b.length;
  if (n * m > MOST_PAIRS) return [...a.map((piece) => ['removed', piece]), ...b.map((piece) => ['added', piece])];
  const best = new Uint16Array((n + 1) * (m + 1));
  for (let i = n - 1; i >= 0; i -= 1)
    for (let j = m - 1; j >= 0; j -= 1)
      best[i * (m + 1) + j] = a[i] === b[j] ? best[(i + 1) * (m + 1) + j + 1] + 1 : Math.max(best[(i + 1) * (m + 1) + j], best[i * (m + 1) + j + 1]);
  const found = [];
  let i = 0, j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && a[i] === b[j]) { found.push(['same', a[i]]); i += 1; j += 1; }
    else if (j === m || (i < n && best[(i + 1) * (m + 1) + j] >= best[i * (m + 1) + j + 1])) { found.push(['removed', a[i]]); i += 1; }
    else { found.push(['added', b[j]]); j += 1; }
  }
  return found;
}

/** Return pieces as few stretches, removed before added; a lone word between two changes counts as changed with them. */
function joined(pieces) {
  const runs = [];
  for (const [kind, text] of pieces) {
    const last = runs[runs.length - 1];
    if (last && (last.same !== '') === (kind === 'same')) last[kind] += text;
    else runs.push({ same: '', removed: '', added: '', [kind]: text });
  }
  const found = [], change = { removed: '', added: '' };
  const flush = () => {
    for (const kind of ['removed', 'added']) if (change[kind]) found.push([kind, change[kind]]);
    change.removed = change.added = '';
  };
  runs.forEach((run, place) => {
    const inside = place > 0 && place + 1 < runs.length && (run.same.match(/[\p{L}\p{M}\p{N}]+/gu) || []).length < 2;
    if (run.same && !inside) { flush(); found.push(['same', run.same]); }
    else { change.removed += run.removed + run.same; change.added += run.added + run.same; }
  });
  flush();
  return found;
}

/** Return stretches as text in which a screen reader, too, finds what was removed and what added. */
function shownChanges(changes) {
  const tags = { same: 'span', removed: 'del', added: 'ins' };
  return h('p', { class: 'text', dir: 'auto' }, changes.map(([kind, text]) => h(tags[kind], null, text)));
}

/** Return the parts that differ between two prompts, each [name, text] of both. */
function diffOf(before, after) {
  const old = new Map(before), now = new Map(after);
  const names = [...now.keys(), ...[...old.keys()].filter((name) => !now.has(name))];
  return names.map((part) => ({ part, changes: changesOf(old.get(part) || '', now.get(part) || '') }));
}

function shownDiff(parts) {
  const changed = parts.filter((one) => one.changes.some(([kind]) => kind !== 'same'));
  if (!changed.length) return h('p', { class: 'note' }, 'The prompt is the same, word for word.');
  return changed.map((one) => [parts.length > 1 && h('p', { class: 'part' }, bdi(one.part)), shownChanges(one.changes)]);
}
