// The gallery's controls, and zooming and moving with pointer, wheel, fingers and keys.

function slider(label, values, value, text, oninput) {
  const output = make("output", {}, text(value));
  const range = make("input", { type: "range", min: 0, max: values.length - 1, step: 1, value: values.indexOf(value),
    "aria-valuetext": text(value),
    oninput: () => {
      const now = values[Number(range.value)];
      output.textContent = text(now);
      range.setAttribute("aria-valuetext", text(now));
      oninput(now);
    } });
  return make("label", { class: "control slider" }, make("span", {}, label, " ", output), range);
}

function galleryControls() {
  const shown = shownCase();
  const { cases, modalities, seeds } = data.gallery;
  const worded = (each) => [each.fold, each.word, each.name].filter((word) => word).join(": ");
  const unders = [...modalities.map((name) => [name, name, !shown.slices[0].images[name]]),
    ...Object.keys(shown.limits || {}).map((name) => [`map:${name}`, galleryUnder(`map:${name}`)])];
  const places = Array.from({ length: countOf(view.plane) }, (_, i) => i);
  galleryParts.controls.replaceChildren(
    choice("Case", cases.map((each, i) => [String(i), worded(each)]), String(view.case), (i) => chooseCase(Number(i))),
    ...(seeds.length ? [choice("Seed", seeds.map((name, i) => [String(i), name.replace("seed", "")]), String(view.seed), chooseSeed)] : []),
    choice("Image", unders, view.under, (name) => { view.under = name; contrastControls(); galleryLegend(); paintGallery(); }),
    slider(capital(view.plane.slice(0, -1)), places, view.place[view.plane], (i) => `${i + 1} of ${places.length}`,
      (i) => { view.place[view.plane] = i; paintGallery(); }),
    ...planeControls(),
    ...epochControls(),
    galleryParts.contrast = make("span", { class: "contrast" }),
    check("ground truth", view.truth, (on) => { view.truth = on; paintGallery(); }),
    check("errors", view.errors, (on) => { view.errors = on; galleryLegend(); paintGallery(); }),
    check("large", view.large, (on) => { view.large = on; evenRows(); paintGallery(); }),
    make("span", { class: "group", role: "group", "aria-label": "Zoom" },
      button("−", () => zoomBy(1 / 1.5), { "aria-label": "zoom out" }), button("+", () => zoomBy(1.5), { "aria-label": "zoom in" }),
      button("object", toObject, { title: "zoom to what is outlined" }),
      button("whole", () => { wholeSlice(); moveBy(0, 0); }, { title: "the whole slice" })),
  );
  contrastControls();
  galleryLegend();
}

// From which value to which the image is shown; the pictures also hold what is brighter than their white.
function contrastControls() {
  if (view.under.startsWith("map:")) { galleryParts.contrast.replaceChildren(); return; }
  const most = Math.ceil(100 * Math.max(1, reachNow()));
  const whites = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 140, 160, 200, 300, 500, 1000].filter((each) => each < most);
  whites.push(most);
  if (!whites.includes(view.white)) view.white = 100;
  const set = (name) => (value) => { view[name] = value; paintGallery(); };
  const percent = (value) => `${value} %`;
  galleryParts.contrast.replaceChildren(
    slider("Black at", [0, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90], view.black, percent, set("black")),
    slider("White at", whites, view.white, percent, set("white")));
}

function chooseSeed(i) {
  view.seed = Number(i);
  galleryControls(); // its runs may have other epochs
  paintGallery();
}

function epochControls() {
  const epochs = epochsHere();
  if (epochs.length < 2) return [];
  const last = epochs[epochs.length - 1];
  const value = epochs.includes(view.epoch) ? view.epoch : last;
  const range = slider("Epoch", epochs, value, String, (epoch) => { setBest(false); view.epoch = epoch; paintGallery(); });
  const best = check("each run's best", view.epoch === "best", (on) => {
    view.epoch = on ? "best" : epochs[Number(range.querySelector("input").value)];
    range.classList.toggle("off", on);
    paintGallery();
  });
  const setBest = (on) => { best.querySelector("input").checked = on; range.classList.toggle("off", on); };
  setBest(view.epoch === "best");
  return [range, best, player(range.querySelector("input"))];
}

// Walks through the epochs, again and again, until it is pressed once more.
function player(range) {
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; press.textContent = "▶"; };
  const press = button("▶", () => {
    if (timer) { stop(); return; }
    press.textContent = "❚❚";
    timer = setInterval(() => {
      if (!press.isConnected) { stop(); return; }
      range.value = Number(range.value) < Number(range.max) ? Number(range.value) + 1 : 0;
      range.dispatchEvent(new Event("input"));
    }, 500);
  }, { "aria-label": "play the epochs", class: "play" });
  return press;
}

function galleryLegend() {
  const { classes, colours } = data.gallery;
  const swatch = (fill, name) => make("span", {}, make("span", { class: "key", style: `background:${fill}` }), name);
  const parts = colours.map((fill, k) => swatch(fill, classes[k + 1]));
  if (view.errors) parts.push(swatch("rgba(255,60,60,.7)", "predicted, but false"), swatch("rgba(60,160,255,.8)", "missed"));
  if (view.under.startsWith("map:")) {
    const of = { volume: "of the volume, as boundary(map=3d) reads it", slice: "of each slice alone, as boundary(map=2d) reads it" };
    parts.push(distanceLegend(shownCase().limits[view.under.slice(4)], of[data.gallery.mapsOf]));
  }
  galleryParts.legend.replaceChildren(...parts);
}

function zoomBy(factor, x = view.x, y = view.y) {
  const zoom = Math.max(1, Math.min(24, view.zoom * factor));
  const share = view.zoom / zoom;
  Object.assign(view, { x: x + (view.x - x) * share, y: y + (view.y - y) * share, zoom });
  moveBy(0, 0);
}

// In pixels of the slice; the slice never leaves the panel.
function moveBy(dx, dy) {
  const shown = shownCase();
  const clamp = (value, size) => Math.max(size / 2 / view.zoom, Math.min(size - size / 2 / view.zoom, value));
  view.x = clamp(view.x + dx, shown.width);
  view.y = clamp(view.y + dy, shown.height);
  galleryParts.host.classList.toggle("zoomed", view.zoom > 1);
  paintGallery();
}

function toObject() {
  const shown = shownCase();
  const maps = [mapOf("truth"), ...shownRuns().map((run) => mapOf(run))].filter((found) => found).map((found) => found.map);
  const box = bounds([maps[0]], shown.width) || bounds(maps, shown.width);
  if (!box) return;
  zoomTo(box, 0.4);
  moveBy(0, 0);
}

// A rectangle in the middle, over so much of the panel.
function zoomTo(box, share) {
  const shown = shownCase();
  const [width, height] = [box.right - box.left + 1, box.bottom - box.top + 1];
  Object.assign(view, { x: box.left + width / 2, y: box.top + height / 2 });
  view.zoom = Math.max(1, Math.min(16, (share * shown.width) / width, (share * shown.height) / height));
}

function pixelAt(canvas, event) {
  const shown = shownCase();
  const box = canvas.getBoundingClientRect();
  return {
    x: view.x + ((event.clientX - box.left) / box.width - 0.5) * (shown.width / view.zoom),
    y: view.y + ((event.clientY - box.top) / box.height - 0.5) * (shown.height / view.zoom),
  };
}

function zoomable(host) {
  const fingers = new Map();
  let pressed = [0, 0];
  const onCanvas = (event) => (event.target.tagName === "CANVAS" ? event.target : null);
  host.addEventListener("wheel", (event) => {
    const canvas = onCanvas(event);
    if (!canvas || !(event.ctrlKey || event.metaKey || view.zoom > 1)) return; // the page scrolls otherwise
    event.preventDefault();
    const at = pixelAt(canvas, event);
    zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, at.x, at.y);
  }, { passive: false });
  host.addEventListener("click", (event) => {
    const canvas = onCanvas(event);
    const moved = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4; // the picture, not the cross
    if (!canvas || !view.cross || moved) return;
    const at = pixelAt(canvas, event);
    crossAt(at.x, at.y);
    paintGallery();
  });
  host.addEventListener("dblclick", (event) => {
    const canvas = onCanvas(event);
    if (!canvas) return;
    const at = pixelAt(canvas, event);
    zoomBy(2, at.x, at.y);
  });
  host.addEventListener("pointerdown", (event) => {
    pressed = [event.clientX, event.clientY];
    if (onCanvas(event)) fingers.set(event.pointerId, event);
  });
  host.addEventListener("pointermove", (event) => {
    const canvas = onCanvas(event);
    if (canvas) readPixel(canvas, event);
    const before = fingers.get(event.pointerId);
    if (!before || !canvas) return;
    drag(canvas, before, event, fingers);
    fingers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    host.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  host.addEventListener("keydown", keyPressed);
}

function drag(canvas, before, event, fingers) {
  const a = pixelAt(canvas, before);
  const b = pixelAt(canvas, event);
  if (fingers.size === 2) {
    const other = [...fingers.values()].find((each) => each.pointerId !== event.pointerId);
    const apart = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY) || 1;
    const middle = pixelAt(canvas, { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 });
    zoomBy(apart(event) / apart(before), middle.x, middle.y);
  } else if (view.zoom > 1) moveBy(a.x - b.x, a.y - b.y);
}

function keyPressed(event) {
  const step = shownCase().width / view.zoom / 8;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (moves[event.key]) moveBy(...moves[event.key]);
  else if (event.key === "+" || event.key === "=") zoomBy(1.5);
  else if (event.key === "-") zoomBy(1 / 1.5);
  else if (event.key === "0") { wholeSlice(); moveBy(0, 0); }
  else return;
  event.preventDefault();
}

// What lies under the pointer: classes, and the distance where a map is shown.
function readPixel(canvas, event) {
  const shown = shownCase();
  const at = pixelAt(canvas, event);
  const [x, y] = [Math.floor(at.x), Math.floor(at.y)];
  if (x < 0 || y < 0 || x >= shown.width || y >= shown.height) return;
  const i = y * shown.width + x;
  const name = (found) => (found ? data.gallery.classes[found.map[i]] ?? "ignored" : "–");
  const place = view.plane === "slices" ? `column ${x}, row ${y}` : `${view.plane === "rows" ? "column" : "row"} ${x}, slice ${sliceAt(y) + 1}`;
  const parts = [place, `ground truth ${name(mapOf("truth"))}`,
    ...shownRuns().map((run) => `${data.runs[run].name} ${name(mapOf(run))}`)];
  if (view.under.startsWith("map:")) {
    const found = distancesNow();
    if (found) parts.push(`${number(found.mm[i], 1)} mm`);
  }
  galleryParts.readout.textContent = parts.join(" · ");
}
