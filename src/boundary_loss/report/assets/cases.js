// Cases under one metric: a box a run, and two runs joined case by case.

const casesState = { metric: null, column: null, when: "best", a: 0, b: 1, hover: null };

function cases() {
  const section = document.getElementById("cases");
  const metrics = data.metrics.filter((metric) => !metric.loss && metric.runs.some((run) => run.cases));
  if (!section || !metrics.length) return;
  casesState.metric = metrics[0];
  casesState.column = metrics[0].columns[0];
  const bar = make("div", { class: "controls" });
  const boxes = make("figure", { class: "card" });
  const pairs = make("figure", { class: "card" });
  section.append(bar, make("div", { class: "cards two" }, boxes, pairs));
  const places = { boxes: plotIn(boxes, "Spread over cases"), pairs: plotIn(pairs, "Case by case") };
  const controls = () => {
    const names = data.runs.map((run, i) => [String(i), run.name]);
    const set = (name, value) => { casesState[name] = value; redraw(); };
    bar.replaceChildren(
      choice("Metric", metrics.map((m, i) => [String(i), m.heading]), String(metrics.indexOf(casesState.metric)), (i) => {
        casesState.metric = metrics[Number(i)];
        if (!casesState.metric.columns.includes(casesState.column)) casesState.column = casesState.metric.columns[0];
        controls();
        redraw();
      }),
      casesState.metric.columns.length > 1
        ? choice("Class", casesState.metric.columns.map((name) => [name, name]), casesState.column, (name) => set("column", name)) : "",
      choice("Epoch", [["best", "each run's best"], ["last", "each run's last"]], casesState.when, (when) => set("when", when)),
      ...(data.runs.length > 1
        ? [choice("From", names, String(casesState.a), (i) => set("a", Number(i))),
          choice("to", names, String(casesState.b), (i) => set("b", Number(i)))] : []),
    );
  };
  const redraw = () => {
    casesState.hover = null;
    drawBoxes(places.boxes);
    if (data.runs.length > 1) drawPairs(places.pairs);
  };
  if (data.runs.length < 2) pairs.remove();
  controls();
  followWidth(places.boxes.plot, (width) => { places.boxes.width = width; drawBoxes(places.boxes); });
  if (data.runs.length > 1) followWidth(places.pairs.plot, (width) => { places.pairs.width = width; drawPairs(places.pairs); });
  runWatchers.push(redraw);
}

function plotIn(figure, title) {
  const place = { plot: make("div", { class: "plot" }), readout: make("p", { class: "readout", "aria-live": "polite" }), more: make("div"), width: 0 };
  figure.append(make("figcaption", {}, make("strong", {}, title)), place.plot, place.readout, place.more);
  return place;
}

// [{name, value}] of a run; empty where it was not measured.
function casesOf(run) {
  const found = casesState.metric.runs.find((each) => each.run === run);
  const values = found && found.cases && found.cases[casesState.when] && found.cases[casesState.when][casesState.column];
  if (!values) return [];
  return values.map((value, i) => ({ name: found.names[i], value })).filter((each) => each.value !== null);
}

function quantile(sorted, share) {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

function drawBoxes(place) {
  if (!place.width) return;
  const { metric } = casesState;
  const rows = shownRuns().map((run) => [run, casesOf(run)]).filter(([, values]) => values.length);
  const steps = rows.map(([run]) => 43 + 15 * nameLines(run, place.width).length);
  const [left, right, top] = [12, place.width - 12, 4];
  const height = steps.reduce((sum, step) => sum + step, 0) + 44;
  const chart = svg("svg", { viewBox: `0 0 ${place.width} ${height}`, width: place.width, height, role: "img",
    "aria-label": `${capital(metric.axis)}, ${casesState.column}: ${rows.map(([run, v]) => boxText(run, v)).join("; ")}` });
  place.plot.replaceChildren(chart);
  place.readout.textContent = rows.length ? "Box: quartiles and median; diamond: mean." : "Nothing was measured.";
  const range = extent(rows.flatMap(([, values]) => values.map((each) => each.value)));
  if (!range) return;
  const x = scale(range, [left, right]);
  xAxis(chart, x, range, top, height - 36);
  chart.append(svg("text", { x: (left + right) / 2, y: height - 4, class: "tick", "text-anchor": "middle" }, capital(metric.axis)));
  let at = top;
  rows.forEach(([run, values], i) => {
    drawBox(chart, run, values, x, at, place);
    at += steps[i];
  });
}

// A run's name in lines that fit beside the number of cases, at some 7.5 pixels a letter.
function nameLines(run, width) {
  return lines(data.runs[run].name, Math.max(8, Math.floor((width - 80) / 7.5)));
}

// "2 volumes", "1 volume"
function howMany(count, noun) {
  return `${count} ${count === 1 ? noun.slice(0, -1) : noun}`;
}

function boxText(run, values) {
  const sorted = values.map((each) => each.value).sort((a, b) => a - b);
  return `${data.runs[run].name} median ${number(quantile(sorted, 0.5), casesState.metric.decimals)}, ${howMany(sorted.length, casesState.metric.noun)}`;
}

function drawBox(chart, run, values, x, top, place) {
  const { metric } = casesState;
  const sorted = values.map((each) => each.value).sort((a, b) => a - b);
  const [q1, q2, q3] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
  const reach = 1.5 * (q3 - q1);
  const low = sorted.find((value) => value >= q1 - reach);
  const high = sorted.findLast((value) => value <= q3 + reach);
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const names = nameLines(run, place.width);
  const middle = top + 21 + 15 * names.length;
  const group = svg("g", { style: `--own:${colour(run)}` });
  group.append(
    ...names.map((line, i) => svg("text", { x: 12, y: top + 15 + 15 * i, class: "label" }, line)),
    svg("text", { x: place.width - 12, y: top + 15, class: "tick", "text-anchor": "end" }, howMany(sorted.length, metric.noun)),
    svg("line", { x1: x(low), x2: x(high), y1: middle, y2: middle, class: "whisker" }),
    svg("rect", { x: x(q1), width: Math.max(1, x(q3) - x(q1)), y: middle - 11, height: 22, class: "box", rx: 2 }),
    svg("line", { x1: x(q2), x2: x(q2), y1: middle - 11, y2: middle + 11, class: "median" }),
  );
  values.forEach((each, i) => {
    const jitter = ((i * 7919) % 17) / 17 - 0.5; // spread alike each time
    const point = svg("circle", { cx: x(each.value), cy: middle + jitter * 18, r: 3, class: "case", "data-case": each.name });
    point.addEventListener("pointerenter", () => pointAt(each.name, place, run, each.value));
    point.addEventListener("click", () => openCase(each.name));
    group.append(point);
  });
  group.append(svg("path", { d: `M${x(mean)} ${middle - 5}l5 5l-5 5l-5 -5z`, class: "mean" }));
  chart.append(group);
}

// Mark a case in all boxes and lines.
function pointAt(name, place, run, value) {
  for (const element of document.querySelectorAll("#cases [data-case]")) {
    element.classList.toggle("on", element.dataset.case === name);
  }
  const link = caseInGallery(name) ? " · click opens it in the gallery" : "";
  place.readout.textContent = `${name} · ${data.runs[run].name} ${number(value, casesState.metric.decimals)}${link}`;
}

function pairedCases() {
  const after = new Map(casesOf(casesState.b).map((each) => [each.name, each.value]));
  return casesOf(casesState.a).filter((each) => after.has(each.name))
    .map((each) => ({ name: each.name, from: each.value, to: after.get(each.name), change: after.get(each.name) - each.value }));
}

function kindOf(pair) {
  if (pair.change === 0) return "same";
  return pair.change > 0 !== casesState.metric.lower ? "better" : "worse";
}

function drawPairs(place) {
  if (!place.width) return;
  const { metric, a, b } = casesState;
  const pairs = pairedCases();
  const range = extent(pairs.flatMap((pair) => [pair.from, pair.to]));
  const [nameA, nameB] = [a, b].map((run) => nameLines(run, place.width));
  const beside = data.runs[a].name.length + data.runs[b].name.length < (place.width - 80) / 7.5;
  const below = beside ? 0 : nameA.length; // lines of the second name stand below those of the first
  const height = Math.max(300, Math.min(560, shownRuns().length * 58 + 44));
  const [left, right, top, bottom] = [roomBeside(range || [0, 1]), place.width - 12, 11 + 15 * (below + nameB.length), height - 12];
  const [from, to] = [left + 0.12 * (right - left), right - 0.12 * (right - left)];
  const counted = (kind) => pairs.filter((pair) => kindOf(pair) === kind).length;
  const words = `${data.runs[b].name} has the better value in ${counted("better")} of ${howMany(pairs.length, metric.noun)}, ${data.runs[a].name} in ${counted("worse")}`;
  const chart = svg("svg", { viewBox: `0 0 ${place.width} ${height}`, width: place.width, height, role: "img", "aria-label": words });
  place.plot.replaceChildren(chart);
  place.readout.textContent = pairs.length ? `${words}.` : "These two runs have no measured case in common.";
  place.more.replaceChildren(pairWords(), pairTable(pairs));
  if (!range) return;
  const y = scale(range, [bottom, top]);
  yAxis(chart, y, range, left, right);
  for (const [at, run] of [[from, a], [to, b]]) {
    chart.append(svg("line", { x1: at, x2: at, y1: top, y2: bottom, class: "pole", style: `stroke:${colour(run)}` }));
  }
  const label = (line, i, x, side) => chart.append(svg("text", { x, y: 16 + 15 * i, class: "label", "text-anchor": side }, line));
  nameA.forEach((line, i) => label(line, i, left, "start"));
  nameB.forEach((line, i) => label(line, below + i, right, "end"));
  for (const pair of pairs) drawPair(chart, pair, from, to, y, place);
}

function drawPair(chart, pair, from, to, y, place) {
  const line = svg("g", { class: `pair ${kindOf(pair)}`, "data-case": pair.name },
    svg("line", { x1: from, x2: to, y1: y(pair.from), y2: y(pair.to), class: "wide-line" }),
    svg("line", { x1: from, x2: to, y1: y(pair.from), y2: y(pair.to) }),
    svg("circle", { cx: from, cy: y(pair.from), r: 3.5 }), svg("circle", { cx: to, cy: y(pair.to), r: 3.5 }));
  line.addEventListener("pointerenter", () => {
    const { decimals } = casesState.metric;
    pointAt(pair.name, place, casesState.b, pair.to);
    const text = `${pair.name}: ${number(pair.from, decimals)} → ${number(pair.to, decimals)} (${signed(pair.change, decimals)})`;
    place.readout.textContent = text + (caseInGallery(pair.name) ? " · click opens it in the gallery" : "");
  });
  line.addEventListener("click", () => openCase(pair.name));
  chart.append(line);
}

// What the paired test says of these two runs, if it was made under this metric.
function pairWords() {
  const { metric, column, when, a, b } = casesState;
  const rows = [data.runs[a].name, data.runs[b].name];
  const found = data.differences.find((each) => each.metric === metric.name && each.column === column
    && each.when === when && each.rows.every((name) => rows.includes(name)) && a !== b);
  const tested = [...new Set(data.differences.map((each) => each.metric))].map((name) => data.metrics.find((m) => m.name === name).short);
  const words = found ? found.text : `No test was made under this metric, only under ${tested.join(" and ") || "none"}: each further one makes all harder to show.`;
  return make("p", { class: found ? "verdict" : "verdict faint" }, words);
}

function pairTable(pairs) {
  const { decimals } = casesState.metric;
  const sign = casesState.metric.lower ? -1 : 1;
  const sorted = [...pairs].sort((p, q) => sign * (p.change - q.change));
  const row = (pair) => make("tr", {}, make("th", { scope: "row" }, caseInGallery(pair.name)
    ? button(pair.name, () => openCase(pair.name), { class: "link" }) : pair.name),
  make("td", {}, number(pair.from, decimals)), make("td", {}, number(pair.to, decimals)),
  make("td", { class: kindOf(pair) }, signed(pair.change, decimals)));
  const head = ["case", data.runs[casesState.a].name, data.runs[casesState.b].name, "difference"];
  return make("details", {}, make("summary", {}, "The cases as a table, what became worst first"),
    make("div", { class: "wide tall" }, make("table", {}, make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...sorted.map(row)))));
}
