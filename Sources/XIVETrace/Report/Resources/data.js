// Figures that the page was made from, and how they are written.
const data = JSON.parse(document.getElementById("data").textContent);
const steps = 7;
const byId = (id) => document.getElementById(id);

/** An element with attributes and children; text becomes text, never markup. */
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "rect", "title"].includes(name);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");
const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
const microseconds = (value) => (Math.floor(value / 100) / 10).toFixed(1).replace(/^\d+/, number);

function duration(nanoseconds) {
  for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (nanoseconds < unit) continue;
    const value = nanoseconds / unit;
    if (value >= 100) return `${number(Math.floor(value))} ${name}`;
    const places = value >= 10 ? 1 : 2;
    return `${(Math.floor(value * 10 ** places) / 10 ** places).toFixed(places)} ${name}`;
  }
  return `${nanoseconds} ns`;
}

/** How a number of a class is written: LISNs in hexadecimal. */
const numeral = (sort, value) =>
  sort === 0 ? "0x" + value.toString(16) : String(sort === 1 ? value & 0xffff : value);

function numbers(sort, first, last) {
  const noun = data.nouns[sort];
  return first === last
    ? `${noun} ${numeral(sort, first)}` : `${noun}s ${numeral(sort, first)}–${numeral(sort, last)}`;
}

const subjectName = (sort, value) =>
  [`esb:0x${value.toString(16)}`, `phb:${value >>> 16}:${value & 0xffff}`, `end:${value}`,
    `tima:${value}`, "tima"][sort];

/** A measure's value as text; the last measure is a time. */
const measured = (value, measure) => measure === 3 ? duration(value) : number(value);

/** The lowest value of each step of a scale up to the greatest value; as the page's own scale. */
function scaleOf(greatest) {
  const power = (base, exponent) => {
    let product = 1;
    for (let i = 0; i < exponent; i++) product *= base;
    return product;
  };
  const bounds = [];
  for (let step = 0; step < steps && greatest > 0; step++) {
    let low = 1, high = greatest;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      if (power(middle, steps) >= power(greatest, step)) high = middle; else low = middle + 1;
    }
    if (bounds[bounds.length - 1] !== low) bounds.push(low);
  }
  return bounds;
}

function stepOf(bounds, value) {
  const reached = bounds.filter((bound) => bound <= value).length;
  return value > 0 && reached > 0 ? steps - bounds.length + reached : 0;
}

/** The class of what has a value, existed, or was touched at all. */
function heat(bounds, value, exists, touched) {
  const step = stepOf(bounds, value);
  return step > 0 ? `h${step}` : exists || touched ? "e" : "n";
}

for (const area of data.areas) {
  area.counts = new Map(area.cells.map(([cell, ...counts]) => [cell, counts]));
}
/** Pages of a subject by half; figures are [faults, refaults, SIGBUS, time]. */
const subjects = new Map();
for (const [sort, value, half, f, r, s, t, origins, backing, generation] of data.pages) {
  const key = `${sort}:${value}`;
  if (!subjects.has(key)) subjects.set(key, { sort, value, pages: [] });
  subjects.get(key).pages.push({
    half, counts: [f, r, s, t], origins, backing: data.backings[backing], generation,
  });
}
const existed = (area, first, last) => area.exist.some(([a, b]) => a <= last && b >= first);
