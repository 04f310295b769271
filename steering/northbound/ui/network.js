// The network as SVG: nodes that can be dragged and picked, links coloured by use, a picked session's ways above them.

import { say, set, svg } from "./dom.js";
import { curve, spot, useOf, worldOf } from "./geometry.js";
import { percent, plural } from "./words.js";
import { Window } from "./window.js";

const KEPT = "steering.places";
const MOST_KEPT = 2_000; // places that were dragged
const LONGEST_NAME = 16;
const HEALTH = { up: "✓", draining: "⏸", down: "✕", unknown: "?" };
const KINDS = { switch: "switch", access: "access network", gateway: "gateway to servers", mcp: "MCP" };

export class Network {
  /** `picked(node)` and `link(link)` are called for a click or Enter. */
  constructor(picture, { picked, link }) {
    this.picture = picture;
    this.picked = picked;
    this.linkPicked = link;
    this.nodes = new Map(); // id -> {node, group, ...}
    this.links = new Map(); // name -> {link, line, touch}
    this.stems = new Map(); // "id port" -> line from what hangs to its switch
    this.dragged = read();
    this.layers = ["lines", "ways", "things"].map((name) => svg("g", { class: name }));
    picture.append(...this.layers);
    this.window = new Window(picture);
    this.layout = { nodes: [], links: [] };
    this.mcps = new Map();
    this.ways = [];
    picture.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(picture);
  }

  show(layout, mcps) {
    this.layout = layout;
    this.mcps = new Map(mcps.map((one) => [one.name, one]));
    this.draw();
  }

  /** `ways`: [{colour, kind: "pinned" | "natural", ids: [node ids]}], drawn above everything. */
  light(ways) {
    this.ways = ways;
    this.drawWays();
  }

  forgetPlaces() {
    this.dragged.clear();
    write(this.dragged);
    this.window.fit();
    this.draw();
  }

  draw() {
    const box = this.picture.getBoundingClientRect();
    if (!box.width) return;
    this.world = worldOf(this.layout, box.width, box.height);
    this.window.world(this.world, box);
    this.places = new Map();
    for (const node of this.layout.nodes) {
      const moved = this.dragged.get(node.id);
      this.places.set(node.id, spot(moved?.x ?? node.x, moved?.y ?? node.y, this.world));
    }
    this.drawLinks();
    this.drawNodes();
    this.drawWays();
  }

  // ---- lines --------------------------------------------------------------------------------------

  drawLinks() {
    const left = new Set(this.links.keys());
    for (const link of this.layout.links) {
      left.delete(link.name);
      const drawn = this.links.get(link.name) ?? this.newLink(link);
      drawn.link = link;
      const path = curve(this.pointsOf(link));
      set(drawn.line, "d", path);
      set(drawn.touch, "d", path);
      set(drawn.line, "data-use", link.up ? useOf(link.use) : "lost");
      say(drawn.title, `${link.name}: ${link.up ? `use ${percent(link.use)}, weight ${link.weight}` : "lost"}`);
    }
    for (const name of left) this.drop(this.links, name);
    this.drawStems();
  }

  newLink(link) {
    const title = svg("title");
    const line = svg("path", { class: "link", "data-name": link.name });
    const touch = svg("path", { class: "touch", click: () => this.linkPicked(this.links.get(link.name).link) }, title);
    const group = svg("g", {}, line, touch);
    this.layers[0].append(group);
    const drawn = { link, line, touch, title, group };
    this.links.set(link.name, drawn);
    return drawn;
  }

  pointsOf(link) {
    const ends = link.between.map((name) => `switch ${name}`);
    const straight = ends.some((id) => this.dragged.has(id));
    const bends = straight ? [] : link.bends.map(([x, y]) => spot(x, y, this.world));
    return [this.places.get(ends[0]), ...bends, this.places.get(ends[1])].filter(Boolean);
  }

  drawStems() {
    const left = new Set(this.stems.keys());
    for (const node of this.layout.nodes) {
      for (const port of node.ports) {
        const to = this.places.get(`switch ${port.switch}`);
        if (!to) continue;
        const key = `${node.id} ${port.port}`;
        left.delete(key);
        let drawn = this.stems.get(key);
        if (!drawn) {
          const line = svg("path", { class: "link stem" }, svg("title"));
          this.layers[0].append(line);
          drawn = { line, group: line };
          this.stems.set(key, drawn);
        }
        set(drawn.line, "d", curve([this.places.get(node.id), to], false));
        set(drawn.line, "data-use", port.up ? useOf(port.use) : "lost");
        say(drawn.line.firstChild, `${port.port}: ${port.up ? `use ${percent(port.use)}` : "down"}`);
      }
    }
    for (const key of left) this.drop(this.stems, key);
  }

  drop(from, key) {
    from.get(key).group.remove();
    from.delete(key);
  }

  // ---- things -------------------------------------------------------------------------------------

  drawNodes() {
    const left = new Set(this.nodes.keys());
    for (const node of this.layout.nodes) {
      left.delete(node.id);
      const drawn = this.nodes.get(node.id) ?? this.newNode(node);
      drawn.node = node;
      const place = this.places.get(node.id);
      set(drawn.group, "transform", `translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})`);
      const mcp = node.kind === "mcp" ? this.mcps.get(node.name) : null;
      set(drawn.group, "data-up", node.up && mcp?.health !== "down" ? "yes" : "no");
      set(drawn.group, "data-health", mcp?.health);
      const told = tell(node, mcp);
      set(drawn.group, "aria-label", told);
      say(drawn.title, told);
      if (mcp) {
        say(drawn.note, `${HEALTH[mcp.health] ?? ""} ${plural(mcp.sessions, "session")}`);
        set(drawn.bar, "width", (96 * Math.min(1, loadOf(mcp))).toFixed(1));
      }
    }
    for (const id of left) this.drop(this.nodes, id);
    const first = this.layout.nodes[0]?.id;
    if (!this.nodes.has(this.at)) this.at = first;
    for (const [id, drawn] of this.nodes) set(drawn.group, "tabindex", id === this.at ? 0 : -1);
  }

  newNode(node) {
    const title = svg("title");
    const group = svg("g", { class: `node ${node.kind}`, role: "button", "data-id": node.id }, title);
    const drawn = { node, group, title };
    const wide = { switch: 60, access: 104, gateway: 104, mcp: 112 }[node.kind];
    const high = node.kind === "mcp" ? 40 : 28;
    const round = { switch: 6, mcp: 4 }[node.kind] ?? 14;
    group.append(svg("rect", { x: -wide / 2, y: -high / 2, width: wide, height: high, rx: round }));
    const name = node.name.length > LONGEST_NAME ? `${node.name.slice(0, LONGEST_NAME - 1)}…` : node.name;
    group.append(svg("text", { class: "name", y: node.kind === "mcp" ? -4 : 4 }, name));
    if (node.kind === "mcp") {
      drawn.note = svg("text", { class: "note", y: 10 });
      drawn.bar = svg("rect", { class: "load", x: -48, y: 14, width: 0, height: 3 });
      group.append(drawn.note, drawn.bar);
    }
    group.append(svg("text", { class: "lost", x: wide / 2 - 2, y: -high / 2 + 4 }, "✕"));
    this.draggable(group, () => drawn.node);
    this.layers[2].append(group);
    this.nodes.set(node.id, drawn);
    return drawn;
  }

  draggable(group, nodeOf) {
    let from = null;
    let moved = false;
    group.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.stopPropagation();
      from = { x: event.clientX, y: event.clientY };
      moved = false;
      group.setPointerCapture(event.pointerId);
    });
    group.addEventListener("pointermove", (event) => {
      if (!from) return;
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > 5) moved = true;
      if (moved) this.move(nodeOf().id, this.window.point(event));
    });
    group.addEventListener("pointerup", () => {
      if (from && !moved) this.pick(nodeOf());
      if (from && moved) write(this.dragged);
      from = null;
    });
    group.addEventListener("pointercancel", () => (from = null));
  }

  move(id, point) {
    const origin = spot(0, 0, this.world);
    const far = spot(1, 1, this.world);
    const inside = (value) => Math.min(1.05, Math.max(-0.05, value));
    this.dragged.delete(id);
    if (this.dragged.size >= MOST_KEPT) this.dragged.delete(this.dragged.keys().next().value);
    this.dragged.set(id, {
      x: inside((point.x - origin.x) / (far.x - origin.x || 1)),
      y: inside((point.y - origin.y) / (far.y - origin.y || 1)),
    });
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  pick(node) {
    this.focus(node.id);
    this.picked(node);
  }

  focus(id) {
    const before = this.nodes.get(this.at);
    if (before) set(before.group, "tabindex", -1);
    this.at = id;
    const now = this.nodes.get(id);
    set(now.group, "tabindex", 0);
    now.group.focus({ preventScroll: true });
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const here = this.places?.get(this.at);
    if (!here || !event.target.closest(".node")) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.picked(this.nodes.get(this.at).node);
    } else if (step) {
      event.preventDefault();
      const next = nearest(this.places, this.at, here, step);
      if (next) this.focus(next);
    }
  }

  // ---- ways ---------------------------------------------------------------------------------------

  drawWays() {
    if (!this.places) return;
    const lines = this.ways.map((way, at) => {
      const points = this.trail(way.ids);
      const off = (at - (this.ways.length - 1) / 2) * 4;
      return svg("path", {
        class: `way ${way.kind}`, "data-colour": way.colour, d: points.length > 1 ? curve(points) : "",
        transform: `translate(0 ${off})`,
      }, svg("title", {}, way.title));
    });
    this.layers[1].replaceChildren(...lines);
    set(this.picture, "data-lit", this.ways.length ? "yes" : "no");
    const lit = new Set(this.ways.flatMap((way) => way.ids));
    for (const [id, drawn] of this.nodes) set(drawn.group, "data-lit", lit.has(id) ? "yes" : "no");
  }

  /** The points of a way through nodes, with the bends of the links between them. */
  trail(ids) {
    const points = [];
    for (const [at, id] of ids.entries()) {
      if (at) points.push(...this.bendsBetween(ids[at - 1], id));
      const place = this.places.get(id);
      if (place) points.push(place);
    }
    return points;
  }

  bendsBetween(a, b) {
    for (const { link } of this.links.values()) {
      const [one, other] = link.between.map((name) => `switch ${name}`);
      if (one === a && other === b) return this.pointsOf(link).slice(1, -1);
      if (one === b && other === a) return this.pointsOf(link).slice(1, -1).reverse();
    }
    return [];
  }
}

function loadOf(mcp) {
  return Math.max(mcp.load ?? 0, mcp.capacity_sessions ? mcp.sessions / mcp.capacity_sessions : 0);
}

function tell(node, mcp) {
  const parts = [`${KINDS[node.kind]} ${node.name}`];
  if (!node.up) parts.push(node.kind === "switch" ? "lost" : "its port is down");
  if (mcp) parts.push(mcp.health, plural(mcp.sessions, "session"), `load ${percent(loadOf(mcp))}`);
  return parts.join(", ");
}

/** The id of the node that lies nearest in a direction. */
function nearest(places, own, here, [dx, dy]) {
  let best = null;
  let least = Infinity;
  for (const [id, place] of places) {
    const along = (place.x - here.x) * dx + (place.y - here.y) * dy;
    const aside = Math.abs((place.x - here.x) * dy) + Math.abs((place.y - here.y) * dx);
    if (id !== own && along > 1 && along + 2 * aside < least) {
      best = id;
      least = along + 2 * aside;
    }
  }
  return best;
}

/** The places that were dragged, as this browser kept them. */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    const good = ([id, place]) => typeof id === "string" && Number.isFinite(place?.x) && Number.isFinite(place?.y);
    return new Map(kept.filter(good).slice(0, MOST_KEPT));
  } catch {
    return new Map();
  }
}

function write(places) {
  try {
    localStorage.setItem(KEPT, JSON.stringify([...places]));
  } catch {
    // A browser that keeps nothing: the places hold until the page is closed.
  }
}
