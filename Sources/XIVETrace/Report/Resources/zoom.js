// The zoom: a cell's numbers, in steps down to one page pair.
const zoom = byId("zoom"), grid = byId("grid"), trail = byId("trail"), detail = byId("subject");
/** From the map's cell inwards: { area, first, last, size of a part }. */
let levels = [];
let openedCell = null, shown = null;
const partLimit = 64;

function level(area, first, last) {
  let size = 1;
  while ((last - first + 1) / size > partLimit) size *= 2;
  return { area, first, last, size };
}

function openCell(cell) {
  const area = data.areas[cell.areaIndex];
  const first = area.first + cell.place * area.size;
  const last = Math.min(first + area.size - 1, area.last);
  mark(cell);
  levels = [level(area, first, last)];
  shown = null;
  showLevel();
  if (first === last) showSubject(area.sort, first);
  (grid.querySelector("button") || zoom).focus();
}

function mark(cell) {
  for (const other of cells) other.classList.toggle("found", other === cell);
  openedCell = cell;
  if (cell) reach(cell);
}

/** The subjects of a class between two numbers that have figures of their own. */
const between = (sort, first, last) => [...subjects.values()].filter(
  (subject) => subject.sort === sort && subject.value >= first && subject.value <= last);

const sum = (pages) => pages.reduce(
  (total, page) => total.map((value, i) => value + page.counts[i]), [0, 0, 0, 0]);

function parts({ area, first, last, size }) {
  const result = [];
  for (let start = first; start <= last; start += size) {
    const end = Math.min(start + size - 1, last);
    const pages = between(area.sort, start, end).flatMap((subject) => subject.pages);
    result.push({ start, end, pages, counts: sum(pages), exists: existed(area, start, end) });
  }
  return result;
}

/** Bars of a part: one for a run of numbers, one for each page of a single one. */
function bars(part, sort, bounds) {
  const single = part.start === part.end;
  const halves = data.halves[sort].map((_, half) => part.pages.find((page) => page.half === half));
  const shownBars = single
    ? halves.map((page) => ({ counts: page ? page.counts : [0, 0, 0, 0], page }))
    : [{ counts: part.counts, page: part.pages.length }];
  const height = 16 / shownBars.length;
  return make("svg", { viewBox: "0 0 100 16", preserveAspectRatio: "none", "aria-hidden": "true" },
    ...shownBars.map(({ counts, page }, i) => make("rect", {
      class: heat(bounds, counts[measure], part.exists, page),
      y: i * height, width: 100, height: height - 1,
    })));
}

function partButton(part, sort, bounds) {
  const label = numbers(sort, part.start, part.end);
  const said = part.pages.length
    ? data.measureNouns.map((name, i) => `${measured(part.counts[i], i)} ${name}`).join(", ")
    : part.exists ? "not touched" : "did not exist";
  const text = part.start === part.end
    ? numeral(sort, part.start) : `${numeral(sort, part.start)}…`;
  const button = make("button",
    { type: "button", "aria-label": `${label}: ${said}`, title: `${label}: ${said}` },
    bars(part, sort, bounds), text);
  if (!part.pages.length) button.classList.add("gone");
  button.addEventListener("click", () => openPart(part, sort));
  button.dataset.first = part.start;
  return button;
}

function openPart(part, sort) {
  if (part.start === part.end) return showSubject(sort, part.start);
  const { area } = levels[levels.length - 1];
  levels.push(level(area, part.start, part.end));
  shown = null;
  showLevel();
  grid.querySelector("button").focus();
}

function showLevel() {
  const now = levels[levels.length - 1];
  const all = parts(now);
  const single = now.size === 1;
  const values = single ? all.flatMap((part) => part.pages.map((page) => page.counts[measure]))
    : all.map((part) => part.counts[measure]);
  const bounds = scaleOf(Math.max(0, ...values));
  grid.replaceChildren(...all.map((part) => partButton(part, now.area.sort, bounds)));
  showTrail(now, all);
  showScale(bounds, single && data.halves[now.area.sort]);
  zoom.hidden = false;
  markPart();
  if (!shown) detail.replaceChildren();
}

function showTrail(now, all) {
  const back = make("button", { type: "button" }, levels.length > 1 || shown ? "Back" : "Close");
  back.addEventListener("click", goBack);
  const words = [now.area.name, ...levels.map((l) => numbers(l.area.sort, l.first, l.last))];
  const total = sum(all.flatMap((part) => part.pages))[0];
  const known = levels.length === 1 && openedCell
    ? (now.area.counts.get(openedCell.place) || [0])[0] : total;
  const rest = known > total ? `, ${number(known - total)} more on pages not told apart` : "";
  trail.replaceChildren(...words.flatMap((word, i) => i === words.length - 1
    ? [make("strong", {}, word)] : [word, make("span", { "aria-hidden": "true" }, "›")]),
    make("span", {}, `${count(total, "fault")}${rest}`), back);
}

function showScale(bounds, halves) {
  const swatch = (style) => make("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" },
    make("rect", { class: style, width: 12, height: 12 }));
  const entries = bounds.map((bound, i) => make("li", {},
    swatch(`h${steps - bounds.length + i + 1}`), `≥ ${measured(bound, measure)}`));
  const name = data.measures[measure];
  const note = bounds.length ? name : `${name}: none here`;
  const order = halves && halves.length > 1 ? `; from above: ${halves.join(", ")}` : "";
  const list = make("ul", { id: "scale" }, make("li", {}, note + order), ...entries);
  byId("scale")?.remove();
  grid.after(list);
}

function markPart() {
  for (const button of grid.children) {
    button.setAttribute("aria-current", shown !== null && Number(button.dataset.first) === shown);
  }
}

function goBack() {
  if (shown !== null && levels.length && levels[levels.length - 1].first !== levels[levels.length - 1].last) {
    const first = shown;
    shown = null;
    detail.replaceChildren();
    showLevel();
    grid.querySelector(`[data-first="${first}"]`)?.focus();
    return;
  }
  const left = levels.pop();
  shown = null;
  if (levels.length) {
    showLevel();
    grid.querySelector(`[data-first="${left.first}"]`)?.focus();
    return;
  }
  zoom.hidden = true;
  const cell = openedCell;
  mark(null);
  if (cell) { reach(cell); cell.focus(); } else byId("query").focus();
}

grid.addEventListener("keydown", (event) => {
  const buttons = [...grid.children], place = buttons.indexOf(event.target.closest("button"));
  const columns = buttons.filter((b) => b.offsetTop === buttons[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (!step || place < 0) return;
  buttons[place + step]?.focus();
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !zoom.hidden) goBack();
});
