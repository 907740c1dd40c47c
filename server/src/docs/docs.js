'use strict';

// Adds accessible names and corrects roles that Swagger UI gets wrong.
const mend = (root) => {
  const each = (selector, change) => root.querySelectorAll(selector).forEach(change);
  const name = (field) => {
    const parameter = field.closest('tr')?.querySelector('.parameter__name')?.firstChild?.textContent;
    if (field.type === 'checkbox') return 'Send empty value';
    if (field.matches('.examples-select-element')) return 'Example';
    if (field.closest('.content-type-wrapper, .response-control-media-type')) return 'Media type';
    return parameter || (field.closest('.opblock-section-request-body') ? 'Request body' : field.type);
  };
  each(':is(input, select, textarea):not([aria-label], [id^="auth"])', (field) => field.setAttribute('aria-label', name(field)));
  each('.copy-to-clipboard button:not([aria-label])', (button) => button.setAttribute('aria-label', 'Copy'));
  each('pre:not([tabindex])', (text) => text.setAttribute('tabindex', '0'));
  each('table[role="region"]', (table) => table.removeAttribute('role'));
  // Swagger UI skips from the only h1 to the tags as h3.
  each(':is(h3, h4, h5):not([aria-level])', (heading) => heading.setAttribute('aria-level', heading.tagName[1] - 1));
};

const Reference = ({ getComponent, specSelectors }) => {
  const create = ui.React.createElement;
  const part = (name, ...container) => create(getComponent(name, ...container));
  const info = specSelectors.info();
  return create(
    'div',
    { className: 'swagger-ui' },
    part('SvgAssets'),
    create('h1', null, `${info.get('title', 'Batchline')} API`),
    create(getComponent('Markdown', true), { source: info.get('description', '') }),
    create('p', null, create('a', { href: description }, 'OpenAPI description')),
    part('errors', true),
    part('AuthorizeBtnContainer', true),
    part('operations', true),
    part('Models', true),
  );
};

const { description } = document.currentScript.dataset;
const reference = document.getElementById('reference');
const ui = { React: null };
new MutationObserver(() => mend(reference)).observe(reference, { childList: true, subtree: true });
SwaggerUIBundle({
  url: description,
  domNode: reference,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  layout: 'Reference',
  plugins: [
    ({ React }) => {
      ui.React = React;
      return {
        components: { Reference },
        // This link is inside a button.
        wrapComponents: { DeepLink: () => ({ text }) => React.createElement('span', null, text) },
      };
    },
  ],
  presets: [SwaggerUIBundle.presets.apis],
  syntaxHighlight: false,
  validatorUrl: null,
});
