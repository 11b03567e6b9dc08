// A page that stays as it is: the story stands in it.
const begin = () => report(JSON.parse(document.getElementById('data').textContent), new AbortController().signal);
if (innerWidth) begin(); else addEventListener('resize', begin, { once: true }); // a folded frame has no width yet
