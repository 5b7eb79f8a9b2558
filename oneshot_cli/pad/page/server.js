// Requests to the pad's own server.

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** A problem that the person is told of; `message` is the server's. */
export class Problem extends Error {}

/** POST `body` as JSON; asks again while the server is busy. */
async function send(path, body) {
  for (;;) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
    } catch {
      throw new Problem("The pad's server does not answer. Is oneshot pad still running?");
    }
    if (response.ok) return response;
    if (response.status === 429) {
      await pause(1000 * Number(response.headers.get("Retry-After") || 1));
      continue;
    }
    const answer = await response.json().catch(() => ({}));
    const text = answer.message || `the server failed (${response.status})`;
    throw new Problem(text[0].toUpperCase() + text.slice(1) + ".");
  }
}

export const settings = async () => (await fetch("/api/settings")).json();
export const pictures = async (body) => (await send("/api/pictures", body)).json();
export const films = async (body) => (await send("/api/films", body)).json();

/** Save a file of what `body` asks for, by the name that the server gives it. */
export async function save(body) {
  const response = await send("/api/file", body);
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return name;
}
