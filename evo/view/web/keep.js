// What a reader has set, taken from one picture of the page and given to the next.
const NAMED = 'summary, button, a, input, canvas, h2, h3, h4, figcaption, .scroll, .board, .detail';

/** Return the elements of the page by names that the same element has in a later picture, whatever has been counted since. */
function named() {
  const found = new Map(), times = new Map();
  for (const element of document.querySelectorAll(`:is(#head, #contents, #main) :is(${NAMED})`)) {
    const home = element.closest('section, body > header, nav'), own = element.dataset.id || element.id;
    const words = own || (element.getAttribute('aria-label') || element.textContent.slice(0, 80)).replace(/[\d.,]+/g, '#').replace(/s\b/g, '');
    const stem = `${home ? home.id : ''} ${element.localName} ${words}`, time = times.get(stem) || 0;
    times.set(stem, time + 1);
    found.set(`${stem} ${time}`, element);
  }
  return found;
}

const topOf = (element) => element.getBoundingClientRect().top;

/** Return whether an element begins or goes on below this height of the window; what one reads stands still by the first that does. */
const within = (element, height) => element.getClientRects().length > 0 && topOf(element) < innerHeight && element.getBoundingClientRect().bottom > height;

/** Return who is selected, how far one looks in, what is open, pressed, typed, scrolled and in focus, and where on the page one is. */
function kept() {
  const names = [...named()], some = (wanted, value) => names.filter(([, element]) => wanted(element)).map(([name, element]) => [name, value && value(element)]);
  return {
    selected: view.follows || view.selected < 0 ? null : graph.id[view.selected],
    span: view.from > firstStep || view.to < lastStep ? [view.from, view.to] : null,
    open: some((one) => one.localName === 'summary' && one.parentElement.open, (one) => one.parentElement.querySelectorAll('tbody tr').length),
    pressed: some((one) => one.getAttribute('aria-pressed') === 'true'),
    typed: some((one) => one.localName === 'input' && one.value, (one) => one.value),
    scrolled: some((one) => one.scrollLeft || one.scrollTop, (one) => [one.scrollLeft, one.scrollTop]),
    focus: some((one) => one === document.activeElement)[0],
    seen: scrollY > 0 ? [...some((one) => one === document.activeElement && within(one, 0), topOf), ...some((one) => within(one, innerHeight / 4), topOf)][0] : null,
  };
}

/** Set what a reader had set before. */
function restore(before) {
  if (before.selected !== null && placeOf.has(before.selected)) select(placeOf.get(before.selected));
  if (before.span) show(before.span[0], before.span[1] - before.span[0]);
  for (let left = before.open, depth = 0; left.length && depth < 4; depth += 1) {
    const names = named();
    left.filter(([name]) => names.has(name)).forEach(([name, rows]) => reopen(names.get(name).parentElement, rows));
    left = left.filter(([name]) => !names.has(name));
  }
  const names = named(), set = (those, act) => those.forEach(([name, value]) => names.has(name) && act(names.get(name), value));
  set(before.pressed, (one) => one.click());
  set(before.typed, (one, value) => { one.value = value; });
  set(before.scrolled, (one, [left, top]) => one.scrollTo({ left, top, behavior: 'instant' }));
  set(before.focus ? [before.focus] : [], (one) => one.focus({ preventScroll: true }));
  set(before.seen ? [before.seen] : [], (one, top) => scrollBy({ top: topOf(one) - top, behavior: 'instant' }));
  if (count) draw();
  say('');
}

function reopen(details, rows) {
  details.open = true;
  fill(details);
  for (let more = true; more && details.querySelectorAll('tbody tr').length < rows;) {
    more = details.querySelector('button.more');
    if (more) more.click();
  }
}

return { kept, restore };
