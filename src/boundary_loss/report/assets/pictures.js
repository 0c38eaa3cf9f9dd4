// Images and distance maps, decoded once each.

const loadedPictures = new Map();

// The picture at once if it is there; otherwise null, and `ready` is called when it is.
function picture(address, ready) {
  const found = loadedPictures.get(address);
  if (found) return found.complete && found.naturalWidth ? found : (found.addEventListener("load", ready, { once: true }), null);
  const image = new Image();
  loadedPictures.set(address, image);
  image.addEventListener("load", ready, { once: true });
  image.src = address;
  return image.complete && image.naturalWidth ? image : null;
}

const gradedLast = { key: "", canvas: null };

// A picture from `black` to `white`, in percent of the window that it was written with: contrast.py.
function graded(name, image, reach, black, white) {
  if (black === 0 && white === 100 && reach <= 1) return image;
  const key = `${black} ${white} ${reach} ${name}`;
  if (gradedLast.key === key) return gradedLast.canvas;
  const knee = data.gallery.knee || 255;
  const levels = Uint8ClampedArray.from({ length: 256 }, (_, level) => {
    const value = level <= knee ? level / knee : 1 + ((level - knee) / (255 - knee)) * (reach - 1);
    return (255 * (100 * value - black)) / Math.max(1, white - black);
  });
  Object.assign(gradedLast, { key, canvas: repainted(image, (level, pixel) => pixel.fill(levels[level], 0, 3)) });
  return gradedLast.canvas;
}

// A canvas of a grey picture, where `paint(level, pixel, place)` sets each pixel's red, green, blue and opacity.
function repainted(image, paint) {
  const canvas = make("canvas", { width: image.naturalWidth || image.width, height: image.naturalHeight || image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) paint(pixels.data[i], pixels.data.subarray(i, i + 4), i / 4);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

const paintedMaps = new Map();

// A signed distance map as {canvas, mm}: millimetres as pixels.py wrote them, 128 + 127 sign(d) √(|d| / limit).
function distanceMap(name, image, limit) {
  if (paintedMaps.has(name)) return paintedMaps.get(name);
  const mm = new Float32Array((image.naturalWidth || image.width) * (image.naturalHeight || image.height));
  const canvas = repainted(image, (level, pixel, place) => {
    const share = (level - 128) / 127;
    mm[place] = Math.sign(share) * share * share * limit;
    pixel.set(distanceColour(share));
  });
  paintedMaps.set(name, { canvas, mm });
  return paintedMaps.get(name);
}

// Blue inside, orange outside, pale at the border. `share`: -1 ... 1.
function distanceColour(share) {
  const end = share < 0 ? [23, 78, 166] : [173, 80, 0];
  const start = share < 0 ? [222, 235, 250] : [253, 238, 216];
  const along = Math.min(1, Math.abs(share));
  return [0, 1, 2].map((i) => Math.round(start[i] + along * (end[i] - start[i])));
}

function distanceLegend(limit, of) {
  const canvas = make("canvas", { width: 255, height: 10, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  for (let i = 0; i < 255; i += 1) {
    context.fillStyle = `rgb(${distanceColour((i - 127) / 127)})`;
    context.fillRect(i, 0, 1, 10);
  }
  const mm = (share) => `${number(Math.sign(share) * share * share * limit, limit > 20 ? 0 : 1)}`;
  return make("div", { class: "scale" }, canvas, make("div", {}, ...[-1, -0.5, 0, 0.5, 1].map((share) => make("span", {}, mm(share)))),
    make("small", {}, `mm, negative inside, zero at the border; ${of}; the scale is a square root`));
}
