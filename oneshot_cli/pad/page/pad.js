// The page: what is asked of the server, and what the person is shown and told.

import { Pen, drawStrokes, sharp } from "./pen.js";
import * as server from "./server.js";
import { Tiles } from "./tiles.js";

const find = (id) => document.getElementById(id);
const radios = (name) => [...document.querySelectorAll(`input[name="${name}"]`)];

const settings = await server.settings();
const state = {
  mode: "variations",
  seed: settings.seed,
  closeness: settings.closeness,
  spread: { variations: settings.spread, alphabet: settings.alphabetSpread },
  letters: [], // those that were kept, for an alphabet
  selected: null, // the number of a drawing
  shown: null, // the request whose drawings are shown
};

const pen = new Pen(find("pad"), settings, changed, (text) => {
  find("pen-status").textContent = text;
});
const tiles = new Tiles(find("tiles"), settings.drawings, pick, report);

const alphabet = () => state.mode === "alphabet";
const word = () => (alphabet() ? "Letter" : "Variation");

function tell(text, problem = false) {
  find("status").textContent = text;
  find("status").classList.toggle("problem", problem);
}

function report(error) {
  if (!(error instanceof server.Problem)) console.error(error);
  tell(error instanceof server.Problem ? error.message : "The page failed; load it again.", true);
}

/** What the page asks for now; null if nothing is drawn. */
function wanted() {
  const letters = alphabet() ? state.letters : pen.drawn.length ? [pen.letter] : [];
  if (!letters.length) return null;
  const { mode, seed, closeness } = state;
  return { mode, letters, seed, spread: state.spread[mode], ...(alphabet() ? {} : { closeness }) };
}

// One request at a time. What is newest when it returns is asked for next.
let asking = false;
let stale = false;
async function refresh() {
  stale = true;
  if (asking) return;
  asking = true;
  while (stale) {
    stale = false;
    const request = wanted();
    if (!request) {
      forget();
      continue;
    }
    tiles.busy(true);
    try {
      const answer = await server.pictures(request);
      if (wanted() && request.mode === state.mode) show(request, answer);
    } catch (error) {
      forget();
      report(error);
    }
    tiles.busy(false);
  }
  asking = false;
}

function show(request, answer) {
  state.shown = request;
  let films = null;
  const film = () => (films ??= server.films(request).catch((error) => { films = null; throw error; }));
  tiles.show(word(), answer.pictures, film);
  find("concern").textContent = answer.concerns.length ? `This drawing ${answer.concerns[0]}.` : "";
  find("concern").hidden = !answer.concerns.length;
  const what = alphabet()
    ? `Ten new letters in the style of ${state.letters.length === 1 ? "one" : state.letters.length}`
    : "Ten variations of your drawing";
  tell(`${what}, seed ${request.seed}.`);
  select(state.selected);
}

/** Nothing is drawn: no drawings to show, and an invitation. */
function forget() {
  state.shown = null;
  tiles.empty();
  find("concern").hidden = true;
  select(null);
  tell(alphabet()
    ? "Draw a letter and keep it; two or three show a style best."
    : "Draw a character on the pad, and ten variations appear here.");
}

function select(number) {
  state.selected = number;
  tiles.press(number);
  const which = number === null ? "all ten" : `${word().toLowerCase()} ${number + 1}`;
  find("taken").textContent = `Save ${which}`;
  for (const button of [...document.querySelectorAll(".take"), find("play")]) {
    button.disabled = !state.shown;
  }
}

function pick(number) {
  select(state.selected === number ? null : number);
}

/** The pen's strokes have changed. */
function changed() {
  offerTools();
  if (!alphabet()) refresh();
}

/** Enable the buttons that have something to do. */
function offerTools() {
  const some = pen.drawn.length > 0;
  find("undo").disabled = find("clear").disabled = !pen.strokes.length;
  find("keep").disabled = !some || state.letters.length >= settings.mostLetters;
  find("invitation").hidden = pen.strokes.length > 0;
}

function keep() {
  state.letters.push(pen.letter);
  pen.clear();
  find("pad").focus({ preventScroll: true });
  listLetters();
  refresh();
}

function drop(number) {
  state.letters.splice(number, 1);
  listLetters();
  (find("letters").querySelector("button") ?? find("pad")).focus();
  offerTools();
  refresh();
}

function listLetters() {
  find("kept").hidden = !alphabet() || !state.letters.length;
  find("letters").replaceChildren(...state.letters.map((letter, number) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Remove letter ${number + 1}`);
    button.title = "Remove";
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => drop(number));
    item.append(button);
    return item;
  }));
  find("letters").querySelectorAll("canvas").forEach((canvas, number) => {
    const [context, side] = sharp(canvas);
    drawStrokes(context, state.letters[number].strokes, state.letters[number].width, side);
  });
}

function setMode(mode) {
  state.mode = mode;
  state.shown = null;
  find("keep").hidden = !alphabet();
  find("closeness-control").hidden = alphabet();
  find("title").textContent = alphabet() ? "New letters" : "Variations";
  find("lead").textContent = alphabet()
    ? "Draw a few letters. See more of their alphabet."
    : "Draw one character. See ten more.";
  tiles.empty();
  select(null);
  listLetters();
  showNumbers();
  offerTools();
  refresh();
}

function showNumbers() {
  find("closeness").value = state.closeness;
  find("spread").value = state.spread[state.mode];
  find("closeness-value").textContent = state.closeness.toFixed(2);
  find("spread-value").textContent = state.spread[state.mode].toFixed(2);
  find("seed").value = state.seed;
}

function numbersChanged() {
  showNumbers();
  refresh();
}

find("undo").addEventListener("click", () => pen.undo());
find("clear").addEventListener("click", () => pen.clear());
find("keep").addEventListener("click", keep);
find("play").addEventListener("click", () => tiles.playAll().catch(report));
find("closeness").addEventListener("input", (event) => {
  state.closeness = Number(event.target.value);
  numbersChanged();
});
find("spread").addEventListener("input", (event) => {
  state.spread[state.mode] = Number(event.target.value);
  numbersChanged();
});
find("seed").addEventListener("change", (event) => {
  if (event.target.checkValidity() && event.target.value) state.seed = Number(event.target.value);
  numbersChanged();
});
find("another").addEventListener("click", () => {
  state.seed = (state.seed + 1) % 1e12;
  numbersChanged();
});
find("defaults").addEventListener("click", () => {
  state.seed = settings.seed;
  state.closeness = settings.closeness;
  state.spread = { variations: settings.spread, alphabet: settings.alphabetSpread };
  numbersChanged();
});
for (const radio of radios("mode")) {
  radio.addEventListener("change", () => setMode(radio.value));
}
pen.width = Number(radios("brush").find((radio) => radio.checked).value);
for (const radio of radios("brush")) {
  radio.addEventListener("change", () => {
    pen.width = Number(radio.value);
    pen.draw();
    if (pen.drawn.length) changed();
  });
}
for (const button of document.querySelectorAll(".take")) {
  button.addEventListener("click", async () => {
    const number = state.selected;
    tell("Making the file.");
    try {
      const name = await server.save({ ...state.shown, format: button.dataset.format, number });
      tell(`Saved ${name}.`);
    } catch (error) {
      report(error);
    }
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listLetters);

setMode(radios("mode").find((radio) => radio.checked).value);
document.documentElement.dataset.ready = "true";
