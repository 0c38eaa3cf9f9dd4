// What every chart needs: round ticks, a scale, axes, room that follows the page.

function ticks(low, high, wanted) {
  const rough = (high - low || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return { values: found, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function scale([low, high], [start, end]) {
  const span = high - low || 1;
  return (value) => start + ((value - low) / span) * (end - start);
}

// The smallest and the largest of all numbers, with a little air; null if there are none.
function extent(values) {
  const found = values.filter((value) => value !== null && value !== undefined);
  if (!found.length) return null;
  const low = Math.min(...found);
  const high = Math.max(...found);
  const air = (high - low || Math.abs(high) || 1) * 0.05;
  return [low >= 0 && low - air < 0 ? 0 : low - air, high + air];
}

// Pixels that the numbers beside a vertical axis need.
function roomBeside([low, high]) {
  const { values, decimals } = ticks(low, high, 4);
  return Math.max(48, 14 + 7 * Math.max(...values.map((value) => number(value, decimals).length)));
}

function yAxis(chart, y, domain, left, right) {
  const { values, decimals } = ticks(domain[0], domain[1], 4);
  for (const value of values) {
    const at = y(value);
    chart.append(svg("line", { x1: left, x2: right, y1: at, y2: at, class: "grid" }));
    chart.append(svg("text", { x: left - 6, y: at + 4, class: "tick", "text-anchor": "end" }, number(value, decimals)));
  }
}

function xAxis(chart, x, domain, top, bottom, whole = false) {
  const { values, decimals } = ticks(domain[0], domain[1], 5);
  for (const value of values.filter((each) => !whole || Number.isInteger(Math.round(each * 1e6) / 1e6))) {
    const at = x(value);
    chart.append(svg("line", { x1: at, x2: at, y1: top, y2: bottom, class: "grid" }));
    chart.append(svg("text", { x: at, y: bottom + 16, class: "tick", "text-anchor": "middle" }, number(value, whole ? 0 : decimals)));
  }
}

// Call `redraw(width)` now and whenever the element's width changes.
function followWidth(element, redraw) {
  let before = 0;
  new ResizeObserver(() => {
    const width = Math.floor(element.clientWidth);
    if (width && width !== before) redraw((before = width));
  }).observe(element);
}
