// The lines in which two texts differ (Myers, Algorithmica 1, 1986, as a table: policies are short).

const MOST = 2_000; // lines of a text; a table of more would take too much memory

/** [{sign: "+" | "-" | " ", text}] from `before` to `after`, with two lines around each change; null where too long. */
export function changes(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if (a.length > MOST || b.length > MOST) return null;
  const wide = b.length + 1;
  const common = new Uint16Array((a.length + 1) * wide); // length of the longest common rest
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * wide + j] = a[i] === b[j]
        ? common[(i + 1) * wide + j + 1] + 1
        : Math.max(common[(i + 1) * wide + j], common[i * wide + j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ sign: " ", text: a[i] });
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && common[(i + 1) * wide + j] >= common[i * wide + j + 1])) {
      found.push({ sign: "-", text: a[i] });
      i += 1;
    } else {
      found.push({ sign: "+", text: b[j] });
      j += 1;
    }
  }
  return found.filter((_, at) => found.slice(Math.max(0, at - 2), at + 3).some((one) => one.sign !== " "));
}
