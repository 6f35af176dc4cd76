/* rolecall portal, part 2 of 2: search as you type over accounts and roles, and the keyboard of the list. */
window.rolecallFinder = (kit) => {
  'use strict';
  const { all, keep, say, copy } = kit;
  const form = document.querySelector('[data-finder]');
  if (!form) return;
  const field = form.querySelector('input[type=search]');
  const main = document.querySelector('main');
  const count = document.querySelector('[data-found]');
  const empty = document.querySelector('[data-empty]');
  const groups = all('[data-group]').map((el) => ({ el, list: el.querySelector('.accounts') }));

  const rows = all('.account').map((el, place) => {
    const name = el.querySelector('h3 bdi').textContent.trim();
    const low = (name + ' ' + (el.dataset.label || '')).toLowerCase();
    const roles = all('.role', el).map((item) => {
      const link = item.firstElementChild, text = link.firstChild.data.trim().toLowerCase();
      return { el: item, link, text, full: low + ' ' + text, withheld: item.classList.contains('withheld'), shown: true, score: 1 };
    });
    return { el, place, name, roles, low, id: el.dataset.account, list: el.parentNode, shown: true, score: 1 };
  });
  const rowOf = new Map(rows.map((row) => [row.el, row]));
  let live = rows, moved = [], next = null, later, spoken;

  // How well a word fits a text: 3 the whole, 2 the start of a part, 1 anywhere, 0 not at all.
  const partEdge = /[^a-z0-9]/;
  function fit(word, text) {
    let at = text.indexOf(word);
    if (at < 0) return 0;
    for (; at >= 0; at = text.indexOf(word, at + 1)) {
      if (at === 0 || partEdge.test(text[at - 1])) return text.length === word.length ? 3 : 2;
    }
    return 1;
  }
  // Letters in order, beginning at the start of a part: the length of the shortest stretch that holds them, or 0.
  function stretch(letters, text) {
    let best = 0;
    for (let start = text.indexOf(letters[0]); start >= 0; start = text.indexOf(letters[0], start + 1)) {
      if (start > 0 && !partEdge.test(text[start - 1])) continue;
      let at = start, i = 1;
      for (; i < letters.length; i++) { at = text.indexOf(letters[i], at + 1); if (at < 0) break; }
      if (i === letters.length && (!best || at - start < best)) best = at - start + 1;
    }
    return best;
  }

  // Every word must fit the account (which counts double) or the role.
  function weigh(words) {
    let any = false;
    for (const row of rows) {
      const left = [];
      let score = 1, best = 0;
      for (const word of words) {
        const own = Math.max(fit(word, row.low) * 2, fit(word, row.id));
        if (own) score += own; else left.push(word);
      }
      for (const role of row.roles) {
        role.score = score;
        for (const word of left) {
          const f = fit(word, role.text);
          if (!f) { role.score = 0; break; }
          role.score += f;
        }
        if (role.score > best) best = role.score;
      }
      row.score = best;
      any ||= best > 0;
    }
    return any;
  }
  // Where no word fits, its letters may: "prodadm" finds production/Admin.
  function weighLoosely(letters) {
    for (const row of rows) {
      row.score = 0;
      for (const role of row.roles) {
        const length = stretch(letters, role.full);
        role.score = length && length <= letters.length * 4 + 4 ? 1 + letters.length / length : 0;
        if (role.score > row.score) row.score = role.score;
      }
    }
  }

  const fitting = (row) => row.roles.filter((role) => role.score > 0);
  function mark(thing, on) { if (on !== thing.shown) thing.el.classList.toggle('off', !(thing.shown = on)); }

  // What does not fit is marked .off, which hides only under .searching: emptying the field changes one class. A key
  // press touches only marks that differ, and roles far below the fold later.
  function apply() {
    const words = field.value.toLowerCase().split(/[\s/]+/).filter(Boolean), busy = words.length > 0;
    clearTimeout(later);
    if (!weigh(words) && busy) weighLoosely(words.join(''));
    live = rows.filter((row) => row.score > 0);
    main.classList.toggle('searching', busy);
    if (busy) {
      for (const row of rows) mark(row, row.score > 0);
      const markRoles = (row) => row.roles.forEach((role) => mark(role, role.score > 0));
      live.slice(0, 30).forEach(markRoles);
      const rest = live.slice(30);
      later = setTimeout(() => rest.forEach(markRoles), 100);
    }
    arrange(busy);
    show(words, busy);
  }

  // At most twelve rows that fit best come first; all others keep their place, and so does the eye.
  function arrange(busy) {
    for (const row of moved.sort((a, b) => b.place - a.place)) {
      row.list.insertBefore(row.el, rows.slice(row.place + 1).find((other) => other.list === row.list)?.el || null);
    }
    moved = [];
    if (!busy) return;
    live = groups.flatMap(({ list }) => {
      const mine = live.filter((row) => row.list === list);
      const top = Math.max(...mine.map((row) => row.score)), best = mine.filter((row) => row.score === top);
      if (best.length > 12 || best.every((row, i) => row === mine[i])) return mine;
      list.prepend(...best.map((row) => row.el));
      moved.push(...best);
      return [...best, ...mine.filter((row) => row.score < top)];
    });
  }

  function show(words, busy) {
    let found = 0;
    for (const row of live) for (const role of row.roles) if (role.score > 0 && !role.withheld) found++;
    for (const { el, list } of groups) {
      const size = live.filter((row) => row.list === list).length;
      el.hidden = !size;
      el.querySelector('[data-count]').textContent = size.toLocaleString('en');
    }
    if (empty) {
      empty.hidden = live.length > 0;
      empty.querySelector('[data-query]').textContent = field.value;
    }
    next?.el.classList.remove('next');
    next = busy && live.length ? live.flatMap(fitting).reduce((best, role) => (role.score > best.score ? role : best)) : null;
    next?.el.classList.add('next');
    count.textContent = found.toLocaleString('en') + (found === 1 ? ' role in ' : ' roles in ') + live.length.toLocaleString('en') + (live.length === 1 ? ' account' : ' accounts');
    lightUp(words);
  }

  function lightUp(words) {
    if (!window.CSS?.highlights) return;
    const ranges = [];
    for (const row of words.length ? live.slice(0, 40) : []) {
      const name = row.el.querySelector('h3 bdi').firstChild;
      for (const node of [name, ...fitting(row).map((role) => role.link.firstChild)]) {
        const text = node?.data?.toLowerCase() || '';
        for (const word of words) {
          const at = text.indexOf(word);
          if (at < 0) continue;
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set('found', new Highlight(...ranges));
  }

  function empties() { field.value = ''; apply(); }

  field.addEventListener('input', () => {
    apply();
    clearTimeout(spoken);
    spoken = setTimeout(() => say(count.textContent + (next ? '. Enter opens ' + next.link.firstChild.data.trim() + ' in ' + rowOf.get(next.el.closest('.account')).name : '')), 600);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (next) next.link.click();
    else if (!field.value && 'filtered' in form.dataset) location.href = '/';
  });
  field.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' && live.length) { event.preventDefault(); (next || fitting(live[0])[0]).link.focus(); }
    if (event.key === 'Escape' && field.value) { event.preventDefault(); empties(); }
  });

  document.addEventListener('keydown', (event) => {
    const link = event.target.closest?.('.role a');
    if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rowOf.get(link.closest('.account')), item = link.parentNode;
    if (!row) return letters(event, item); // among the recent ones
    const roles = fitting(row), at = roles.findIndex((role) => role.el === item), line = live.indexOf(row);
    const go = (target) => { if (target) { event.preventDefault(); target.focus(); } };
    const along = (to) => { const there = live[to] && fitting(live[to]); return there && there[Math.min(at, there.length - 1)].link; };
    switch (event.key) {
      case 'ArrowRight': return go((roles[at + 1] || (live[line + 1] && fitting(live[line + 1])[0]))?.link);
      case 'ArrowLeft': return go(at > 0 ? roles[at - 1].link : line > 0 ? fitting(live[line - 1]).pop().link : field);
      case 'ArrowDown': return go(along(line + 1));
      case 'ArrowUp': return go(line > 0 ? along(line - 1) : field);
      case 'Escape': go(field); return field.select();
    }
    letters(event, item);
  });
  function letters(event, item) {
    if (keep.get('single-keys') === 'off') return;
    switch (event.key) {
      case 'k': event.preventDefault(); item.querySelector('.keys')?.click(); break;
      case 'o': event.preventDefault(); location.href = item.querySelector('.open').href; break;
      case 'c': event.preventDefault(); copy(item.querySelector('.open').href, 'Link copied'); break;
      case 'f': event.preventDefault(); item.closest('.account')?.querySelector('.star')?.click(); break;
    }
  }

  // A page that the server has narrowed by ?q= holds only what fits: emptied, it is loaded whole.
  // The attribute autofocus waits for the first painted frame; whoever types at once is quicker.
  // After a press of a star, and from the path of a role, the account is named: its first role has the focus.
  const named = rows.find((row) => '#' + row.el.id === location.hash);
  if (named) window.addEventListener('load', () => setTimeout(() => named.roles[0]?.link.focus({ preventScroll: true })));
  if (!location.hash && document.activeElement === document.body) field.focus({ preventScroll: true });
  if (document.activeElement === field) field.setSelectionRange(field.value.length, field.value.length);
  if ('filtered' in form.dataset) field.addEventListener('input', () => { if (!field.value) location.href = '/'; });
  apply();
};
