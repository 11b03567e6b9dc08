// A page that follows its run: it asks for news every few seconds, and shows them when the reader rests.
const EVERY_MS = 3000, RESTED_MS = 1000, PATIENCE_MS = 60000;
const bar = document.getElementById('live'), words = bar.querySelector('span'), pause = bar.querySelector('button');
const state = { version: '', news: null, picture: null, over: null, touched: 0, held: false, paused: false, answer: null, lost: false };

/** Ask for the run as it stands; the story comes only where it is another than the one at hand. */
async function ask() {
  const reply = await fetch(`data.json?since=${state.version}`, { cache: 'no-store', credentials: 'omit', redirect: 'error', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!reply.ok) throw new Error(reply.status);
  return reply.json();
}

async function follow() {
  if (!document.hidden && !state.paused) {
    try {
      const answer = await ask();
      if (answer.ended && state.answer && !state.answer.ended) document.getElementById('said').textContent = 'The run has finished.';
      state.answer = answer;
      state.lost = false;
      if (answer.story) Object.assign(state, { news: answer.story, version: answer.version });
    } catch {
      state.lost = true;
    }
    turn();
  }
  setTimeout(follow, EVERY_MS);
}

/** Show what is new, unless the reader is in the middle of something. */
function turn() {
  if (state.news && (!state.picture || rests())) {
    const before = state.picture && state.picture.kept();
    if (state.over) state.over.abort();
    state.over = new AbortController();
    const story = state.news;
    state.news = null;
    state.picture = report(story, state.over.signal);
    if (before) state.picture.restore(before);
  }
  tell();
}

function rests() {
  const marked = getSelection();
  return !state.held && Date.now() - state.touched > RESTED_MS && (!marked || marked.isCollapsed);
}

function tell() {
  const { answer, paused, lost } = state, [kind, said] =
    paused ? ['paused', 'paused: the page stays as it is'] :
    lost ? ['lost', 'no answer: is evo watch still running?'] :
    !answer ? ['', 'reading the run …'] :
    answer.error ? ['lost', `cannot be read: ${answer.error}`] :
    answer.ended ? ['ended', 'finished'] :
    !answer.born ? ['', 'waiting for the first part of the log …'] :
    ['', `live, last written ${ago(answer.written_s)}`];
  bar.dataset.state = kind || 'live';
  if (words.textContent !== said) words.textContent = said;
}

function ago(seconds) {
  if (seconds < 20) return 'just now';
  return seconds < 120 ? `${Math.round(seconds / 10) * 10} s ago` : seconds < 7200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

pause.addEventListener('click', () => {
  state.paused = !state.paused;
  pause.setAttribute('aria-pressed', String(state.paused));
  tell();
});
for (const name of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'scroll', 'input']) {
  addEventListener(name, (event) => {
    if (event.target !== pause && (name !== 'pointermove' || event.buttons)) state.touched = Date.now();
    if (name === 'pointerdown') state.held = true;
  }, { capture: true, passive: true });
}
for (const name of ['pointerup', 'pointercancel', 'blur']) addEventListener(name, () => { state.held = false; }, { capture: true });
setInterval(() => { if (state.news && state.picture && !document.hidden) turn(); }, 500);
follow();
