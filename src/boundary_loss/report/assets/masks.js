// Class maps: read back from their runs of pixels (pixels.py), counted, and outlined along the edges of their pixels.

function readRuns(text, size) {
  const bytes = atob(text);
  const map = new Uint8Array(size);
  let at = 0;
  let place = 0;
  const next = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.charCodeAt(at);
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    place += next();
    const length = next();
    map.fill(next(), place, place + length);
    place += length;
  }
  return map;
}

// The outline of a class as a path in pixel corners.
function outline(map, width, height, label) {
  const path = new Path2D();
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && map[y * width + x] === label;
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0; x <= width; x += 1) {
      const here = inside(x, y);
      if (here !== inside(x, y - 1)) { path.moveTo(x, y); path.lineTo(x + 1, y); }
      if (here !== inside(x - 1, y)) { path.moveTo(x, y); path.lineTo(x, y + 1); }
    }
  }
  return path;
}

// Foreground pixels predicted, true, false and missed; ignored pixels count nowhere.
function compareMaps(truth, predicted, numClasses) {
  const counts = { truth: 0, predicted: 0, false: 0, missed: 0 };
  for (let i = 0; i < truth.length; i += 1) {
    const [t, p] = [truth[i], predicted[i]];
    if (t >= numClasses) continue;
    if (t) counts.truth += 1;
    if (p) counts.predicted += 1;
    if (p && p !== t) counts.false += 1;
    if (t && p !== t) counts.missed += 1;
  }
  return counts;
}

// The rectangle around two of them; either may be missing.
function join(a, b) {
  if (!a || !b) return a || b;
  return { left: Math.min(a.left, b.left), right: Math.max(a.right, b.right), top: Math.min(a.top, b.top), bottom: Math.max(a.bottom, b.bottom) };
}

// The rectangle around everything that is not background, over several maps; null if all are empty.
function bounds(maps, width) {
  let box = null;
  for (const map of maps) {
    for (let i = map.findIndex((value) => value); i >= 0 && i < map.length; i += 1) {
      if (!map[i]) continue;
      const [x, y] = [i % width, Math.floor(i / width)];
      box = box || { left: x, right: x, top: y, bottom: y };
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y);
    }
  }
  return box;
}
