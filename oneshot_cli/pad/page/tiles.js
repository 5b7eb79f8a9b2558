// The drawings: a button for each, which shows its picture and plays its film.

import { sharp } from "./pen.js";

const RATE = 12; // steps a second
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The picture in a URL, ready to be drawn. */
async function decoded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

class Tile {
  constructor(number, picked) {
    this.number = number;
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "tile";
    this.image = new Image();
    this.image.alt = "";
    this.canvas = document.createElement("canvas");
    this.canvas.hidden = true;
    this.button.append(this.image, this.canvas);
    this.button.addEventListener("click", () => picked(number));
    this.film = null; // a function that fetches it
    this.turn = 0; // counts what was begun, so that what is old ends
    this.empty();
  }

  empty() {
    this.stop();
    this.film = null;
    this.image.hidden = true;
    this.button.disabled = true;
    this.button.setAttribute("aria-label", `Place for drawing ${this.number + 1}`);
    this.press(false);
  }

  show(name, picture, film) {
    this.stop();
    this.film = film;
    this.image.src = picture;
    this.image.hidden = false;
    this.button.disabled = false;
    this.button.setAttribute("aria-label", `${name} ${this.number + 1}`);
  }

  press(on) {
    this.button.setAttribute("aria-pressed", String(on));
  }

  stop() {
    this.turn += 1;
    this.canvas.hidden = true;
    this.image.style.opacity = "";
    delete this.button.dataset.playing;
  }

  /** Play the film once. Resolves at its end, or when something else begins. */
  async play() {
    if (!this.film) return;
    this.stop();
    const turn = this.turn;
    const film = (await this.film()).films[this.number];
    const frames = await decoded(film.frames);
    if (turn !== this.turn) return;
    this.canvas.hidden = false;
    this.image.style.opacity = "0";
    this.button.dataset.playing = "true";
    const begun = await new Promise(requestAnimationFrame);
    for (let now = begun; turn === this.turn; now = await new Promise(requestAnimationFrame)) {
      const step = Math.floor(((now - begun) * RATE) / 1000);
      if (step >= film.windows.length) break;
      this.frame(frames, step, film.windows);
    }
    if (turn !== this.turn) return;
    this.stop();
  }

  frame(frames, step, windows) {
    const [context, side] = sharp(this.canvas);
    const source = frames.naturalHeight;
    const style = getComputedStyle(this.button);
    context.drawImage(frames, step * source, 0, source, source, 0, 0, side, side);
    context.globalCompositeOperation = "source-in"; // the picture's black becomes the ink's colour
    context.fillStyle = style.color;
    context.fillRect(0, 0, side, side);
    context.globalCompositeOperation = "source-over";
    if (step === windows.length - 1) return;
    const [[a, b, x], [c, d, y]] = windows[step];
    context.strokeStyle = style.getPropertyValue("--accent");
    context.lineWidth = Math.max(1, side / 70);
    context.beginPath();
    for (const [u, v] of [[-1, -1], [1, -1], [1, 1], [-1, 1]]) {
      context.lineTo(((a * u + b * v + x + 1) * side) / 2, ((c * u + d * v + y + 1) * side) / 2);
    }
    context.closePath();
    context.stroke();
  }
}

export class Tiles {
  /** `picked` is called with the number of the tile that was pressed. */
  constructor(place, count, picked, failed) {
    this.place = place;
    this.tiles = Array.from({ length: count }, (_, number) => new Tile(number, picked));
    for (const tile of this.tiles) {
      const play = () => tile.play().catch(failed);
      tile.button.addEventListener("pointerenter", (event) => {
        if (event.pointerType === "mouse" && !still.matches) play();
      });
      tile.button.addEventListener("focus", () => {
        if (tile.button.matches(":focus-visible") && !still.matches) play();
      });
      tile.button.addEventListener("click", play);
      place.append(tile.button);
    }
  }

  busy(on) {
    this.place.setAttribute("aria-busy", String(on));
  }

  show(name, pictures, film) {
    this.tiles.forEach((tile, number) => tile.show(name, pictures[number], film));
  }

  empty() {
    for (const tile of this.tiles) tile.empty();
  }

  press(selected) {
    for (const tile of this.tiles) tile.press(tile.number === selected);
  }

  playAll() {
    return Promise.all(this.tiles.map((tile) => tile.play()));
  }
}
