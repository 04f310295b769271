// Puts the page together: the door, the model, its parts, and what happens when somebody clicks.

import { prepare, tell } from "./asking.js";
import { byId, el, Painter, say, set } from "./dom.js";
import { detail, ways } from "./detail.js";
import { List } from "./list.js";
import { Model } from "./model.js";
import { Network } from "./network.js";
import { abortSession, eventLines, linkTable, mcpCards, policyPanel, weigh } from "./panels.js";
import { Refused, Rest, words } from "./rest.js";
import { MOST } from "./sessions.js";
import { Stream } from "./stream.js";
import { WhatIf } from "./whatif.js";
import { plural, STATES, unanswered } from "./words.js";

const TOKEN = "steering.token";
const COLOURS = 6; // of accesses, in style.css
const STANDING = { live: "live", waiting: "reconnecting …", off: "not connected" };

let page = null;

// ---- the door -------------------------------------------------------------------------------------

function leave(why = "") {
  sessionStorage.removeItem(TOKEN);
  page?.end();
  page = null;
  byId("page").hidden = true;
  byId("leave").hidden = true;
  byId("door").hidden = false;
  say(byId("role"), "");
  say(byId("state"), "");
  say(byId("incomplete"), "");
  say(byId("refused"), why);
  byId("token").value = "";
  byId("token").focus();
}

async function enter(token) {
  const rest = new Rest(token, () => leave("The controller does not know this token."));
  const next = new Page(rest);
  try {
    await next.model.begin();
  } catch (error) {
    if (error instanceof Refused && error.status === 403) {
      leave("This token is an MCP's or a device's: a reader's or an operator's is needed.");
    } else if (!(error instanceof Refused && error.status === 401)) {
      say(byId("refused"), words(error));
      byId("door").hidden = false;
    }
    return;
  }
  sessionStorage.setItem(TOKEN, token);
  page = next;
  byId("door").hidden = true;
  byId("page").hidden = false;
  byId("leave").hidden = false;
  byId("token").value = "";
  page.open();
}

// ---- the page -------------------------------------------------------------------------------------

let network = null;
let list = null;
let asking = null;

class Page {
  constructor(rest) {
    this.painter = new Painter();
    this.model = new Model(rest, (...names) => this.painter.mark(...names));
    this.stream = new Stream(rest, (kind, data) => this.model.heard(kind, data), (state) => this.standing(state));
    for (const part of ["state", "network", "sessions", "picked", "mcps", "links", "events", "whatif", "policy"]) {
      this.painter.part(part, () => this[part]());
    }
  }

  open() {
    network ??= new Network(byId("picture"), {
      picked: (node) => page?.nodePicked(node),
      link: (link) => page && weigh(page.model, link).catch((error) => tell(words(error))),
    });
    list ??= new List(byId("list"), (id) => page?.pick(id));
    asking ??= new WhatIf(network, (name) => page?.colourOf(name));
    asking.model = this.model;
    say(byId("role"), this.model.operator ? "operator" : "reader");
    byId("tab-policy").hidden = !this.model.operator;
    this.painter.mark("state", "network", "sessions", "mcps", "links", "events", "whatif");
    this.model.start();
    this.stream.run();
  }

  end() {
    this.model.stop();
    this.stream.stop();
    this.model.picked = null;
    byId("picked").hidden = true;
    network?.light([]);
  }

  standing(state) {
    set(byId("link"), "data-state", state);
    say(byId("link"), STANDING[state]);
  }

  colourOf(name) {
    const at = this.model.accesses.findIndex((one) => one.name === name);
    return at < 0 ? "none" : at % COLOURS;
  }

  async pick(id) {
    try {
      await this.model.pick(id);
      if (id !== null) byId("picked").scrollIntoView({ block: "nearest" });
    } catch (error) {
      tell(words(error));
    }
  }

  nodePicked(node) {
    if (node.kind === "access" || node.kind === "gateway") {
      choose("whatif");
      if (node.kind === "access") asking.from(node.name);
      else asking.to(node.name);
    } else if (node.kind === "mcp") {
      choose("mcps");
    } else {
      choose("links");
    }
  }

  // ---- parts, each drawn at most once a frame -----------------------------------------------------

  state() {
    const health = this.model.health;
    if (!health) return;
    const chips = [
      [health.status === "ok" ? "ok" : health.status, health.status === "ok" ? "good" : "warn"],
      [`${health.switches.connected} of ${health.switches.known} switches`, ""],
      [plural(Object.values(health.sessions).reduce((sum, one) => sum + one, 0), "session"), ""],
      [health.missing ? `${health.missing} missing` : "nothing missing", health.missing ? "warn" : "good"],
    ];
    byId("state").replaceChildren(...chips.map(([text, kind]) => el("span", { "data-kind": kind }, text)));
  }

  network() {
    network?.show(this.model.layout, this.model.mcps);
  }

  sessions() {
    const { sessions } = this.model;
    const found = sessions.listed();
    const cut = sessions.total > MOST ? `, the first ${MOST} of ${sessions.total} are known here: filter for others` : "";
    say(byId("count"), `${plural(found.length, "session")}${cut}`);
    say(byId("incomplete"), unanswered(sessions.missing));
    list?.show(found, this.model.picked?.session.id ?? null);
    const select = byId("filter-mcp");
    for (const one of this.model.mcps) {
      if (![...select.options].some((option) => option.value === one.name)) select.append(el("option", { value: one.name }, one.name));
    }
  }

  picked() {
    const picked = this.model.picked;
    byId("picked").hidden = picked === null;
    if (picked === null) {
      network.light([]);
      return;
    }
    const { session, paths, decision, over } = picked;
    say(byId("picked-title"), `Session ${session.id}${over ? ", which has ended" : ""}`);
    const colourOf = (name) => this.colourOf(name);
    byId("picked-tools").replaceChildren(
      ...(this.model.operator && !over
        ? [el("button", { type: "button", class: "danger", click: () => abortSession(this.model, session) }, "Abort …")]
        : []),
      el("button", { type: "button", class: "quiet", click: () => this.pick(null) }, "Close"),
    );
    byId("picked-body").replaceChildren(...detail({
      session, paths, decision, colourOf, timeline: this.model.timeline(session.id),
      accesses: this.model.accesses.map((one) => one.name),
    }));
    network.light(paths === null ? [] : ways(session, paths, this.model.layout, colourOf));
  }

  mcps() {
    if (!byId("panel-mcps").hidden) keepFocus(byId("panel-mcps"), mcpCards(this.model));
  }

  links() {
    if (!byId("panel-links").hidden) keepFocus(byId("panel-links"), linkTable(this.model));
  }

  events() {
    if (!byId("panel-events").hidden) byId("events").replaceChildren(...eventLines(this.model));
  }

  whatif() {
    asking?.show();
  }

  policy() {
    if (!byId("panel-policy").hidden) policyPanel(this.model).catch((error) => tell(words(error)));
  }
}

/** Draw a panel anew; whoever stood on a button stands on the one that took its place. */
function keepFocus(panel, nodes) {
  const before = [...panel.querySelectorAll("button")].indexOf(document.activeElement);
  const scrolled = panel.querySelector(".scroll")?.scrollTop ?? 0;
  panel.replaceChildren(...nodes);
  if (before >= 0) panel.querySelectorAll("button")[before]?.focus({ preventScroll: true });
  const region = panel.querySelector(".scroll");
  if (region) region.scrollTop = scrolled;
}

// ---- tabs and filters -----------------------------------------------------------------------------

function choose(name, focus = false) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${name}`;
    set(tab, "aria-selected", chosen);
    set(tab, "tabindex", chosen ? 0 : -1);
    byId(tab.getAttribute("aria-controls")).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  page?.painter.mark(name);
}

function tabs() {
  const all = () => [...document.querySelectorAll("[role=tab]")].filter((tab) => !tab.hidden);
  const nameOf = (tab) => tab.id.slice("tab-".length);
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => choose(nameOf(tab)));
    tab.addEventListener("keydown", (event) => {
      const at = all().indexOf(tab);
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all().length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      choose(nameOf(all().at(next % all().length)), true);
    });
  }
}

function filters() {
  for (const [value, text] of Object.entries(STATES)) byId("filter-state").append(el("option", { value }, text));
  let waiting = 0;
  const filter = () => {
    if (!page) return;
    page.model.sessions.filter = {
      text: byId("filter-text").value.trim(), state: byId("filter-state").value, mcp: byId("filter-mcp").value,
    };
    clearTimeout(waiting);
    waiting = setTimeout(() => page?.model.filtered(), 250);
    page.painter.mark("sessions");
  };
  byId("filter").addEventListener("input", filter);
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
}

function begin() {
  prepare();
  tabs();
  filters();
  byId("login").addEventListener("submit", (event) => {
    event.preventDefault();
    say(byId("refused"), "");
    enter(byId("token").value.trim());
  });
  byId("leave").addEventListener("click", () => leave());
  byId("closer").addEventListener("click", () => network?.window.zoom(1.4));
  byId("farther").addEventListener("click", () => network?.window.zoom(1 / 1.4));
  byId("whole").addEventListener("click", () => network?.window.fit());
  byId("replace").addEventListener("click", () => network?.forgetPlaces());
  const token = sessionStorage.getItem(TOKEN);
  if (token) enter(token);
  else leave();
}

begin();
