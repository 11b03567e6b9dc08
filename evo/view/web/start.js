// Put the page together; when `over` is aborted, what listens outside its parts stops.
head();
const parts = [verdict(), descent(), lineage(), course(), operators(), quality(), rows(), migration(), phylogeny(), failures()].filter(Boolean);
document.getElementById('main').replaceChildren(...parts);
document.getElementById('contents').replaceChildren(h('ul', null, parts.map((part) => h('li', null, h('a', { href: `#${part.id}` }, part.querySelector('h2').textContent)))));
if (count) {
  readColours();
  layOut();
  steer();
  follow();
  say('');
  const sizes = new ResizeObserver(() => { if (canvas.parentElement.clientWidth !== view.width) layOut(); });
  sizes.observe(canvas.parentElement);
  over.addEventListener('abort', () => sizes.disconnect());
  for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', () => { readColours(); layOut(); }, { signal: over });
}
