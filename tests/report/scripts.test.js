// The functions of the report's scripts that need no page: node --test tests/report/scripts.test.js
// The scripts share one global scope on the page; here they are read into that of this process.

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const vm = require("node:vm");

globalThis.document = { getElementById: () => ({ textContent: "{}" }) }; // the report's data, which dom.js reads
const assets = path.join(__dirname, "../../src/boundary_loss/report/assets");
for (const name of ["dom", "chart", "masks", "pictures", "cases", "table"]) {
  vm.runInThisContext(fs.readFileSync(path.join(assets, `${name}.js`), "utf8"), { filename: `${name}.js` });
}

// The edges of a Path2D, each as "x,y x,y".
class Edges {
  constructor() {
    this.found = [];
    this.from = "";
  }
  moveTo(x, y) {
    this.from = `${x},${y}`;
  }
  lineTo(x, y) {
    this.found.push(`${this.from} ${x},${y}`);
  }
}

test("ticks are round, within the range, and differ as they are written", () => {
  const { values: halves, decimals: written } = ticks(0, 1, 4);
  assert.deepEqual(halves.map((value) => value.toFixed(written)), ["0.0", "0.5", "1.0"]);
  assert.deepEqual(ticks(12, 48, 4).values, [20, 30, 40]);
  for (const [low, high] of [[0, 1e-6], [-3, 7], [0.61, 0.64], [1e5, 9e5], [5, 5]]) {
    const { values, decimals } = ticks(low, high, 4);
    assert.ok(values.length >= 1 && values.length <= 6, `${low} to ${high}: ${values}`);
    const air = 1e-9 * Math.max(Math.abs(low), Math.abs(high));
    assert.ok(values.every((value) => value >= low - air && value <= high + air), `${low} to ${high}: ${values}`);
    assert.equal(new Set(values.map((value) => value.toFixed(decimals))).size, values.length);
  }
});

test("a scale maps the ends to the ends, also of an empty range and upside down", () => {
  const y = scale([2, 6], [100, 0]);
  assert.deepEqual([2, 4, 6, 8].map(y), [100, 50, 0, -50]);
  assert.equal(scale([3, 3], [0, 10])(3), 0);
});

test("an extent holds every number, and does not fall below 0 for its air alone", () => {
  assert.equal(extent([null, undefined]), null);
  assert.deepEqual(extent([0, 10, null]), [0, 10.5]);
  const [low, high] = extent([-2, 2]);
  assert.ok(low < -2 && high > 2);
  const [below, above] = extent([0.7]);
  assert.ok(below < 0.7 && above > 0.7);
});

test("numbers have a true minus, no negative zero, and a dash where there is none", () => {
  assert.deepEqual([number(-1.26, 1), number(-0.001, 2), number(null, 2), number(0, 0)], ["−1.3", "0.00", "–", "0"]);
  assert.deepEqual([signed(2, 1), signed(-2, 1), signed(0, 1)], ["+2.0", "−2.0", "0.0"]);
});

test("names break into lines that are short enough and lose nothing", () => {
  for (const name of ["gdl_surface_steal", "a", "averyveryverylongnamewithoutbreaks", "two words, three"]) {
    const found = lines(name, 8);
    assert.equal(found.join(""), name);
    assert.ok(found.every((line) => line.trimEnd().length <= 9), String(found));
  }
  assert.equal(howMany(1, "volumes"), "1 volume");
  assert.equal(howMany(0, "volumes"), "0 volumes");
  assert.equal(capital("gdl"), "Gdl");
});

test("quantiles interpolate between the sorted values", () => {
  assert.deepEqual([0, 0.25, 0.5, 1].map((share) => quantile([1, 2, 3, 5], share)), [1, 1.75, 2.5, 5]);
  assert.equal(quantile([4], 0.75), 4);
});

test("counts of pixels leave ignored ones out, and a wrong class is false and missed", () => {
  const truth = Uint8Array.from([0, 1, 1, 2, 255, 0]);
  const predicted = Uint8Array.from([1, 1, 0, 1, 1, 0]);
  assert.deepEqual(compareMaps(truth, predicted, 3), { truth: 3, predicted: 3, false: 2, missed: 2 });
});

test("bounds hold every pixel of every map, and join holds both boxes", () => {
  const map = new Uint8Array(12); // 4 wide, 3 high
  assert.equal(bounds([map], 4), null);
  map[6] = 2;
  const other = new Uint8Array(12);
  other[8] = 1;
  const box = bounds([map, other], 4);
  assert.deepEqual(box, { left: 0, right: 2, top: 1, bottom: 2 });
  assert.deepEqual(join(bounds([map], 4), bounds([other], 4)), box);
  assert.equal(join(null, box), box);
});

test("an outline has the edges between a class and the rest, once each", () => {
  globalThis.Path2D = Edges;
  const { found } = outline(Uint8Array.from([0, 1, 1, 0, 0, 1]), 3, 2, 1); // 3 wide, 2 high: an L
  assert.equal(found.length, 8);
  assert.equal(new Set(found).size, 8);
  assert.equal(outline(Uint8Array.from([0, 1, 1, 0, 0, 1]), 3, 2, 2).found.length, 0);
  assert.equal(outline(new Uint8Array(6).fill(1), 3, 2, 1).found.length, 10, "along the picture's edge too");
});

test("colours of distances are blue inside, orange outside, pale at the border, and end at the limit", () => {
  const [inside, outside] = [distanceColour(-1), distanceColour(1)];
  assert.ok(inside[2] > inside[0] && outside[0] > outside[2]);
  assert.deepEqual(distanceColour(-3), inside);
  assert.ok(distanceColour(0).every((level) => level > 200));
});

test("a table sorts by the better way, then the other, and empty cells stay last", () => {
  const row = (value) => ({ value, cells: [{ dataset: value === null ? {} : { value: String(value) } }] });
  const body = { rows: [2, null, 10, -1].map(row), append: (...sorted) => { body.rows = sorted; } };
  const states = {};
  const heading = {
    dataset: { sort: "down" },
    getAttribute: (name) => states[name],
    setAttribute: (name, value) => { states[name] = value; },
  };
  const press = () => {
    sortBy({ tBodies: [body] }, [heading], 0);
    return body.rows.map((each) => each.value);
  };
  assert.deepEqual(press(), [10, 2, -1, null]);
  assert.equal(states["aria-sort"], "descending");
  assert.deepEqual(press(), [-1, 2, 10, null]);
});
