// The controller's REST. The token goes in a header and nowhere else.

const PATIENCE = 20_000; // milliseconds
const TRIES = 3;

/** The controller refused. `errors`: what is wrong where in the body. */
export class Refused extends Error {
  constructor(status, detail, errors) {
    super(detail);
    this.status = status;
    this.errors = errors ?? [];
  }
}

export class Rest {
  /** `expelled` is called when the token is not taken any more. */
  constructor(token, expelled) {
    this.token = token;
    this.expelled = expelled;
  }

  headers(more = {}) {
    return { Authorization: `Bearer ${this.token}`, ...more };
  }

  /** The answer's body and ETag. `path`: an array of parts, quoted here. Throws Refused; TypeError without an answer. */
  async ask(method, path, { query = {}, body, ifMatch, type = "application/json" } = {}) {
    const asked = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined && value !== "") asked.set(name, value);
    }
    const search = asked.size ? `?${asked}` : "";
    const url = `/v1/${path.map(encodeURIComponent).join("/")}${search}`;
    const headers = this.headers({ Accept: "application/json" });
    if (body !== undefined) headers["Content-Type"] = type;
    if (ifMatch) headers["If-Match"] = ifMatch;
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    for (let left = TRIES; ; left -= 1) {
      const answer = await fetch(url, {
        method, headers, body: sent, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.status === 429 && left > 1) {
        await pause(1000 * Math.min(10, Number(answer.headers.get("Retry-After")) || 1));
        continue;
      }
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) return { body: told, etag: answer.headers.get("ETag") };
      if (answer.status === 401) this.expelled();
      throw new Refused(answer.status, told.detail ?? `the controller answered ${answer.status}`, told.errors);
    }
  }

  async get(path, query) {
    return (await this.ask("GET", path, { query })).body;
  }
}

export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** What went wrong, in a sentence. */
export function words(error) {
  if (error instanceof Refused) {
    const where = error.errors.map((one) => `${one.line ? `line ${one.line}: ` : ""}${one.message}`);
    return [error.message, ...where.slice(0, 5)].join("; ");
  }
  if (error?.name === "TimeoutError") return "The controller did not answer in time.";
  return "The controller cannot be reached.";
}
