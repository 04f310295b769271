// A list of any length that draws only the rows that are seen. Keyboard as a listbox has it (WAI-ARIA 1.2).

import { el, say, set } from "./dom.js";
import { plural, STATES } from "./words.js";

export const ROW = 54; // pixels
const BEYOND = 6; // rows drawn above and below what is seen

export class List {
  /** `picked(id)` is called for a click or Enter. */
  constructor(box, picked) {
    this.box = box;
    this.picked = picked;
    this.items = [];
    this.rows = [];
    this.at = null; // id of the active row
    this.chosen = null; // id of the picked one
    this.ground = el("div", { class: "ground", role: "presentation" });
    box.append(this.ground);
    box.addEventListener("scroll", () => this.later(), { passive: true });
    box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.later()).observe(box);
  }

  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  show(items, chosen) {
    this.items = items;
    this.chosen = chosen;
    this.ground.style.height = `${items.length * ROW}px`;
    this.draw();
  }

  draw() {
    const seen = Math.ceil(this.box.clientHeight / ROW) + 2 * BEYOND;
    const first = Math.max(0, Math.min(this.items.length - seen, Math.floor(this.box.scrollTop / ROW) - BEYOND));
    const count = Math.min(seen, this.items.length - first);
    while (this.rows.length < count) this.rows.push(this.newRow());
    for (const [at, row] of this.rows.entries()) {
      if (at < count) this.fill(row, this.items[first + at], first + at);
      else if (row.node.parentNode) row.node.remove();
    }
    const active = this.rows.find((row) => row.node.parentNode && row.id === this.at);
    set(this.box, "aria-activedescendant", active ? active.node.id : null);
  }

  newRow() {
    const row = { id: null };
    row.flow = el("span", { class: "flow" });
    row.note = el("span", { class: "note" });
    row.state = el("span", { class: "state" });
    row.node = el("div", {
      role: "option", id: `row-${this.rows.length}`, class: "row",
      click: () => this.pick(row.id),
    }, row.flow, row.state, row.note);
    return row;
  }

  fill(row, session, at) {
    row.id = session.id;
    if (!row.node.parentNode) this.ground.append(row.node);
    const top = `translateY(${at * ROW}px)`;
    if (row.node.style.transform !== top) row.node.style.transform = top;
    say(row.flow, `${session.client} → ${session.server}`);
    say(row.state, STATES[session.state] ?? session.state);
    set(row.node, "data-state", session.state);
    const mcp = session.mcp === null ? "no MCP" : `MCP ${session.mcp}`;
    say(row.note, `#${session.id} · ${mcp} · ${plural(session.subflows, "subflow")}`);
    set(row.node, "aria-setsize", this.items.length);
    set(row.node, "aria-posinset", at + 1);
    set(row.node, "aria-selected", session.id === this.chosen ? "true" : "false");
    set(row.node, "data-active", session.id === this.at ? "yes" : null);
  }

  pick(id) {
    this.at = id;
    this.picked(id);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    const here = this.items.findIndex((one) => one.id === this.at);
    if (step !== undefined && this.items.length) {
      event.preventDefault();
      const next = here < 0 && step === 1 ? 0 : Math.min(this.items.length - 1, Math.max(0, here + step));
      this.at = this.items[next].id;
      const top = next * ROW;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + ROW > this.box.scrollTop + this.box.clientHeight) {
        this.box.scrollTop = top + ROW - this.box.clientHeight;
      }
      this.draw();
    } else if (event.key === "Enter" && here >= 0) {
      event.preventDefault();
      this.picked(this.at);
    }
  }
}
