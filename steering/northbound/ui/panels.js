// The tabs beside the sessions: MCPs, links, events, policy.

import { ask, paragraph } from "./asking.js";
import { byId, el, table } from "./dom.js";
import { changes } from "./diff.js";
import { listing, number, percent, plural } from "./words.js";

const SIGNS = { up: "✓ up", draining: "⏸ draining", down: "✕ down", unknown: "? unknown" };

/** The MCPs as cards: health, load, sessions; for an operator also their drain. */
export function mcpCards(model) {
  return model.mcps.map((one) => {
    const load = Math.max(one.load ?? 0, one.capacity_sessions ? one.sessions / one.capacity_sessions : 0);
    const bar = el("span", { class: "bar", "data-use": load < 0.9 ? "low" : "full" });
    bar.style.width = `${Math.round(100 * Math.min(1, load))}%`;
    const drained = one.health === "draining";
    return el("article", { class: "card mcp", "data-health": one.health, "aria-label": `MCP ${one.name}` },
      el("h3", {}, one.name, " ", el("span", { class: "badge" }, SIGNS[one.health] ?? one.health ?? "")),
      el("p", {}, `${plural(one.sessions, "session")} of ${one.capacity_sessions}, ${plural(one.subflows, "subflow")}; load ${percent(load)}`),
      el("span", { class: "track", "aria-hidden": "true" }, bar),
      el("p", { class: "hint" }, `${one.type}, at ${one.port}; ${one.addresses.join(", ")}`),
      model.operator
        ? el("button", { type: "button", class: "quiet", click: () => drain(model, one, !drained) },
          drained ? `Use ${one.name} again` : `Drain ${one.name}`)
        : null);
  });
}

function drain(model, one, on) {
  const others = model.mcps.filter((other) => other.name !== one.name && other.health === "up").map((other) => other.name);
  const next = others.length ? `New ones go to ${listing(others)}.` : "No other MCP is up: new connections find none.";
  ask({
    title: on ? `Drain MCP ${one.name}?` : `Use MCP ${one.name} again?`,
    yes: on ? "Drain it" : "Use it",
    body: on
      ? [paragraph(`It keeps its ${plural(one.sessions, "session")} until they end, and gets no new ones.`), paragraph(next),
        paragraph("It can be used again at any time.")]
      : [paragraph("It gets new sessions again, as the policy scores it. Sessions elsewhere stay where they are.")],
    act: async () => {
      await model.rest.ask("POST", ["mcps", one.name, on ? "drain" : "undrain"]);
      model.refresh();
      return on ? `${one.name} is being drained` : `${one.name} is used again`;
    },
  });
}

export function linkTable(model) {
  const links = model.layout.links;
  return [table(`${plural(links.length, "link")}`, ["Link", "State", "Use", "Weight", "Change"], links.map((one) => [
    one.name, one.up ? "up" : el("strong", { class: "lost" }, "✕ lost"), percent(one.use), number(one.weight),
    model.operator && one.up
      ? el("button", { type: "button", class: "quiet", "aria-label": `Weigh ${one.name}`, click: () => weigh(model, one) }, "Weigh")
      : null,
  ]))];
}

/** Another weight for a link. */
export async function weigh(model, drawn) {
  if (!model.operator) return;
  const { body: one, etag } = await model.rest.ask("GET", ["links", drawn.name]);
  const input = el("input", { type: "number", min: "0.001", max: "1000000", step: "any", value: one.weight, id: "weight" });
  ask({
    title: `Weight of ${one.name}`,
    yes: "Set it",
    body: [
      paragraph("Sessions that begin from now on go by the new weight, where it makes another way shorter. Live sessions keep their paths."),
      el("label", { for: "weight" }, `Weight (now ${number(one.weight)}, by the site file ${number(one.own_weight)}; empty: the site file's)`),
      input,
    ],
    act: async () => {
      const weight = input.value === "" ? null : Number(input.value);
      const { body } = await model.rest.ask("PUT", ["links", one.name], { body: { weight }, ifMatch: etag });
      model.refresh();
      return `${body.name} has weight ${number(body.weight)}`;
    },
  });
}

export function abortSession(model, session) {
  ask({
    title: `Abort session ${session.id}?`,
    yes: "Abort it",
    body: [
      paragraph(`${session.client} → ${session.server}, ${plural(session.subflows.length, "subflow")} at ${session.mcp === null ? "no MCP" : `MCP ${session.mcp}`}.`),
      paragraph("Host and server are sent resets: both applications see their connection break. It cannot be taken back."),
    ],
    act: async () => {
      await model.rest.ask("DELETE", ["sessions", session.id]);
      return `Session ${session.id} is being aborted`;
    },
  });
}

export function eventLines(model) {
  return model.events.toReversed().map((one) => el("li", { "data-kind": one.kind },
    el("time", {}, one.time), " ", el("span", { class: "badge" }, one.kind), ` ${one.text}`));
}

/** The versions of the policy, and what another one would change. */
export async function policyPanel(model) {
  const panel = byId("panel-policy");
  const [{ body: now }, { versions }] = await Promise.all([
    model.rest.ask("GET", ["policy"]), model.rest.get(["policy", "versions"]),
  ]);
  panel.replaceChildren(
    el("p", {}, `Version ${now.version} is in force.`),
    table("Versions", ["Version", "Time", "By", "Comment", "Difference"], versions.map((one) => [
      String(one.version), one.time, one.who, one.comment,
      one.version === now.version
        ? "in force"
        : el("button", { type: "button", class: "quiet", "aria-label": `Compare version ${one.version}`, click: () => compare(model, one.version) }, "Compare"),
    ])),
    el("div", { id: "difference", "aria-live": "polite" }),
  );
}

async function compare(model, version) {
  const [{ body: now, etag }, old] = await Promise.all([
    model.rest.ask("GET", ["policy"]), model.rest.get(["policy", "versions", String(version)]),
  ]);
  const lines = changes(now.text, old.text);
  const text = el("pre", { class: "diff", tabindex: 0, "aria-label": `From version ${now.version} to ${version}` },
    ...(lines ?? []).map((one) => el("span", { "data-sign": one.sign }, `${one.sign} ${one.text}\n`)));
  const nodes = [
    el("h3", {}, `From version ${now.version} to version ${version}`),
    lines === null ? paragraph("Both are too long to compare here: steering policy diff does it.") : null,
    lines?.length === 0 ? paragraph("No line differs.") : text,
    el("button", { type: "button", click: () => rollback(model, version, now.version, etag, lines) }, `Roll back to version ${version}`),
  ];
  byId("difference").replaceChildren(...nodes.filter(Boolean));
}

function rollback(model, version, current, etag, lines) {
  const count = (sign) => (lines ?? []).filter((one) => one.sign === sign).length;
  ask({
    title: `Roll back to version ${version}?`,
    yes: "Roll back",
    body: [
      paragraph(`It takes the place of version ${current}, as a new version: ${plural(count("+"), "line")} come, ${count("-")} go.`),
      paragraph("Connections that begin from now on go by it; live sessions keep their MCP."),
    ],
    act: async () => {
      const { body } = await model.rest.ask("POST", ["policy", "rollback"], { body: { version }, ifMatch: etag });
      await policyPanel(model);
      return `Version ${body.version} is in force`;
    },
  });
}
