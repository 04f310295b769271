// What would be done with a connection that nobody opens.

import { byId, el, say } from "./dom.js";
import { candidateWay, told } from "./detail.js";
import { words } from "./rest.js";

/** An address within a prefix: not the network's own, nor the first, which is often the gateway's. */
export function hostIn(prefix) {
  const [network, length] = prefix.split("/");
  if (network.includes(":")) return network.endsWith("::") ? `${network}2` : network;
  const parts = network.split(".").map(Number);
  if (Number(length) <= 30) parts[3] += 2;
  return Number(length) === 0 ? "192.0.2.2" : parts.join(".");
}

const family = (prefix) => (prefix.includes(":") ? 6 : 4);

export class WhatIf {
  /** `model` is that of whoever signed in last. */
  constructor(network, colourOf) {
    this.model = null;
    this.network = network;
    this.colourOf = colourOf;
    byId("whatif").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    byId("whatif-access").addEventListener("change", () => this.from(byId("whatif-access").value));
  }

  show() {
    const select = byId("whatif-access");
    const before = select.value;
    select.replaceChildren(...this.model.accesses.map((one) => el("option", { value: one.name }, one.name)));
    if (this.model.accesses.some((one) => one.name === before)) select.value = before;
    else if (this.model.accesses.length) this.from(this.model.accesses[0].name);
  }

  /** An access was picked, or a gateway below: an address of its own goes into the form. */
  from(name) {
    const access = this.model.accesses.find((one) => one.name === name);
    if (!access) return;
    byId("whatif-access").value = name;
    const prefix = access.prefixes.find((one) => family(one) === 4) ?? access.prefixes[0];
    if (prefix) byId("whatif-source").value = hostIn(prefix);
  }

  to(name) {
    const gateway = this.model.gateways.find((one) => one.name === name);
    if (!gateway) return;
    const wanted = byId("whatif-source").value.includes(":") ? 6 : 4;
    const prefix = gateway.prefixes.find((one) => family(one) === wanted) ?? gateway.prefixes[0];
    if (prefix) byId("whatif-destination").value = hostIn(prefix);
    if (byId("whatif-source").value) this.ask();
  }

  async ask() {
    const access = byId("whatif-access").value;
    const question = {
      source: byId("whatif-source").value.trim(),
      destination: byId("whatif-destination").value.trim(),
      port: Number(byId("whatif-port").value),
      access: access || null,
    };
    say(byId("whatif-refused"), "");
    try {
      const { body } = await this.model.rest.ask("POST", ["whatif"], { body: question });
      byId("whatif-answer").replaceChildren(...told(body));
      this.network.light(candidateWay(body, this.model.layout, access, this.colourOf(access)));
    } catch (error) {
      byId("whatif-answer").replaceChildren();
      say(byId("whatif-refused"), words(error));
    }
  }
}
