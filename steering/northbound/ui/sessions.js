// What is known of the sessions: a bounded table, filled from REST and kept up to date by events.

const PAGE = 1_000;
export const MOST = 20_000;

const TOKEN = /^[0-9a-f]{8}$/i;
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|(?=.*:.*:)[0-9a-f:.]+)$/i;

export class Sessions {
  constructor(rest) {
    this.rest = rest;
    this.known = new Map(); // id -> summary, the oldest first
    this.total = 0;
    this.missing = []; // controllers of a cluster whose sessions are not here, by name
    this.filter = { text: "", state: "", mcp: "" };
    this.round = 0;
  }

  /** What of the filter REST itself can do. */
  query() {
    const { text, state, mcp } = this.filter;
    const token = TOKEN.test(text) && !/^\d+$/.test(text) ? text.toLowerCase() : "";
    const client = !token && ADDRESS.test(text) ? text : "";
    return { state, mcp, token, client };
  }

  /** Read all pages anew; `step` is called after each. A later call ends an earlier one. */
  async load(step) {
    const round = (this.round += 1);
    const query = this.query();
    const found = new Map();
    const missing = new Set();
    let cursor = null;
    do {
      const page = await this.rest.get(["sessions"], { ...query, limit: PAGE, cursor });
      if (round !== this.round) return;
      for (const session of page.sessions) found.set(session.id, session);
      for (const name of page.incomplete) missing.add(name);
      this.missing = [...missing].sort();
      this.total = page.total;
      cursor = page.next;
      this.known = found;
      step();
    } while (cursor !== null && found.size < MOST);
  }

  /** An event about a session or its subflows. */
  take(kind, data) {
    if (kind === "subflow") {
      const session = this.known.get(data.session);
      if (session) this.known.set(session.id, { ...session, subflows: data.subflows });
      return;
    }
    const before = this.known.get(data.id);
    if (data.change === "ended") {
      if (this.known.delete(data.id)) this.total -= 1;
      return;
    }
    const { change, ...told } = data;
    if (before) {
      this.known.set(data.id, { ...before, ...told });
    } else if (this.fits(told)) {
      this.total += 1;
      if (this.known.size < MOST) this.known.set(data.id, told);
    }
  }

  /** Whether a session passes the filter, as far as its summary tells. */
  fits(session) {
    const { text, state, mcp } = this.filter;
    if (state && session.state !== state) return false;
    if (mcp && session.mcp !== mcp) return false;
    if (!text || this.query().client) return true; // REST looked at subflows' addresses too
    const wanted = text.toLowerCase();
    if (session.id === wanted) return true;
    return [session.client, session.server, session.token ?? ""].some((one) => one.toLowerCase().includes(wanted));
  }

  /** The sessions to list, the newest first. */
  listed() {
    const found = [];
    for (const session of this.known.values()) if (this.fits(session)) found.push(session);
    return found.reverse();
  }
}
