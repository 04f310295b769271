// Where a drawing's points fall on the screen, and the lines between them.

const NARROW = 500; // pixels: a phone
const MARGIN_Y = 44;
const ROOM_Y = 46; // what a row wants

/** What a column wants, and the margin beside the outer ones. */
function roomIn(width) {
  return width < NARROW ? { column: 84, margin: 54 } : { column: 120, margin: 72 };
}

/** The size of the world that a layout wants in a window of `width` by `height`. */
export function worldOf(layout, width, height) {
  const columns = new Map();
  const put = (x) => columns.set(x, (columns.get(x) ?? 0) + 1);
  for (const node of layout.nodes) put(node.x);
  for (const link of layout.links) for (const [x] of link.bends) put(x);
  const most = Math.max(1, ...columns.values());
  const { column, margin } = roomIn(width);
  // As large as it needs to be, in the shape of the window, so that no side stays empty.
  const scale = Math.max(1, (2 * margin + (columns.size - 1) * column) / width, (most * ROOM_Y) / height);
  return { margin, width: width * scale, height: height * scale };
}

/** From the layout's square to the world. */
export function spot(x, y, world) {
  return {
    x: world.margin + x * (world.width - 2 * world.margin),
    y: MARGIN_Y + y * (world.height - 2 * MARGIN_Y),
  };
}

/** A smooth line through points, level where it arrives; an arc between two that stand above each other. */
export function curve(points, bulges = true) {
  const [first, ...rest] = points;
  let path = `M${at(first)}`;
  let from = first;
  for (const to of rest) {
    if (Math.abs(to.x - from.x) < 24) {
      const bulge = bulges && points.length === 2 && Math.abs(to.y - from.y) > 60 ? 46 : 0;
      path += `Q${at({ x: (from.x + to.x) / 2 + bulge, y: (from.y + to.y) / 2 })} ${at(to)}`;
    } else {
      const middle = (from.x + to.x) / 2;
      path += `C${at({ x: middle, y: from.y })} ${at({ x: middle, y: to.y })} ${at(to)}`;
    }
    from = to;
  }
  return path;
}

function at(point) {
  return `${point.x.toFixed(1)},${point.y.toFixed(1)}`;
}

/** The class of a utilisation: the steps at which the controller counts a link as longer. */
export function useOf(use) {
  if (use === null || use === undefined) return "unknown";
  if (use < 1 / 3) return "low";
  if (use < 2 / 3) return "mid";
  return use < 0.9 ? "high" : "full";
}
