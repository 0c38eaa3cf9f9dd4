// Image, ground truth and every row side by side: case, seed, slice, epoch, image, zoom.
// A row has one run, or one a seed and fold: a case is of one fold, and the reader chooses the seed.

const view = { case: 0, plane: "slices", place: { slices: 0, rows: 0, columns: 0 }, cross: false, seed: 0, epoch: "best", under: "",
  zoom: 1, x: 0, y: 0, truth: true, errors: false, large: false, black: 0, white: 100 };
const panels = [];
const galleryParts = {};
let readMaps = new Map();

function caseInGallery(name) {
  if (!data.gallery) return null;
  const found = data.gallery.cases.findIndex((each) => each.name === name || each.slices.some((s) => s.name === name));
  return found < 0 ? null : { number: found };
}

function openCase(name) {
  const found = caseInGallery(name);
  if (!found) return;
  const slice = data.gallery.cases[found.number].slices.findIndex((each) => each.name === name);
  chooseCase(found.number, slice < 0 ? undefined : slice);
  document.getElementById("gallery").scrollIntoView({ block: "start" });
}

function gallery() {
  const section = document.getElementById("gallery");
  if (!section || !data.gallery) return;
  const host = make("div", { class: "panels", tabindex: 0, role: "group",
    "aria-label": "Panels. Plus and minus zoom, arrow keys move, 0 shows the whole slice." });
  galleryParts.host = host;
  galleryParts.readout = make("p", { class: "readout", "aria-live": "polite" });
  galleryParts.legend = make("div", { class: "legend" });
  galleryParts.controls = make("div", { class: "controls" });
  section.append(galleryParts.controls, galleryParts.legend, host, galleryParts.readout, galleryNotes());
  addPanel(host, "image", null);
  addPanel(host, "ground truth", "truth");
  data.gallery.shown.forEach((name, i) => addPanel(host, name, i));
  zoomable(host);
  followWidth(host, () => { evenRows(); paintGallery(); });
  runWatchers.push(() => { evenRows(); paintGallery(); });
  if (data.gallery.epoch !== undefined) view.epoch = data.gallery.epoch;
  chooseCase(0);
}

// As many panels in each row as fit, and as many in the last as in the others.
function evenRows() {
  const { host } = galleryParts;
  const count = panels.length - hiddenRuns.size;
  const fit = Math.max(view.large ? 1 : 2, Math.floor((host.parentElement.clientWidth + 14) / (view.large ? 384 : 184)));
  const columns = Math.ceil(count / Math.ceil(count / fit));
  host.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  host.style.maxWidth = `${columns * 460}px`;
}

function addPanel(host, name, what) {
  const canvas = make("canvas", { role: "img" });
  const caption = make("figcaption", {}, typeof what === "number" ? dot(what) : "", make("strong", {}, ...breakable(name)));
  const words = make("p", { class: "words" });
  const figure = make("figure", { class: "panel" }, caption, canvas, words);
  panels.push({ canvas, figure, words, name, what });
  host.append(figure);
}

// The chosen case in the plane that is shown.
function shownCase() {
  return cutCase(wholeCase(), view.plane);
}

function chooseCase(number, slice) {
  view.case = number;
  const shown = wholeCase();
  if (slice !== undefined || !hasPlanes()) view.plane = "slices";
  view.place.slices = slice === undefined ? shown.start : slice;
  readMaps = new Map();
  centrePlace();
  if (view.under.startsWith("map:") ? !(shown.limits || {})[view.under.slice(4)] : !shown.slices[0].images[view.under]) {
    view.under = data.gallery.modalities[0];
  }
  fitContent();
  galleryControls();
  moveBy(0, 0);
}

// All that is not black, and every pixel of ground truth and predictions: nothing outlined is out of sight.
// Of a cut the former alone, with all slices: its other planes would all have to be made first.
function fitContent() {
  const shown = shownCase();
  const maps = view.plane !== "slices" ? [] : shown.slices.flatMap((_, slice) => ["truth", ...data.gallery.shown.keys()].map((what) => mapOf(what, slice)));
  const [left, top, right, bottom] = shown.content;
  const box = join({ left, top, right, bottom }, bounds(maps.filter((found) => found).map((found) => found.map), shown.width));
  zoomTo(box, 0.96);
}

function wholeSlice() {
  const shown = shownCase();
  Object.assign(view, { zoom: 1, x: shown.width / 2, y: shown.height / 2 });
}

// Which of a row's runs is shown: that of the case's fold and the seed chosen, or the row's only one there; -1 if none.
function runOf(row) {
  const { runs, seeds } = data.gallery;
  const here = runs.map((_, run) => run).filter((run) => runs[run].row === row && runs[run].fold === shownCase().fold);
  const chosen = here.find((run) => runs[run].seed === seeds[view.seed]);
  return chosen ?? (here.length === 1 ? here[0] : -1);
}

// All epochs that any run shown has here.
function epochsHere() {
  const { predictions } = shownCase().slices[0];
  const here = data.gallery.shown.map((_, row) => predictions[runOf(row)] || {});
  return [...new Set(here.flatMap((epochs) => Object.keys(epochs).map(Number)))].sort((a, b) => a - b);
}

// The epoch shown of a run: the one asked for, or the last one before it that is here.
function epochOf(run) {
  if (view.epoch === "best") return data.gallery.runs[run].best;
  const here = Object.keys(shownCase().slices[0].predictions[run]).map(Number).sort((a, b) => a - b);
  return here.filter((epoch) => epoch <= view.epoch).pop() ?? here[0];
}

// The class map of the ground truth ("truth") or of a row; null where it is not in this file.
function mapOf(what, at = view.place[view.plane], plane = view.plane) {
  const { slices, width, height } = wholeCase();
  const run = what === "truth" ? null : runOf(what);
  if (run === -1) return null;
  const runsOf = (slice) => (run === null ? slice.truth : slice.predictions[run][epochOf(run)]);
  if (runsOf(slices[0]) === undefined) return null;
  const key = run === null ? `${plane}/${at}/truth` : `${plane}/${at}/${run}/${epochOf(run)}`;
  if (!readMaps.has(key)) {
    if (readMaps.size > 400) readMaps.clear();
    const map = plane === "slices" ? readRuns(runsOf(slices[at]), width * height) : cutMap(plane, at, runsOf);
    readMaps.set(key, { map, outlines: [] });
  }
  return readMaps.get(key);
}

function outlinesOf(found) {
  const shown = shownCase();
  if (!found.outlines.length) {
    found.outlines = data.gallery.colours.map((_, k) => outline(found.map, shown.width, shown.height, k + 1));
  }
  return found.outlines;
}

function backgroundNow() {
  if (view.under.startsWith("map:")) {
    const found = distancesNow();
    return found && found.canvas;
  }
  const found = planePicture(view.under, (slice) => slice.images[view.under], paintGallery);
  return found && graded(found.key, found.image, reachNow(), view.black, view.white);
}

// The distance map that is shown, as {canvas, mm}.
function distancesNow() {
  const name = view.under.slice(4);
  const found = planePicture(view.under, (slice) => slice.maps[name], paintGallery);
  return found && distanceMap(found.key, found.image, shownCase().limits[name]);
}

// The brightest value of the case's image, where black is 0 and white is 1.
function reachNow() {
  return (shownCase().reach || {})[view.under] || 1;
}

function paintGallery() {
  if (!data.gallery) return;
  const background = backgroundNow();
  for (const panel of panels) {
    const gone = hiddenRuns.has(panel.what);
    panel.figure.hidden = gone;
    if (gone) continue;
    paintPanel(panel.canvas, shownCase(), view, background, [...layersOf(panel), ...crossLayers()]);
    describe(panel);
  }
}

function layersOf(panel) {
  const found = panel.what === null ? null : mapOf(panel.what);
  if (!found) return [];
  const { colours } = data.gallery;
  const lines = (paths, width, own) => paths.map((path, k) => ({ path, width, colour: own || colours[k] }));
  if (panel.what === "truth") return [...lines(outlinesOf(found), 3, EDGE), ...lines(outlinesOf(found), 1.6)];
  const truth = mapOf("truth");
  const layers = view.errors ? errorLayers(truth.map, found.map) : [];
  if (view.truth) layers.push(...lines(outlinesOf(truth), 3, EDGE));
  if (view.under.startsWith("map:")) layers.push(...lines(outlinesOf(found), 4, EDGE)); // colours lie on colours
  layers.push(...lines(outlinesOf(found), 2));
  if (view.truth) layers.push(...lines(outlinesOf(truth), 0.9, TRUTH));
  return layers;
}

function errorLayers(truth, predicted) {
  const { width, height } = shownCase();
  const counted = (i) => truth[i] < data.gallery.classes.length && truth[i] !== predicted[i];
  return [
    { path: squares(width, height, (i) => counted(i) && predicted[i]), fill: "rgba(255, 60, 60, .5)" },
    { path: squares(width, height, (i) => counted(i) && !predicted[i]), fill: "rgba(60, 160, 255, .55)" },
  ];
}

function describe(panel) {
  const where = `${placeName()}, ${galleryUnder(view.under)}`;
  const truth = mapOf("truth");
  if (panel.what === null) panel.words.textContent = galleryUnder(view.under);
  else if (panel.what === "truth") {
    panel.words.textContent = `${compareMaps(truth.map, truth.map, data.gallery.classes.length).truth} px`;
  } else {
    const run = runOf(panel.what);
    const { part } = data.gallery.runs[run] || { part: "" };
    const which = panel.name.endsWith(part) ? "" : `${part} · `; // of a row that has several
    panel.words.textContent = run < 0 ? "has no run here" : which + wordsOf(run, mapOf(panel.what), truth);
  }
  panel.canvas.setAttribute("aria-label", `${panel.name}: ${where}: ${panel.words.textContent}`);
}

function wordsOf(run, found, truth) {
  const epoch = epochOf(run);
  if (!found) return epoch === undefined ? "is not in this file" : `epoch ${epoch} is not in this file`;
  const counts = compareMaps(truth.map, found.map, data.gallery.classes.length);
  const dice = (shownCase().dice[run] || {})[epoch];
  return `epoch ${epoch} · ${counts.predicted} px, ${counts.false} false, ${counts.missed} missed · volume's Dice ${number(dice, 3)}`;
}

function galleryUnder(name) {
  return name.startsWith("map:") ? `distance map: ${name.slice(4)}` : name;
}

function galleryNotes() {
  const { leftOut, lossless, orderedBy, mapsOf } = data.gallery;
  const notes = [data.gallery.cases.some((each) => each.word) ? `Ordered by the ${orderedBy}.` : "", "Thin white: ground truth."];
  if (data.gallery.grey) notes.push(`${capital(data.gallery.grey)}, from black to white; "black at" and "white at" change that.`);
  if (!mapsOf) notes.push("No distance maps: slicing saved none, and where this was written SciPy was missing.");
  if (!lossless) notes.push("Images are JPEG here; the outlines are exact.");
  if (data.gallery.cases.some((each) => each.isCut)) {
    notes.push("Large cases are cut to what is outlined at the best epochs, with a margin: pixels beyond are neither shown nor counted.");
  }
  if (leftOut.length) notes.push(`Left out to keep this file small: ${leftOut.join("; ")}.`);
  return make("p", { class: "faint" }, notes.join(" "));
}
