// Put the page together; when `over` is aborted, what listens outside its parts stops.
head();
const parts = [verdict(), descent(), lineage(), course(), operators(), quality(), rows(), migration(), phylogeny(), failures()].filter(Boolean);
document.getElementById('main').replaceChildren(...parts);
document.getElementById('contents').replaceChildren(h('ul', null, parts.map((part) => h('li', null, h('a', { href: `#${part.id}` }, part.querySelector('h2').textContent)))));
document.addEventListener('click', (event) => { // inside a frame a link to a part would lead to the page around it
  const link = event.target.closest('a[href^="#"]');
  if (!link || location.protocol !== 'about:') return;
  event.preventDefault();
  const part = document.getElementById(link.getAttribute('href').slice(1));
  part.tabIndex = -1;
  part.focus();
  part.scrollIntoView();
}, { signal: over });
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
