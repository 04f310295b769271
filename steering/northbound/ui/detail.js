// One session in full: its sentence, its subflows and their ways, bytes by access, its decision, its timeline.

import { el, table } from "./dom.js";
import { byAccess, counted, decided, whyNot } from "./why.js";
import { bytes, duration, endpoint, FILTERS, number, plural, REASONS, STATES } from "./words.js";

const MOST_TOLD = 50; // lines of a timeline

/** The nodes that tell a session. `paths`, `decision`: null where there is none; `timeline`: events about it. */
export function detail({ session, paths, decision, accesses, timeline, colourOf }) {
  const rows = byAccess(session);
  return [
    el("p", { class: "why", id: "why" }, whyNot(session, accesses)),
    el("dl", { class: "facts" },
      ...fact("State", STATES[session.state] ?? session.state),
      ...fact("MCP", session.mcp ?? "none"),
      ...fact("Client", session.client),
      ...fact("Server", session.server),
      ...fact("Token", session.token ?? "not known"),
      ...fact("MPTCP", session.version === null ? "not known" : `version ${session.version}`),
      ...fact("Age", duration(session.age_s)),
    ),
    el("h3", {}, "Subflows"),
    table("Subflows", ["Line", "From", "To", "Access", "Kind", "Wanted", "Pinned way", "Natural way"],
      session.subflows.map((one) => {
        const way = paths?.subflows.find((p) => p.src === one.src && p.sport === one.sport && p.dport === one.dport);
        const onward = (paths?.onward ?? []).slice(way?.pinned.at(-1) === paths?.onward[0] ? 1 : 0);
        return [
          el("span", { class: "swatch", "data-colour": colourOf(one.access_network), "aria-hidden": "true" }),
          endpoint(one.src, one.sport), endpoint(one.dst, one.dport), one.access_network, one.kind,
          one.backup ? "backup (host)" : one.wanted,
          way ? [...way.pinned, `[${paths.mcp ?? "–"}]`, ...onward].join(" › ") : null,
          way ? way.natural.join(" › ") : null,
        ];
      })),
    el("h3", {}, "By access"),
    ...bars(rows, colourOf),
    ...(decision ? told(decision) : [el("p", { class: "hint" }, "No decision is on record: it was read back from the switches.")]),
    el("h3", {}, "Timeline"),
    el("ol", { class: "timeline" },
      el("li", {}, el("time", {}, `${duration(session.age_s)} ago`), " its first SYN was seen"),
      ...timeline.slice(-MOST_TOLD).map((one) => el("li", {}, el("time", {}, one.time), ` ${one.text}`)),
    ),
    el("p", { class: "hint" }, "Since this page was opened; the controller keeps no history of a session."),
  ];
}

function fact(name, value) {
  return [el("div", {}, el("dt", {}, name), el("dd", {}, value))];
}

function bars(rows, colourOf) {
  const most = Math.max(1, ...rows.map((one) => one.bytes));
  const note = counted(rows);
  return [
    el("ul", { class: "bars" }, ...rows.map((one) => {
      const bar = el("span", { class: "bar", "data-colour": colourOf(one.access) });
      bar.style.width = `${Math.round((100 * one.bytes) / most)}%`;
      return el("li", {}, el("span", {}, one.access), el("span", { class: "track" }, bar),
        el("span", {}, `${plural(one.subflows, "subflow")}, ${bytes(one.bytes)}`));
    })),
    note ? el("p", { class: "hint" }, note) : null,
  ].filter(Boolean);
}

/** A decision: its sentence and its candidates. */
export function told(decision) {
  const terms = [...new Set(decision.candidates.flatMap((one) => Object.keys(one.terms)))];
  return [
    el("h3", {}, "Decision"),
    el("p", { class: "decided" }, decided(decision, REASONS)),
    el("p", { class: "hint" },
      `Policy version ${decision.policy_version}; the natural way costs ${number(decision.natural_cost)}.`),
    table("Candidates", ["MCP", "Cost", "Stretch", ...terms, "Score", "Why not"],
      decision.candidates.map((one) => [
        one.mcp === decision.winner ? el("strong", {}, `${one.mcp} ✓`) : one.mcp,
        number(one.cost), number(one.stretch), ...terms.map((term) => number(one.terms[term])), number(one.score),
        one.filtered === null ? null : FILTERS[one.filtered] ?? one.filtered,
      ])),
  ];
}

/** The ways of a session as the network lights them. */
export function ways(session, paths, layout, colourOf) {
  const switches = (names) => names.map((name) => `switch ${name}`);
  const server = gatewayAt(layout, paths.onward.at(-1));
  return paths.subflows.flatMap((one, at) => {
    const from = one.access_network === null ? [] : [`access ${one.access_network}`];
    const colour = colourOf(one.access_network);
    const mcp = paths.mcp === null ? [] : [`mcp ${paths.mcp}`];
    const name = `subflow ${at + 1}, by ${one.access_network ?? "an unknown access"}`;
    const natural = [...from, ...switches(one.natural), ...gatewayAt(layout, one.natural.at(-1))];
    const pinned = [...from, ...switches(one.pinned), ...mcp, ...switches(paths.onward), ...server];
    return [
      { kind: "natural", colour, ids: natural, title: `${name}: natural way` },
      { kind: "pinned", colour, ids: pinned, title: `${name}: pinned way` },
    ];
  });
}

function gatewayAt(layout, name) {
  return layout.nodes
    .filter((node) => node.kind === "gateway" && node.ports.some((port) => port.switch === name))
    .map((node) => node.id).slice(0, 1);
}

export function candidateWay(decision, layout, access, colour) {
  const best = decision.candidates.find((one) => one.mcp === decision.winner);
  if (!best?.path?.length) return [];
  const mcp = layout.nodes.find((node) => node.kind === "mcp" && node.name === best.mcp);
  const stands = mcp?.ports[0]?.switch;
  const at = best.path.indexOf(stands);
  const ids = best.path.map((name) => `switch ${name}`);
  if (at >= 0) ids.splice(at + 1, 0, mcp.id, ids[at]);
  const from = access ? [`access ${access}`] : [];
  return [{ kind: "pinned", colour, ids: [...from, ...ids, ...gatewayAt(layout, best.path.at(-1))], title: "what would be" }];
}

