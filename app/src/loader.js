// Loads the page's WebAssembly once the page is painted, so that it doesn't compete with what is visible first. Until
// then, and if it fails, the page works as without it.
((script, module) => {
  // The upload form has its own code, which few visits need. It is loaded when the user turns to the form or drags
  // something into the window. Whatever was chosen by then is found in the field.
  const onceTurnedTo = (island, input, start) => {
    const listening = new AbortController();
    const turned = () => {
      listening.abort();
      start();
    };
    if (input.files.length || island.contains(document.activeElement)) return turned();
    const { signal } = listening;
    for (const event of ['pointerover', 'focusin', 'click', 'change']) {
      island.addEventListener(event, turned, { signal });
    }
    addEventListener('dragenter', turned, { signal });
  };
  // What the page would do without JavaScript: a running job's page reloads after some seconds, at the same or another
  // address.
  const reload = () => {
    const without = document.querySelector('head noscript')?.textContent;
    const refresh = without?.match(/http-equiv="refresh" content="(\d+)(?:;url=([^"]+))?/);
    if (refresh) setTimeout(() => (refresh[2] ? location.assign(refresh[2]) : location.reload()), refresh[1] * 1000);
  };
  let begun = false;
  const load = () => {
    if (begun) return;
    begun = true;
    // In a separate task, because a page that was left while loading doesn't run it.
    start().catch((error) =>
      setTimeout(() => {
        console.error(error);
        reload();
      }),
    );
  };
  const start = async () => {
    const compiled = fetch(module);
    const app = await import(script);
    await app.default({ module_or_path: compiled });
    app.hydrate();
    for (const island of document.querySelectorAll('leptos-island')) {
      // User input, such as clicks and scrolling, comes first.
      await new Promise((resolve) => setTimeout(resolve));
      const begin = () => app[island.dataset.component](island);
      const input = island.querySelector('input[type=file]');
      if (input) {
        // Without JavaScript only one file can be sent. A corrected version is always a single file.
        input.multiple = !island.querySelector('input[name=corrects]');
        onceTurnedTo(island, input, begin);
      } else {
        begin();
      }
    }
    document.documentElement.dataset.live = '';
  };
  if (document.hidden) {
    // Nothing is painted in the background, but the title shows the progress there, too.
    load();
  } else {
    // The very first paint may show only the background.
    const observer = new PerformanceObserver((paints) => {
      if (paints.getEntriesByName('first-contentful-paint').length) load();
    });
    observer.observe({ type: 'paint', buffered: true });
    addEventListener('visibilitychange', load);
  }
})
