// A page that stays as it is: the story stands in it.
report(JSON.parse(document.getElementById('data').textContent), new AbortController().signal);
