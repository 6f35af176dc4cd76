/* rolecall portal, part 1 of 2: the small things. Every page works without this script; it only makes them
   quicker. No eval, no style attributes, no requests: it lives under default-src 'none'. */
(() => {
  'use strict';
  const root = document.documentElement;
  root.classList.add('js'); // before the first paint

  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const keep = {
    get(name) { try { return localStorage.getItem('rolecall.' + name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem('rolecall.' + name, value); } catch { /* private window */ } },
  };
  // say: one polite live region for everything that a screen reader must hear.
  const say = (text) => { const said = document.getElementById('said'); if (said) said.textContent = text; };

  // The choice of colours is a cookie, so that the server renders it and nothing flashes.
  function themeSwitch(button) {
    const schemes = ['auto', 'light', 'dark'], label = button.querySelector('[data-theme-name]');
    const show = (scheme) => { label.textContent = scheme[0].toUpperCase() + scheme.slice(1); };
    button.addEventListener('click', () => {
      const scheme = schemes[(schemes.indexOf(root.dataset.theme || 'auto') + 1) % 3];
      if (scheme === 'auto') delete root.dataset.theme; else root.dataset.theme = scheme;
      document.cookie = 'rolecall_theme=' + scheme + '; path=/; samesite=lax; max-age=' + (scheme === 'auto' ? 0 : 31536000) +
        (location.protocol === 'https:' ? '; secure' : '');
      show(scheme);
      say('Colours: ' + scheme);
    });
    show(root.dataset.theme || 'auto');
  }

  function copy(text, done) {
    const byHand = () => {
      const area = document.createElement('textarea');
      area.value = text; area.className = 'unseen'; document.body.append(area); area.select();
      document.execCommand('copy'); area.remove();
    };
    (navigator.clipboard ? navigator.clipboard.writeText(text).catch(byHand) : Promise.resolve(byHand())).then(() => say(done));
  }

  // What is copied is the text without the veils, that is the real values whether shown or not.
  function copyButton(button) {
    const name = button.querySelector('[data-name]') || button, before = name.textContent;
    let back;
    button.addEventListener('click', () => {
      const whole = document.getElementById(button.dataset.copy).cloneNode(true);
      all('.veil', whole).forEach((veil) => veil.remove());
      copy(whole.textContent.trim(), before + ': done');
      name.textContent = 'Copied';
      clearTimeout(back);
      back = setTimeout(() => { name.textContent = before; }, 2000);
    });
  }

  // Headings one below the other become tabs (ARIA Authoring Practices, tabs with automatic activation).
  function tabs(box) {
    const panes = all('[data-tab]', box), list = document.createElement('div');
    list.className = 'tabs';
    list.setAttribute('role', 'tablist');
    list.setAttribute('aria-label', box.dataset.tabs);
    const show = (at, focus) => {
      panes.forEach((pane, i) => {
        const tab = list.children[i];
        pane.hidden = i !== at;
        tab.setAttribute('aria-selected', i === at);
        tab.tabIndex = i === at ? 0 : -1;
      });
      keep.set('tab', panes[at].id);
      if (focus) list.children[at].focus();
    };
    panes.forEach((pane, i) => {
      const tab = document.createElement('button');
      tab.type = 'button';
      tab.id = pane.id + '-tab';
      tab.textContent = pane.dataset.tab;
      tab.setAttribute('role', 'tab');
      tab.setAttribute('aria-controls', pane.id);
      tab.addEventListener('click', () => show(i));
      pane.setAttribute('role', 'tabpanel');
      pane.setAttribute('aria-labelledby', tab.id);
      pane.querySelector('[data-tab-title]').hidden = true;
      list.append(tab);
    });
    list.addEventListener('keydown', (event) => {
      const at = panes.findIndex((pane) => !pane.hidden), last = panes.length - 1;
      const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
      if (to !== undefined) { event.preventDefault(); show(to, true); }
    });
    box.prepend(list);
    show(Math.max(0, panes.findIndex((pane) => pane.id === keep.get('tab'))));
  }

  // The seconds come from the server, so a wrong clock on this device does not matter.
  function countdown(box) {
    const whole = Number(box.dataset.of), end = performance.now() + box.dataset.left * 1000;
    const clock = box.querySelector('[data-clock]'), bar = box.querySelector('progress');
    const two = (n) => String(n).padStart(2, '0');
    const words = (left) => {
      const minutes = Math.floor(left / 60);
      if (left >= 3600) return Math.floor(minutes / 60) + ' h' + (minutes % 60 ? ' ' + two(minutes % 60) + ' min' : '');
      return left >= 300 ? minutes + ' min' : minutes + ':' + two(left % 60);
    };
    const tick = () => {
      const left = Math.max(0, Math.round((end - performance.now()) / 1000));
      clock.textContent = words(left);
      bar.value = whole ? left / whole : 0;
      if (box.dataset.over) box.classList.toggle('ending', left < 300);
      if (left) setTimeout(tick, left > 300 ? 15000 : 1000); else if (box.dataset.over) say(box.dataset.over);
    };
    tick();
  }

  // The stable link follows the choice of service and region.
  function consoleLink(form) {
    const out = document.getElementById(form.dataset.link), base = out.textContent.split('&')[0];
    const show = () => {
      const parts = ['service', 'region'].map((name) => [name, form.elements[name]?.value]).filter(([, value]) => value);
      out.textContent = [base, ...parts.map(([name, value]) => name + '=' + encodeURIComponent(value))].join('&');
    };
    form.addEventListener('input', show);
  }

  // A role's name opens the console at once, in a new tab, by posting the form that holds the CSRF token. Without the
  // script, and with a modifier key, its link leads to the page of the role.
  function opener(form) {
    document.addEventListener('click', (event) => {
      const link = event.target.closest?.('.role:not(.withheld) > a.open');
      if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.pathname !== '/console') return;
      event.preventDefault();
      form.elements.role.value = new URL(link.href).searchParams.get('role');
      form.submit();
      say('Opening the console in a new tab');
    });
  }

  function shortcuts() {
    const help = document.getElementById('keyboard'), single = help?.querySelector('[data-single-keys]');
    if (single) {
      single.checked = keep.get('single-keys') !== 'off';
      single.addEventListener('change', () => keep.set('single-keys', single.checked ? 'on' : 'off'));
    }
    all('[data-open-keyboard]').forEach((button) => button.addEventListener('click', () => help?.showModal()));
    document.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || keep.get('single-keys') === 'off') return;
      if (event.target.closest?.('input, textarea, select, dialog')) return;
      const field = document.querySelector('input[type=search]');
      if (event.key === '/' && field) { event.preventDefault(); field.focus(); field.select(); }
      if (event.key === '?' && help) { event.preventDefault(); help.showModal(); }
    });
    all('.menu').forEach((menu) => {
      menu.addEventListener('keydown', (event) => { if (event.key === 'Escape' && menu.open) { menu.open = false; menu.firstElementChild.focus(); } });
      document.addEventListener('click', (event) => { if (!menu.contains(event.target)) menu.open = false; });
    });
  }

  document.addEventListener('DOMContentLoaded', () => {
    const uses = { '[data-theme-switch]': themeSwitch, '[data-copy]': copyButton, '[data-tabs]': tabs, '[data-left]': countdown, '[data-link]': consoleLink, '[data-opener]': opener };
    for (const [selector, use] of Object.entries(uses)) all(selector).forEach(use);
    shortcuts();
    window.rolecallFinder?.({ all, keep, say, copy });
    const auto = document.querySelector('form[data-auto-post]');
    if (auto) HTMLFormElement.prototype.submit.call(auto); // a field may be named "submit"
  });
})();
