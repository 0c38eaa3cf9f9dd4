// One picture of the gallery: an image and outlines on a canvas, at the zoom that all panels share.

const TRUTH = "#ffffff";
const EDGE = "#101010";

function panelSize(canvas, shown) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round((canvas.clientWidth * ratio * shown.height * shown.aspect) / shown.width);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.style.aspectRatio = `${shown.width} / ${shown.height * shown.aspect}`;
}

// From pixels of the slice to those of the canvas.
function panelMatrix(canvas, shown, view) {
  const sx = (canvas.width / shown.width) * view.zoom;
  const sy = (canvas.height / shown.height) * view.zoom;
  return new DOMMatrix([sx, 0, 0, sy, canvas.width / 2 - view.x * sx, canvas.height / 2 - view.y * sy]);
}

// layers: [{path, colour, width, fill}] in pixels of the slice, the width in those of the screen.
function paintPanel(canvas, shown, view, background, layers) {
  panelSize(canvas, shown);
  if (!canvas.width) return;
  const context = canvas.getContext("2d");
  const matrix = panelMatrix(canvas, shown, view);
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (background) {
    context.imageSmoothingEnabled = matrix.a < 1;
    context.setTransform(matrix);
    context.drawImage(background, 0, 0, shown.width, shown.height);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }
  context.lineCap = "square";
  for (const layer of layers) {
    const path = new Path2D();
    path.addPath(layer.path, matrix);
    if (layer.fill) {
      context.fillStyle = layer.fill;
      context.fill(path);
    } else {
      context.strokeStyle = layer.colour;
      context.lineWidth = layer.width * ratio;
      context.stroke(path);
    }
  }
}

// Pixels where `test` holds, as squares to be filled.
function squares(width, height, test) {
  const path = new Path2D();
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (!test(y * width + x)) continue;
      const start = x;
      while (x + 1 < width && test(y * width + x + 1)) x += 1;
      path.rect(start, y, x + 1 - start, 1);
    }
  }
  return path;
}
