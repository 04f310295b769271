// What part of the world is seen: the SVG's viewBox, moved by dragging the ground, by the wheel and by buttons.

import { set } from "./dom.js";

const CLOSEST = 6;

export class Window {
  constructor(picture) {
    this.picture = picture;
    this.view = null; // {x, y, width, height} once somebody zoomed or moved
    this.box = { width: 1, height: 1 };
    this.size = { width: 1, height: 1 };
    picture.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.drag();
  }

  world(size, box) {
    this.size = size;
    this.box = box;
    this.apply();
  }

  fit() {
    this.view = null;
    this.apply();
  }

  whole() {
    return { x: 0, y: 0, width: this.size.width, height: this.size.height };
  }

  /** Zoom by a factor around a point of the world, or around the middle. */
  zoom(factor, around) {
    const old = this.view ?? this.whole();
    const width = Math.min(this.size.width * 1.2, Math.max(this.size.width / CLOSEST, old.width / factor));
    const share = width / old.width;
    const centre = around ?? { x: old.x + old.width / 2, y: old.y + old.height / 2 };
    this.view = {
      x: centre.x - (centre.x - old.x) * share,
      y: centre.y - (centre.y - old.y) * share,
      width,
      height: old.height * share,
    };
    this.apply();
  }

  /** Where an event is in the world. */
  point(event) {
    const matrix = this.picture.getScreenCTM();
    const found = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    return { x: found.x, y: found.y };
  }

  apply() {
    const { x, y, width, height } = this.view ?? this.whole();
    set(this.picture, "viewBox", [x, y, width, height].map((value) => value.toFixed(1)).join(" "));
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 400), this.point(event));
  }

  drag() {
    let from = null;
    this.picture.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && event.pointerType !== "touch") from = this.point(event);
    });
    this.picture.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = this.point(event);
      const old = this.view ?? this.whole();
      this.view = { ...old, x: old.x + from.x - to.x, y: old.y + from.y - to.y };
      this.apply();
    });
    for (const over of ["pointerup", "pointerleave", "pointercancel"]) {
      this.picture.addEventListener(over, () => (from = null));
    }
  }
}
