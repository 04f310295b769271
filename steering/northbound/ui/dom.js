// Making elements. Every text is set as text: names and addresses come from strangers.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined) node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** An HTML element. A function among the attributes listens to the event of that name. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

export function byId(id) {
  return document.getElementById(id);
}

/** Set an attribute only where it changes: nothing is laid out for nothing. */
export function set(node, name, value) {
  const text = value === null || value === undefined ? null : String(value);
  if (node.getAttribute(name) === text) return;
  if (text === null) node.removeAttribute(name);
  else node.setAttribute(name, text);
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A table. `rows`: arrays of texts or nodes. */
export function table(caption, headers, rows) {
  return el(
    "div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...headers.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell ?? "–")))))),
  );
}

/** Work of a frame, each part at most once a frame, however often it is asked for. */
export class Painter {
  constructor() {
    this.parts = new Map();
    this.dirty = new Set();
    this.waiting = false;
    this.frames = 0;
    this.longest = 0;
  }

  part(name, paint) {
    this.parts.set(name, paint);
  }

  mark(...names) {
    for (const name of names) this.dirty.add(name);
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.paint());
  }

  paint() {
    const began = performance.now();
    const names = [...this.dirty];
    this.dirty.clear();
    this.waiting = false;
    for (const name of names) this.parts.get(name)?.();
    this.frames += 1;
    this.longest = Math.max(this.longest, performance.now() - began);
  }
}
