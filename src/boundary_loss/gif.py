"""Animate one slice over the epochs as a GIF: outlines of the prediction and of the ground truth.

python -m boundary_loss.gif results/isles/gdl/case_14_00_0003.gif --data data/ISLES
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from boundary_loss import command
from boundary_loss.console import printable
from boundary_loss.figures.drawing import broken
from boundary_loss.figures.overlays import (
    EDGE_COLOUR,
    TRUTH_COLOUR,
    Look,
    Row,
    check_runs,
    class_colour,
    edges,
    read_row,
)
from boundary_loss.figures.selection import check_slices, pick_modality
from boundary_loss.files import write_file
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.statistics.comparison import warnings_of

WIDTH = 512
"""Approximate size of the picture in pixels; each pixel of the slice becomes a square of whole pixels."""
LINE = 26  # height of a line of text
FONT = ImageFont.load_default(17)
LAST_FRAME_MS = 1500


def frame(row: Row, lines: list[str], classes: Sequence[str]) -> Image.Image:
    """Draw one epoch: lines of text, and below them the image with the outlines of ground truth and prediction.

    Args:
        classes: their names, background first; if there are several foreground classes, the names are listed in colour.
    """
    height, width = row.picture.shape
    sx = max(1, round(WIDTH / width))
    sy = max(1, round(sx * row.aspect))
    across = max(width * sx, WIDTH)
    lines = [part for text in lines for part in broken(text, lambda part: FONT.getlength(part) < across - 16)]
    legend = _places(classes, across) if len(classes) > 2 else []
    top = LINE * (len(lines) + (legend[-1][1] + 1 if legend else 0)) + 6
    canvas = Image.new("RGB", (across, height * sy + top))
    left = (canvas.width - width * sx) // 2
    grey = Image.fromarray(np.asarray(row.picture, np.uint8))
    canvas.paste(grey.resize((width * sx, height * sy), Image.Resampling.NEAREST), (left, top))
    draw = ImageDraw.Draw(canvas)
    foreground = range(1, len(classes))
    layers = [
        *((row.truth == k, EDGE_COLOUR, 3) for k in foreground),
        *((row.predictions[0] == k, class_colour(k), 3) for k in foreground),
        *((row.truth == k, TRUTH_COLOUR, 1) for k in foreground),
    ]
    for mask, colour, thick in layers:
        for (x0, y0), (x1, y1) in (edges(mask) + 0.5) * (sx, sy) + (left, top):
            draw.line((x0, y0, x1, y1), fill=colour, width=thick)
    for i, text in enumerate(lines):
        draw.text((8, 4 + LINE * i), text, fill="white", font=FONT)
    for k, (x, down) in enumerate(legend, start=1):
        draw.text((x, 4 + LINE * (len(lines) + down)), printable(classes[k]), fill=class_colour(k), font=FONT)
    return canvas


def _places(classes: Sequence[str], across: int) -> list[tuple[int, int]]:
    """Return left pixel and line of each foreground class's name; as many on a line as fit."""
    found, x, down = [], 8, 0
    for name in classes[1:]:
        width = int(FONT.getlength(printable(name))) + 20
        if x > 8 and x + width > across:
            x, down = 8, down + 1
        found.append((x, down))
        x += width
    return found


def frames(run: RunFolder, data: PreparedFolder, stem: str, look: Look) -> list[Image.Image]:
    """Return a frame for each epoch whose predictions are on disk."""
    epochs = run.epochs
    if not epochs:
        raise FileNotFoundError(f"{run.path} has no predictions over the epochs (iter000/val, iter001/val, ...)")
    try:
        best = run.best_epoch
    except FileNotFoundError:
        best = -1
    banners = [text.split(":")[0] for text in warnings_of([run])]
    found = []
    for epoch in epochs:
        mark = ", the best" if epoch == best else ""
        lines = [f"{run.name}, {stem}", f"epoch {epoch} / {epochs[-1]}{mark}", *banners]
        found.append(frame(read_row(data, [run], stem, epoch, look), lines, data.classes))
    return found


def encode(path: Path, pictures: list[Image.Image], ms: int) -> None:
    """Write the GIF with one palette, so that it does not flicker; it repeats, and holds the last frame longer."""
    sheet = Image.new("RGB", (pictures[0].width, pictures[0].height * 2))
    sheet.paste(pictures[0], (0, 0))
    sheet.paste(pictures[-1], (0, pictures[0].height))
    palette = sheet.quantize(256)
    shown = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [ms] * (len(shown) - 1) + [max(ms, LAST_FRAME_MS)]
    shown[0].save(path, format="GIF", save_all=True, append_images=shown[1:], duration=durations, loop=0)


def arguments() -> argparse.Namespace:
    parser = command.parser("Animate one validation slice over the epochs of a run.")
    parser.add_argument("gif", type=Path, help="RUN/SLICE.gif, as results/isles/gdl/case_14_00_0003.gif")
    parser.add_argument("--data", type=Path, required=True, help="sliced data, as data/ISLES")
    parser.add_argument("--modality", help="image below the contours; default: the last one")
    parser.add_argument("--ms", type=int, default=150, help="milliseconds an epoch")
    parser.add_argument("--crop", type=int, default=0, help="pixels to cut off on each side")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.gif.suffix != ".gif":
        raise ValueError(f"{args.gif} should be RUN/SLICE.gif, as results/isles/gdl/case_14_00_0003.gif")
    if args.ms < 20:
        raise ValueError(f"--ms {args.ms}: viewers show a frame for 20 ms at least")
    run, data = RunFolder.find(args.gif.parent), PreparedFolder.open(args.data)
    check_runs(data, [run])
    check_slices([args.gif.stem], sorted(run.slices))
    look = Look(modality=pick_modality(data, args.modality), crop=args.crop)
    pictures = frames(run, data, args.gif.stem, look)
    write_file(run.path / args.gif.name, lambda grown: encode(grown, pictures, args.ms))
    print(f"{run.path / args.gif.name}: {len(pictures)} epochs")


if __name__ == "__main__":
    command.run(main)
