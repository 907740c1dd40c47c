// Loads the page's WebAssembly once the page is painted, so that it takes nothing from what is to be seen first. Until
// then, and where it fails, links and forms work as they do without it.
((script, module) => {
  // The form for uploads has code of its own, which few visits need: it is loaded when somebody turns to the form, or drags
  // something into the window. What they have chosen by then is found in its field.
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
  let begun = false;
  const load = async () => {
    if (begun) return;
    begun = true;
    const compiled = fetch(module);
    const app = await import(script);
    await app.default({ module_or_path: compiled });
    app.hydrate();
    for (const island of document.querySelectorAll('leptos-island')) {
      // Whoever clicks or scrolls meanwhile comes first.
      await new Promise((resolve) => setTimeout(resolve));
      const start = () => app[island.dataset.component](island);
      const input = island.querySelector('input[type=file]');
      if (input) {
        // Without JavaScript one file is sent, and a corrected version is one in any case.
        input.multiple = !island.querySelector('input[name=corrects]');
        onceTurnedTo(island, input, start);
      } else {
        start();
      }
    }
    document.documentElement.dataset.live = '';
  };
  if (document.hidden) {
    // Nothing is painted in the background, but the title tells of the progress there too.
    load();
  } else {
    // The first paint of all may be of nothing but the ground.
    const observer = new PerformanceObserver((paints) => {
      if (paints.getEntriesByName('first-contentful-paint').length) load();
    });
    observer.observe({ type: 'paint', buffered: true });
    addEventListener('visibilitychange', load);
  }
})
