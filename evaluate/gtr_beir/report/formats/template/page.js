"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("script");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);

  // Light or dark: as the system says, until it is chosen.
  one("#theme").addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme || (dark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });

  // Score tables: what is shown, in which order, in which colours.
  const grids = all(".grid");
  const tables = grids.map((grid) => {
    const table = one("table", grid);
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({
      row,
      place,
      name: row.dataset.name.toLowerCase(),
      group: row.dataset.group,
      values: [...row.cells].map((cell) => parseFloat(cell.dataset.v)),
    }));
    const style = document.createElement("style");
    document.head.append(style);
    return { table, body, rows, style, heads: [...table.tHead.rows[0].cells] };
  });
  let shown = 0;

  // A browser lays out a few hundred rows at once without a pause; the rest is a click away.
  const ROWS = 200;
  let most = ROWS;
  const more = one("#more");
  function cut() {
    tables.forEach(({ rows }, at) => {
      let count = 0;
      for (const { row } of rows) {
        const beyond = !row.hidden && ++count > most;
        if (row.classList.contains("beyond") !== beyond) row.classList.toggle("beyond", beyond);
      }
      if (at === shown) {
        more.hidden = count <= most;
        more.textContent = `Show all ${count.toLocaleString("en")} systems`;
      }
    });
    enter();
  }
  // The tab key reaches one value of each table, which is one that is seen.
  function enter() {
    grids.forEach((grid, at) => {
      const seen = (cell) => cell && !cell.parentElement.hidden && !cell.parentElement.classList.contains("beyond")
        && !hidden.has(tables[at].heads[cell.cellIndex].textContent);
      const entry = one("td[tabindex='0']", grid);
      if (seen(entry)) return;
      if (entry) entry.tabIndex = -1;
      const next = all("td[data-v]", grid).find(seen);
      if (next) next.tabIndex = 0;
    });
  }
  more.addEventListener("click", () => { most = Infinity; cut(); });

  const hidden = new Set();
  const groups = new Set(all("#groups input").map((input) => input.value));
  const counted = one("#counted");

  function filter() {
    const wanted = one("#systems").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    tables.forEach(({ rows, table, style, heads }, at) => {
      let count = 0;
      for (const { row, name, group } of rows) {
        const show = groups.has(group) && wanted.every((part) => name.includes(part));
        if (row.hidden === show) row.hidden = !show;
        count += show;
      }
      table.id = `scores-${at}`;
      style.textContent = heads
        .map((head, place) => (hidden.has(head.textContent)
          ? `#scores-${at} tr > :nth-child(${place + 1}) { display: none; }` : ""))
        .join("\n");
      if (at === shown) counted.textContent = `${count} of ${rows.length} systems`;
    });
    cut();
  }

  function colour() {
    const baseline = one("#baseline").value;
    for (const { rows } of tables) {
      const base = rows.find(({ row }) => row.dataset.name + "\u0000" + one("small", row).textContent === baseline);
      for (const { row, values } of rows) {
        values.forEach((value, place) => {
          const cell = row.cells[place];
          // Values of another thing (capped recall, first judgements) are not held against others.
          const alike = base && cell.dataset.apart === base.row.cells[place].dataset.apart;
          const difference = alike ? value - base.values[place] : NaN;
          // What is published to three digits is not above or below what is shown to four.
          if (!(Math.abs(difference) >= 0.0005)) {
            if (cell.style.backgroundColor) cell.style.backgroundColor = "";
            return;
          }
          const strength = Math.min(0.55, 0.08 + Math.abs(difference) * 4);
          const which = difference > 0 ? "--better" : "--worse";
          cell.style.backgroundColor = `rgba(var(${which}), ${strength})`;
        });
      }
    }
  }

  function sort(table, place) {
    const { heads, rows, body } = table;
    const head = heads[place];
    const byName = one("button", head).dataset.sort === "name";
    const first = byName ? "ascending" : "descending";
    const other = byName ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    heads.forEach((each) => each.setAttribute("aria-sort", each === head ? order : "none"));
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      if (byName) return sign * (a.name < b.name ? -1 : a.name > b.name ? 1 : a.place - b.place);
      const x = a.values[place];
      const y = b.values[place];
      // Systems without a value stand last in either order.
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.place - b.place;
      return sign * (x - y) || a.place - b.place;
    });
    body.replaceChildren();
    cut();
    body.append(...rows.map(({ row }) => row));
    enter();
  }

  function show(at) {
    shown = at;
    grids.forEach((grid, place) => { grid.hidden = place !== at; });
    all(".tabs button").forEach((button, place) => button.setAttribute("aria-pressed", String(place === at)));
    filter();
  }

  all(".tabs button").forEach((button, at) => button.addEventListener("click", () => show(at)));
  tables.forEach((table) => table.heads.forEach((head, place) => {
    one("button", head).addEventListener("click", () => sort(table, place));
  }));
  one("#systems").addEventListener("input", filter);
  all("#groups input").forEach((input) => input.addEventListener("change", () => {
    if (input.checked) groups.add(input.value); else groups.delete(input.value);
    filter();
  }));

  // Datasets of any table, each with a box.
  const choices = one("#datasets .choices");
  const boxes = new Map();
  tables.forEach(({ heads }) => heads.slice(1).forEach((head) => {
    const title = head.textContent;
    if (boxes.has(title)) return;
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    label.append(box, " ", title);
    choices.append(label);
    boxes.set(title, { box, own: head.dataset.own === "1" });
    box.addEventListener("change", choose);
  }));
  function choose() {
    hidden.clear();
    boxes.forEach(({ box }, title) => { if (!box.checked) hidden.add(title); });
    filter();
  }
  all("#datasets button").forEach((button) => button.addEventListener("click", () => {
    boxes.forEach(({ box, own }) => { box.checked = button.dataset.own ? own : Boolean(button.dataset.all); });
    choose();
  }));

  const baseline = one("#baseline");
  const offered = new Set();
  tables.forEach(({ rows }) => rows.forEach(({ row }) => {
    const source = one("small", row).textContent;
    const value = row.dataset.name + "\u0000" + source;
    if (offered.has(value)) return;
    offered.add(value);
    const option = document.createElement("option");
    option.value = value;
    option.textContent = `${row.dataset.name} (${source.split(" · ")[0]})`;
    baseline.append(option);
  }));
  baseline.addEventListener("change", colour);

  // Menus close when the reader goes elsewhere.
  document.addEventListener("click", (event) => {
    all(".controls details[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  // What a value is of: hover, tap, or walk there with the arrow keys.
  const tip = one("#tip");
  let described = null;
  function tell(cell) {
    hush();
    if (!cell || !cell.dataset.t) return;
    tip.textContent = cell.dataset.t;
    tip.hidden = false;
    cell.setAttribute("aria-describedby", "tip");
    described = cell;
    const at = cell.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const left = Math.max(6, Math.min(at.left, innerWidth - size.width - 6));
    const below = at.bottom + 6;
    const top = below + size.height < innerHeight ? below : Math.max(6, at.top - size.height - 6);
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  }
  function hush() {
    tip.hidden = true;
    if (described) described.removeAttribute("aria-describedby");
    described = null;
  }
  grids.forEach((grid) => {
    const cellOf = (event) => event.target.closest("td[data-v]");
    grid.addEventListener("mouseover", (event) => tell(cellOf(event)));
    grid.addEventListener("mouseleave", hush);
    grid.addEventListener("click", (event) => { if (cellOf(event)) tell(cellOf(event)); });
    grid.addEventListener("focusin", (event) => tell(cellOf(event)));
    grid.addEventListener("focusout", hush);
    grid.addEventListener("keydown", (event) => {
      const cell = cellOf(event);
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!cell || !step) return;
      event.preventDefault();
      let row = cell.parentElement;
      let place = cell.cellIndex;
      for (;;) {
        if (step[0]) {
          do { row = step[0] > 0 ? row.nextElementSibling : row.previousElementSibling; } while (row && (row.hidden || row.classList.contains("beyond")));
        }
        place += step[1];
        const next = row && row.cells[place];
        if (!next || place < 1) return;
        if (!next.dataset.v || !next.offsetParent) continue;
        cell.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
        next.scrollIntoView({ block: "nearest", inline: "nearest" });
        return;
      }
    });
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hush(); });
  // Walking by keys scrolls: what is told of the value that has the focus goes along with it.
  addEventListener("scroll", () => {
    const cell = described;
    const at = cell && cell === document.activeElement && cell.getBoundingClientRect();
    if (at && at.bottom > 0 && at.top < innerHeight) tell(cell); else hush();
  }, { passive: true });

  // Two systems on a dataset: the histogram of their per-query differences.
  const pairs = JSON.parse(one("#pairs").textContent);
  const space = "http://www.w3.org/2000/svg";
  function draw(into, pair, sign) {
    const spread = sign < 0 ? [...pair.spread].reverse() : pair.spread;
    const [better, other] = sign < 0 ? [pair.a, pair.b] : [pair.b, pair.a];
    const most = Math.max(...spread, 1);
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 462 150");
    svg.setAttribute("role", "img");
    const middle = (spread.length - 1) / 2;
    spread.forEach((count, place) => {
      const height = count && Math.max(1, (count / most) * 105);
      const bar = document.createElementNS(space, "rect");
      bar.setAttribute("x", place * 22 + 1);
      bar.setAttribute("width", 20);
      bar.setAttribute("y", 125 - height);
      bar.setAttribute("height", height);
      bar.setAttribute("class", place < middle ? "down" : place > middle ? "up" : "same");
      svg.append(bar);
      const label = (text, y) => {
        const words = document.createElementNS(space, "text");
        words.setAttribute("x", place * 22 + 11);
        words.setAttribute("y", y);
        words.setAttribute("text-anchor", "middle");
        words.textContent = text;
        svg.append(words);
      };
      if (count) label(count, 121 - height);
      if (place % 5 === 0) label(((place - middle) / 10).toFixed(1).replace("-", "−"), 142);
    });
    const words = document.createElement("p");
    words.textContent = `${better} less ${other}: ${sign < 0 ? pair.said_turned : pair.said}`;
    svg.setAttribute("aria-label", `Queries by difference, ${words.textContent}`);
    into.replaceChildren(words, svg);
  }
  all(".matrix").forEach((matrix) => {
    const of = pairs[matrix.dataset.pairs];
    const into = one(`.pair[data-of="${CSS.escape(matrix.dataset.pairs)}"]`);
    const press = (button) => {
      all("button", matrix).forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      draw(into, of[Number(button.dataset.pair)], Number(button.dataset.sign));
    };
    all("button", matrix).forEach((button) => button.addEventListener("click", () => press(button)));
    const best = one("td.significant button", matrix) || one("button", matrix);
    if (best) press(best);
  });

  show(0);
})();
