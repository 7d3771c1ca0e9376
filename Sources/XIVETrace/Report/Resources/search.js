// One subject: figures of its pages, and the events that are kept of it.
function table(caption, heads, rows) {
  const cell = (name, text, i, scope) =>
    make(name, { class: heads[i][1] ? "f" : "w", ...(scope ? { scope } : {}) }, text);
  return make("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...heads.map(([head], i) => cell("th", head, i, "col")))),
      make("tbody", {}, ...rows.map((row) => make("tr", {},
        ...row.map((text, i) => i ? cell("td", text, i) : cell("th", text, i, "row")))))));
}

function pagesTable(sort, pages) {
  const heads = [["page"], ...data.measureNouns.map((name) => [name, true]), ["causes"],
    ["served last by"], ["generation", true]];
  return table("Pages", heads, pages.map((page) => [
    data.halves[sort][page.half] || "page",
    ...page.counts.map((value, i) => measured(value, i)),
    page.origins.map((value, i) => [value, data.origins[i]]).filter(([value]) => value)
      .map(([value, name]) => `${number(value)} ${name}`).join(", "),
    page.backing, page.backing ? number(page.generation) : "",
  ]));
}

/** Events of a subject; of a PHB's interrupt also those of a source that it served. */
const eventsOf = (sort, value) => data.events.filter(
  ([, s, first, last, , , , , hardware]) => s === sort && first <= value && value <= last ||
    sort === 1 && hardware && hardware - 1 <= value && value <= hardware - 1 + last - first);

/** The events to list: where the subject's own early ones were left out, what covered it then would mislead. */
function listed(sort, value) {
  const events = eventsOf(sort, value);
  const own = events.filter(([, s, first, last]) => s === sort && first === last);
  if (!data.totals[`${sort}:${value}`] || !own.length) return { events, own: own.length };
  return { events: events.filter(([time]) => time >= own[0][0]), own: own.length };
}

function eventsTable(sort, value, events, own) {
  const total = data.totals[`${sort}:${value}`] || own;
  const caption = total > own
    ? `Events: its own latest ${number(own)} of ${number(total)}, and what covered it since` : "Events";
  const heads = [["at, s", true], ["event"], ["page"], ["thread"], ["result"], ["cause"], ["more"],
    ["queue µs", true], ["service µs", true]];
  return table(caption, heads, events.map(
    ([time, s, first, last, half, thread, queue, service, , kind, result, cause, more]) => [
      (time / 1e9).toFixed(6), kind,
      s !== sort || first !== last ? numbers(s, first, last) : data.halves[sort][half] || "",
      data.threads[thread], result, cause, more, microseconds(queue), microseconds(service),
    ]));
}

function showSubject(sort, value) {
  const subject = subjects.get(`${sort}:${value}`), { events, own } = listed(sort, value);
  shown = value;
  markPart();
  const unknown = "No figures of its own here: it was not touched, or not often enough to be told apart.";
  detail.replaceChildren(
    make("h3", { tabindex: "-1" }, `${subjectName(sort, value)} · ${numbers(sort, value, value)}`),
    subject ? pagesTable(sort, subject.pages) : make("p", { class: "none" }, unknown),
    events.length ? eventsTable(sort, value, events, own)
      : make("p", { class: "none" }, "No events of it are kept in this page."));
  if (levels.length) showTrail(levels[levels.length - 1], parts(levels[levels.length - 1]));
  return { subject, events };
}

// The search: a number, or a name as the command line takes it.
function parse(text) {
  const words = text.trim().toLowerCase().split(":");
  const value = (word) => /^(0x[0-9a-f]+|[0-9]+)$/.test(word || "") ? Number(word) : NaN;
  if (words.length === 1 && words[0] === "tima") return [4, 0];
  if (words.length === 1) return [0, value(words[0])];
  const [name, first, second] = [words[0], value(words[1]), value(words[2])];
  if (name === "esb" || name === "lisn" || name === "kernel") return [0, first];
  if (name === "phb") return [1, first * 65536 + second];
  if (name === "end") return [2, first];
  if (name === "tima") return Number.isNaN(first) ? [4, 0] : [3, first];
  return [0, NaN];
}

function openArea(sort, value) {
  const index = data.areas.findIndex(
    (area) => area.sort === sort && area.first <= value && value <= area.last);
  if (index < 0) {
    levels = [];
    mark(null);
    return false;
  }
  const area = data.areas[index];
  const cell = grids[index][Math.floor((value - area.first) / area.size)];
  const first = area.first + cell.place * area.size;
  mark(cell);
  levels = [level(area, first, Math.min(first + area.size - 1, area.last))];
  while (levels[levels.length - 1].size > 1) {
    const { first: start, size } = levels[levels.length - 1];
    const from = start + Math.floor((value - start) / size) * size;
    levels.push(level(area, from, Math.min(from + size - 1, area.last)));
  }
  shown = value;
  showLevel();
  return true;
}

function find(text) {
  const [sort, value] = parse(text);
  const answer = byId("answer");
  if (!Number.isSafeInteger(value)) {
    answer.textContent = `“${text}” is no number or name: try 17, 0x11, esb:17 or phb:0:3.`;
    return;
  }
  const inMap = openArea(sort, value);
  if (!inMap) {
    grid.replaceChildren();
    byId("scale")?.remove();
    const close = make("button", { type: "button" }, "Close");
    close.addEventListener("click", goBack);
    trail.replaceChildren(make("strong", {}, "not in the map"), close);
    zoom.hidden = false;
  }
  const { subject, events } = showSubject(sort, value);
  const faults = subject ? sum(subject.pages)[0] : 0;
  answer.textContent = `${subjectName(sort, value)}: ${count(faults, "fault")}, ` +
    `${count(events.length, "event")} listed${inMap ? "" : "; it is not in the map"}.`;
  detail.querySelector("h3").focus({ preventScroll: true });
  zoom.scrollIntoView({ block: "start" });
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  find(byId("query").value);
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input[type=text]");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  byId("query").focus();
  byId("query").select();
});
for (const cell of document.querySelectorAll("[data-find]")) {
  const button = make("button", { type: "button", class: "link" }, cell.textContent);
  button.addEventListener("click", () => {
    byId("query").value = cell.dataset.find;
    find(cell.dataset.find);
  });
  cell.replaceChildren(button);
}
