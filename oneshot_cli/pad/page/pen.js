// The pad: strokes drawn with a pointer or with the keyboard. Points are [x, y] in [0, 1].

const LEAST_STEP = 0.004; // nearer points are left out
const STEP = 0.04; // of the keyboard's pen
const SMALL_STEP = 0.01;
const ARROWS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

const within = (value) => Math.min(1, Math.max(0, value));
const rounded = (value) => Math.round(value * 1e4) / 1e4;

/** Draw strokes on a canvas's context, `side` pixels wide, in its colour of text. */
export function drawStrokes(context, strokes, width, side) {
  context.strokeStyle = context.fillStyle = getComputedStyle(context.canvas).color;
  context.lineWidth = width * side;
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    context.beginPath();
    if (points.length === 1) {
      context.arc(points[0][0] * side, points[0][1] * side, (width * side) / 2, 0, 2 * Math.PI);
      context.fill();
      continue;
    }
    points.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x * side, y * side));
    context.stroke();
  }
}

/** A canvas's context, its pixels those of the screen; and its side in them. */
export function sharp(canvas) {
  const side = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, side, side);
  return [context, side];
}

export class Pen {
  /** `changed` is called when a stroke has ended, or strokes are gone; `say` with what to announce. */
  constructor(canvas, limits, changed, say) {
    Object.assign(this, { canvas, limits, changed, say });
    this.strokes = [];
    this.width = 0.045;
    this.current = null; // the stroke that is being drawn
    this.pointer = null; // the id of the pointer that draws it
    this.at = [0.5, 0.5]; // the keyboard's pen
    const on = (name, handler) => canvas.addEventListener(name, handler.bind(this));
    on("pointerdown", this.pointerDown);
    on("pointermove", this.pointerMove);
    on("pointerup", this.pointerUp);
    on("pointercancel", this.pointerUp);
    on("keydown", this.keyDown);
    on("focus", this.draw);
    on("blur", () => { if (this.pointer === null) this.end(); this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get points() {
    return this.strokes.reduce((count, stroke) => count + stroke.length, 0);
  }

  /** The strokes that have ended. */
  get drawn() {
    return this.current ? this.strokes.slice(0, -1) : this.strokes;
  }

  get letter() {
    return { width: this.width, strokes: this.drawn.map((stroke) => stroke.slice()) };
  }

  begin(point) {
    if (this.strokes.length >= this.limits.mostStrokes || this.points >= this.limits.mostPoints) {
      this.say("That is as much as one letter takes. Undo or clear to go on.");
      return;
    }
    this.current = [point];
    this.strokes.push(this.current);
    this.draw();
  }

  extend([x, y]) {
    const [lastX, lastY] = this.current[this.current.length - 1];
    if (Math.hypot(x - lastX, y - lastY) < LEAST_STEP) return;
    if (this.points < this.limits.mostPoints) this.current.push([x, y]);
  }

  end() {
    if (!this.current) return;
    this.current = null;
    this.pointer = null;
    this.draw();
    this.changed();
  }

  undo() {
    this.current = this.pointer = null;
    this.strokes.pop();
    this.draw();
    this.changed();
  }

  clear() {
    this.current = this.pointer = null;
    this.strokes = [];
    this.draw();
    this.changed();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      rounded(within((event.clientX - box.left) / box.width)),
      rounded(within((event.clientY - box.top) / box.height)),
    ];
  }

  pointerDown(event) {
    if (event.button !== 0 || this.pointer !== null) return;
    this.end(); // a stroke of the keyboard's
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(this.place(event));
    this.pointer = this.current ? event.pointerId : null;
  }

  pointerMove(event) {
    if (event.pointerId !== this.pointer || !this.current) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event]) this.extend(this.place(each));
    this.draw();
  }

  pointerUp(event) {
    if (event.pointerId === this.pointer) this.end();
  }

  keyDown(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      this.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || this.pointer !== null) return;
    if (event.key === " ") {
      event.preventDefault();
      if (event.repeat) return;
      if (this.current) {
        this.say("Pen up");
        this.end();
      } else {
        this.say("Pen down");
        this.begin(this.at.slice());
      }
    } else if (event.key === "Escape" && this.current) {
      this.end();
    } else if (event.key in ARROWS) {
      event.preventDefault();
      const step = event.shiftKey ? SMALL_STEP : STEP;
      this.at = this.at.map((value, axis) => rounded(within(value + step * ARROWS[event.key][axis])));
      if (this.current) this.extend(this.at.slice());
      this.draw();
    }
  }

  draw() {
    const [context, side] = sharp(this.canvas);
    drawStrokes(context, this.strokes, this.width, side);
    if (this.pointer === null && this.canvas.matches(":focus-visible")) {
      this.drawKeyboardPen(context, side);
    }
  }

  drawKeyboardPen(context, side) {
    const [x, y] = this.at.map((value) => value * side);
    const radius = (this.width * side) / 2 + side / 60;
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    context.lineWidth = side / 150;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    for (const [dx, dy] of Object.values(ARROWS)) {
      context.moveTo(x + dx * radius, y + dy * radius);
      context.lineTo(x + dx * radius * 1.7, y + dy * radius * 1.7);
    }
    context.stroke();
  }
}
