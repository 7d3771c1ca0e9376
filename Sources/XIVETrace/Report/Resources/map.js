// The map: colours by measure, one cell in the tab order, arrow keys between cells.
let measure = 0;
const map = byId("map-picture");
const grids = [...map.querySelectorAll("g.area")].map((group, index) =>
  [...group.querySelectorAll("rect.c")].map((cell, place) => {
    Object.assign(cell, { areaIndex: index, place });
    return cell;
  }));
const cells = grids.flat();

function colourMap() {
  const values = data.areas.flatMap((area) => [...area.counts.values()].map((c) => c[measure]));
  const bounds = scaleOf(Math.max(0, ...values));
  for (const cell of cells) {
    const area = data.areas[cell.areaIndex];
    const first = area.first + cell.place * area.size;
    const counts = area.counts.get(cell.place);
    const style = heat(
      bounds, counts ? counts[measure] : 0, existed(area, first, first + area.size - 1), counts);
    const found = cell.classList.contains("found") ? " found" : "";
    cell.setAttribute("class", `c ${style}${found}`);
  }
  showLegend(bounds);
  map.setAttribute("aria-label", `Device map: ${data.measureNouns[measure]}`);
}

function showLegend(bounds) {
  const swatches = [...map.querySelectorAll(".legend > svg")].slice(0, steps);
  swatches.forEach((swatch, place) => {
    const used = place < bounds.length;
    swatch.querySelector("rect").setAttribute(
      "class", used ? `h${steps - bounds.length + place + 1}` : "n");
    const none = place === 0 && bounds.length === 0;
    swatch.querySelector("text").textContent =
      used ? `≥ ${measured(bounds[place], measure)}` : none ? "none in this trace" : "";
  });
}

/** Makes a cell the one that the tab key reaches. */
function reach(cell) {
  for (const other of cells) other.setAttribute("tabindex", other === cell ? "0" : "-1");
}

/** The neighbour of a cell in a direction; areas follow each other. */
function neighbour(cell, key) {
  const grid = grids[cell.areaIndex];
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -data.columns, ArrowDown: data.columns }[key];
  const place = cell.place + step;
  if (grid[place]) return grid[place];
  const next = grids[cell.areaIndex + Math.sign(step)];
  if (!next) return cell;
  if (Math.abs(step) === 1) return step > 0 ? next[0] : next[next.length - 1];
  const column = cell.place % data.columns;
  if (step > 0) return next[Math.min(column, next.length - 1)];
  const row = Math.floor((next.length - 1) / data.columns) * data.columns;
  return next[Math.min(row + column, next.length - 1)];
}

for (const cell of cells) {
  cell.setAttribute("role", "button");
  cell.setAttribute("aria-label", cell.querySelector("title").textContent);
}
if (cells.length) {
  map.setAttribute("role", "group");
  reach(cells.find((cell) => cell.classList.contains("h7")) || cells[0]);
}
map.addEventListener("click", (event) => {
  const cell = event.target.closest("rect.c");
  if (cell) openCell(cell);
});
map.addEventListener("keydown", (event) => {
  const cell = event.target.closest("rect.c");
  if (!cell) return;
  if (event.key === "Enter" || event.key === " ") openCell(cell);
  else if (event.key.startsWith("Arrow")) {
    const next = neighbour(cell, event.key);
    reach(next);
    next.focus();
  } else return;
  event.preventDefault();
});
for (const input of document.querySelectorAll("input[name=measure]")) {
  input.addEventListener("change", () => {
    measure = Number(input.value);
    colourMap();
    if (levels.length) showLevel();
  });
}
