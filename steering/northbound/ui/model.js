// What the page knows, all of it bounded, and how it is kept up to date.

import { Sessions } from "./sessions.js";

const MOST_EVENTS = 200;
const MOST_LINES = 2_000; // of all sessions' timelines together
const PERIOD = 5_000; // milliseconds between two looks at what no event tells: loads, sessions' numbers
const GATHER = 150; // milliseconds in which changes of the network are gathered
const RELOAD = 5_000; // milliseconds between two readings of all sessions
const AGAIN = 15_000; // milliseconds until they are read again where some are missing

export class Model {
  /** `changed(...names)` is called when something of that name is to be drawn anew. */
  constructor(rest, changed) {
    this.rest = rest;
    this.changed = changed;
    this.operator = false;
    this.health = null;
    this.layout = { nodes: [], links: [] };
    this.mcps = [];
    this.accesses = [];
    this.gateways = [];
    this.sessions = new Sessions(rest);
    this.events = [];
    this.lines = []; // {session, time, text}
    this.picked = null; // {session, paths, decision}
    this.timers = new Map();
    this.loaded = -RELOAD;
    this.stopped = false;
  }

  /** Read what stands first. Throws Refused where the token may not. */
  async begin() {
    this.layout = await this.rest.get(["topology", "layout"]);
    this.operator = await this.rest.ask("GET", ["policy"]).then(() => true, () => false);
    await Promise.all([this.look(), this.attached()]);
  }

  start() {
    this.timer = setInterval(() => {
      if (!document.hidden) this.look().then(() => this.network()).catch(() => {});
    }, PERIOD);
    this.reload();
  }

  stop() {
    this.stopped = true;
    clearInterval(this.timer);
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.sessions.round += 1;
  }

  async look() {
    const [health, { mcps }] = await Promise.all([this.rest.get(["health"]), this.rest.get(["mcps"])]);
    this.health = health;
    this.mcps = mcps;
    this.changed("state", "network", "mcps");
  }

  async attached() {
    const [{ access_networks }, { gateways }] = await Promise.all([
      this.rest.get(["access-networks"]), this.rest.get(["gateways"]),
    ]);
    this.accesses = access_networks;
    this.gateways = gateways;
    this.changed("whatif");
  }

  async network() {
    this.layout = await this.rest.get(["topology", "layout"]);
    this.changed("network", "links");
  }

  /** After a change of one's own. */
  refresh() {
    this.once("network", GATHER, () => Promise.all([this.look(), this.network()]));
  }

  /** Do something soon, once for all who ask meanwhile. */
  once(name, milliseconds, act) {
    if (this.stopped || this.timers.has(name)) return;
    this.timers.set(name, setTimeout(() => {
      this.timers.delete(name);
      Promise.resolve(act()).catch(() => {});
    }, milliseconds));
  }

  /** Read all sessions anew, soon: not more often than each RELOAD. */
  reload() {
    const wait = Math.max(0, this.loaded + RELOAD - performance.now());
    this.once("sessions", wait, () => {
      this.loaded = performance.now();
      return this.load();
    });
  }

  /** Another filter: read at once. */
  filtered() {
    this.changed("sessions");
    return this.load().catch(() => {});
  }

  /** Read all sessions, and later again where a controller does not answer. */
  async load() {
    await this.sessions.load(() => this.changed("sessions"));
    if (this.sessions.missing.length) this.once("missing", AGAIN, () => this.reload());
  }

  /** Pick a session; null for none. Throws Refused where it is gone. */
  async pick(id) {
    if (id === null) {
      this.picked = null;
      this.changed("picked", "sessions");
      return;
    }
    const session = await this.rest.get(["sessions", id]);
    const [paths, decision] = await Promise.all([
      this.rest.get(["sessions", id, "paths"]).catch(() => null),
      session.decision === null ? null : this.rest.get(["decisions", session.decision]).catch(() => null),
    ]);
    this.picked = { session, paths, decision, over: false };
    this.changed("picked", "sessions");
  }

  timeline(id) {
    return this.lines.filter((one) => one.session === id);
  }

  // ---- events -------------------------------------------------------------------------------------

  heard(kind, data) {
    const text = sentence(kind, data);
    if (text !== null) {
      const time = new Date().toLocaleTimeString();
      push(this.events, { kind, time, text }, MOST_EVENTS);
      this.changed("events");
    }
    if (kind === "session" || kind === "subflow") this.ofSession(kind, data, text);
    else if (kind === "omitted" || kind === "reset") this.lost(kind);
    else if (kind === "controller") this.reload();
    else if (kind === "topology" || kind === "drain" || kind === "alarm") this.refresh();
    else if (kind === "access") this.once("attached", GATHER, () => this.attached());
    else if (kind === "policy") this.changed("policy");
  }

  ofSession(kind, data, text) {
    const id = kind === "subflow" ? data.session : data.id;
    push(this.lines, { session: id, time: new Date().toLocaleTimeString(), text }, MOST_LINES);
    this.sessions.take(kind, data);
    this.changed("sessions");
    if (this.picked?.session.id !== id) return;
    if (data.change === "ended") {
      this.picked.over = true;
      this.changed("picked");
    } else {
      this.once("picked", GATHER, () => this.picked && this.pick(this.picked.session.id));
    }
  }

  lost(kind) {
    this.reload();
    if (kind === "reset") this.refresh();
  }
}

function push(list, item, most) {
  list.push(item);
  if (list.length > most) list.splice(0, list.length - most);
}

/** An event in words; null for what is none. */
function sentence(kind, data) {
  switch (kind) {
    case "session": {
      if (data.change === "ended") return `session ${data.id} has ended`;
      const way = `${data.client} → ${data.server}`;
      return `session ${data.id} ${data.change === "started" ? `began: ${way}` : `is ${data.state}`}`;
    }
    case "subflow":
      return `session ${data.session} has ${data.subflows} subflows, it had ${data.before}`;
    case "topology":
      return `${data.what} ${data.name} is ${data.up ? data.health ?? "up" : "down"}`;
    case "refusal":
      return `${data.count} refused: ${data.reason}`;
    case "policy":
      return `policy version ${data.version} is in force`;
    case "access":
      return `access network ${data.name} is ${data.type}, trust ${data.trust}`;
    case "drain":
      return `MCP ${data.name} ${data.draining ? "is being drained" : "is used again"}`;
    case "reservation":
      return `reservation ${data.id}: ${data.change}`;
    case "alarm":
      return `${data.change}: ${data.text}`;
    case "binding":
      return `a port binding changed`;
    case "controller":
      return `controller ${data.controller} ${data.heard ? "is heard again" : `is not heard: ${data.why}`}`;
    case "reset":
      return data.controller ? `events of controller ${data.controller} were missed` : null;
    case "omitted":
      return `${data.sessions} more sessions changed`;
    default:
      return null;
  }
}
