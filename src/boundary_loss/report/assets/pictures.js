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

const paintedMaps = new Map();

// A signed distance map as {canvas, mm}: millimetres as pixels.py wrote them, 128 + 127 sign(d) √(|d| / limit).
function distanceMap(address, limit, ready) {
  if (paintedMaps.has(address)) return paintedMaps.get(address);
  const image = picture(address, ready);
  if (!image) return null;
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const mm = new Float32Array(canvas.width * canvas.height);
  for (let i = 0; i < mm.length; i += 1) {
    const share = (pixels.data[4 * i] - 128) / 127;
    mm[i] = Math.sign(share) * share * share * limit;
    pixels.data.set(distanceColour(share), 4 * i);
  }
  context.putImageData(pixels, 0, 0);
  paintedMaps.set(address, { canvas, mm });
  return paintedMaps.get(address);
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
