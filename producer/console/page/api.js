// What the page asks the console's server. Every failure is a Problem with a line for people.

export class Problem extends Error {
  constructor({ detail, title, status = 0, refused = false }) {
    super(detail || title || "no answer");
    this.status = status;
    this.refused = refused;
  }
}

const GONE = { detail: "The console does not answer. Is the command still running?", status: 0 };

async function answered(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(GONE);
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let found;
  try { found = JSON.parse(text); } catch { found = { detail: text.trim(), status: answer.status }; }
  throw new Problem(found);
}

export async function get(path, query = {}, signal) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  return (await answered(path + search, { signal })).json();
}

const posting = (body, signal) =>
  ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

export async function post(path, body, signal) {
  return (await answered(path, posting(body, signal))).json();
}

// Calls `each` with every line of an answer, as it comes; of a GET without a body.
export async function lines(path, body, each) {
  const reader = (await answered(path, body && posting(body))).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      lines.forEach((line) => each(JSON.parse(line)));
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem({ detail: "The connection to the console was lost; what else there was to say is not known here." });
  }
}

const STALE = 12_000; // ms without a word; the server says something every 5 s

// Server-sent events that heal: `on` maps names to functions, `state` hears "connecting", "live" or "lost".
// Returns what ends it.
export function events(path, on, state) {
  let source, timer, last = "", again;
  const heard = (event) => {
    if (event?.lastEventId) last = event.lastEventId;
    state("live");
    clearTimeout(timer);
    timer = setTimeout(() => { state("lost"); open(); }, STALE);
  };
  const open = () => {
    source?.close();
    const url = last ? `${path}${path.includes("?") ? "&" : "?"}since=${encodeURIComponent(last)}` : path;
    source = new EventSource(url);
    source.onopen = heard;
    source.onerror = () => {
      state("lost");
      if (source.readyState === EventSource.CLOSED) { clearTimeout(again); again = setTimeout(open, 1000); }
    };
    for (const [name, hear] of Object.entries(on)) {
      source.addEventListener(name, (event) => { heard(event); hear(JSON.parse(event.data)); });
    }
    source.addEventListener("alive", heard);
  };
  // A page that nobody looks at asks for nothing.
  const seen = () => {
    if (document.hidden) { source?.close(); clearTimeout(timer); } else { state("connecting"); open(); }
  };
  document.addEventListener("visibilitychange", seen);
  state("connecting");
  open();
  return () => {
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(timer);
    clearTimeout(again);
    source.close();
  };
}
