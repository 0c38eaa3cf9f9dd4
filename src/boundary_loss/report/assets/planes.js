// A case cut along another direction than it was sliced. A plane is one of "slices", "rows" and "columns": a row's plane
// has the columns across and the slices down. All is made of the slices here; the file holds nothing for it.

const PLANES = ["slices", "rows", "columns"];
const cutLast = { key: "", canvas: null };

function wholeCase() {
  return data.gallery.cases[view.case];
}

// Files written before planes could be chosen do not say how far apart slices are.
function hasPlanes() {
  return Boolean(wholeCase().between) && wholeCase().slices.length > 1;
}

// The case as its plane shows it: the size, how much higher than wide a pixel is, and what is not black.
function cutCase(whole, plane) {
  if (plane === "slices") return whole;
  const [left, top, right, bottom] = whole.content;
  const rows = plane === "rows";
  const [first, last] = rows ? [left, right] : [top, bottom];
  return { ...whole, width: rows ? whole.width : whole.height, height: whole.slices.length,
    aspect: rows ? whole.between : whole.between / whole.aspect, content: [first, 0, last, whole.slices.length - 1] };
}

function countOf(plane) {
  const whole = wholeCase();
  return { slices: whole.slices.length, rows: whole.height, columns: whole.width }[plane];
}

function nameOf(plane) {
  const names = wholeCase().planes || [];
  return names[PLANES.indexOf(plane)] || { slices: "as sliced", rows: "along the rows", columns: "along the columns" }[plane];
}

// The slice that is shown as line `i` of a cut, or the line of a slice.
function sliceAt(i) {
  const whole = wholeCase();
  return whole.lastOnTop ? whole.slices.length - 1 - i : i;
}

// A class map (width, slices) of the runs of each slice.
function cutMap(plane, at, runsOf) {
  const { width, height, slices } = wholeCase();
  const across = plane === "rows" ? width : height;
  const map = new Uint8Array(across * slices.length);
  for (let i = 0; i < slices.length; i += 1) {
    const flat = readRuns(runsOf(slices[sliceAt(i)]), width * height);
    for (let j = 0; j < across; j += 1) map[i * across + j] = plane === "rows" ? flat[at * width + j] : flat[j * width + at];
  }
  return map;
}

// The picture that the plane has of an image or a map, {key, image}; null while one is loading, after which `ready` is called.
function planePicture(name, addressOf, ready) {
  const { plane } = view;
  const { width, height, slices } = wholeCase();
  const at = view.place[plane];
  if (plane === "slices") {
    const image = picture(addressOf(slices[at]), ready);
    return image && { key: addressOf(slices[at]), image };
  }
  const key = `${view.case}/${plane}/${at}/${name}`;
  if (cutLast.key === key) return { key, image: cutLast.canvas };
  const missing = slices.filter((slice) => !picture(addressOf(slice), () => {})); // all of them begin to load
  if (missing.length) {
    picture(addressOf(missing[0]), ready);
    return null;
  }
  const canvas = make("canvas", { width: plane === "rows" ? width : height, height: slices.length });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  slices.forEach((_, i) => {
    const image = picture(addressOf(slices[sliceAt(i)]), ready);
    if (plane === "rows") context.drawImage(image, 0, at, width, 1, 0, i, width, 1);
    else {
      context.setTransform(0, 1, 1, 0, 0, 0); // a column lies down as a line
      context.drawImage(image, at, 0, 1, height, i, 0, 1, height);
    }
  });
  Object.assign(cutLast, { key, canvas });
  return { key, image: canvas };
}

// Where the other two planes cross this one, in its pixels.
function crossing() {
  const { slices, rows, columns } = view.place;
  if (view.plane === "slices") return { x: columns, y: rows };
  return { x: view.plane === "rows" ? columns : rows, y: sliceAt(slices) };
}

// Let the other two planes cross this one at a pixel.
function crossAt(x, y) {
  const { width, height } = shownCase();
  const [across, down] = [Math.max(0, Math.min(width - 1, Math.floor(x))), Math.max(0, Math.min(height - 1, Math.floor(y)))];
  if (view.plane === "slices") Object.assign(view.place, { columns: across, rows: down });
  else Object.assign(view.place, { [view.plane === "rows" ? "columns" : "rows"]: across, slices: sliceAt(down) });
}

function crossLayers() {
  if (!view.cross || !hasPlanes()) return [];
  const { width, height } = shownCase();
  const { x, y } = crossing();
  const path = new Path2D(`M${x + 0.5} 0V${height}M0 ${y + 0.5}H${width}`);
  return [{ path, width: 1, colour: "rgba(255, 230, 90, .8)" }];
}

// Row and column through the middle of what is outlined on the slice shown, or through its middle.
function centrePlace() {
  const { width, height } = wholeCase();
  const box = bounds([mapOf("truth", view.place.slices, "slices").map], width) || { left: 0, right: width, top: 0, bottom: height };
  Object.assign(view.place, { columns: Math.floor((box.left + box.right) / 2), rows: Math.floor((box.top + box.bottom) / 2) });
}

function choosePlane(plane) {
  view.plane = plane;
  readMaps = new Map();
  fitContent();
  galleryControls();
  moveBy(0, 0);
}

function planeControls() {
  if (!hasPlanes()) return [];
  return [choice("Plane", PLANES.map((plane) => [plane, nameOf(plane)]), view.plane, choosePlane),
    check("cross", view.cross, (on) => { view.cross = on; paintGallery(); })];
}

// "CASE_00_0012", or "CASE, row 7"
function placeName() {
  const at = view.place[view.plane];
  return view.plane === "slices" ? wholeCase().slices[at].name : `${wholeCase().name}, ${view.plane.slice(0, -1)} ${at}`;
}
