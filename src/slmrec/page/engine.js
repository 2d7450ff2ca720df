// The arithmetic that a bundle needs outside its graph: dot products, neighbours, the k best, cosines. No I/O, no state.

/** The least that has a logarithm, as in float32 elsewhere. */
const TINY = 2 ** -126;

/**
 * Dot products of one vector with every row of a table.
 * @param {Float32Array} vector  (d)
 * @param {Float32Array} table  (N × d), row by row
 * @returns {Float32Array} (N)
 */
export function scores(vector, table) {
  const width = vector.length;
  const found = new Float32Array(table.length / width);
  for (let row = 0, at = 0; row < found.length; row += 1) {
    let sum = 0;
    for (let i = 0; i < width; i += 1, at += 1) sum += vector[i] * table[at];
    found[row] = sum;
  }
  return found;
}

/** The dot product of a vector and one row of a table. */
export function score(vector, table, row) {
  let sum = 0;
  for (let i = 0, at = row * vector.length; i < vector.length; i += 1, at += 1) sum += vector[i] * table[at];
  return sum;
}

/**
 * What the items' neighbours add to the scores after a history, as slmrec.runtime.neighbours has it.
 * @param {{offsets, columns, strengths, weight, decay, max_length}} neighbours  row r points to the columns from
 *   offsets[r] to offsets[r + 1]
 * @param {number[]} history  rows, oldest first
 * @param {number} items  N
 * @returns {{base: number, above: Map<number, number>}} what every row gets, and what some get above it
 */
export function votes({ offsets, columns, strengths, weight, decay, max_length }, history, items) {
  const found = new Map();
  let sum = 0;
  const read = history.slice(-max_length);
  read.forEach((row, place) => {
    const share = decay ** (read.length - 1 - place);
    for (let at = offsets[row]; at < offsets[row + 1]; at += 1) {
      const vote = strengths[at] * share;
      found.set(columns[at], (found.get(columns[at]) ?? 0) + vote);
      sum += vote;
    }
  });
  const mean = sum / items;
  const base = weight * Math.log(Math.max(mean, TINY));
  for (const [row, vote] of found) found.set(row, weight * Math.log(vote + mean) - base);
  return { base, above: found };
}

/**
 * What scores items after one history.
 * @param {Float32Array} vector  (d), the user's
 * @param {Float32Array} table  (N × d)
 * @param {{base: number, above: Map<number, number>}[]} beside  the votes of its neighbours
 * @returns {{all: () => Float32Array, of: (row: number) => number}}
 */
export function scorer(vector, table, beside) {
  const base = beside.reduce((sum, one) => sum + one.base, 0);
  return {
    all: () => {
      const found = scores(vector, table);
      if (base) for (let row = 0; row < found.length; row += 1) found[row] += base;
      for (const { above } of beside) for (const [row, more] of above) found[row] += more;
      return found;
    },
    of: (row) => beside.reduce((sum, { above }) => sum + (above.get(row) ?? 0), score(vector, table, row) + base),
  };
}

/**
 * The k best rows, best first; of equal scores the earlier row.
 * @param {Float32Array} values  (N)
 * @param {number} k
 * @param {Uint8Array} out  (N), 1 where a row does not compete
 * @returns {number[]} rows, fewer than k where fewer compete
 */
export function best(values, k, out) {
  const rows = [];
  for (let row = 0; row < values.length; row += 1) {
    if (out[row] || (rows.length === k && values[row] <= values[rows[k - 1]])) continue;
    if (rows.length === k) rows.pop();
    let place = rows.length;
    while (place > 0 && values[rows[place - 1]] < values[row]) place -= 1;
    rows.splice(place, 0, row);
  }
  return rows;
}

/** Cosines of one row with every row of a table, (N). A row of zeros is like nothing. */
export function cosines(row, table, width) {
  const found = scores(table.subarray(row * width, (row + 1) * width), table);
  const lengths = new Float32Array(found.length);
  for (let i = 0; i < lengths.length; i += 1) {
    const own = table.subarray(i * width, (i + 1) * width);
    lengths[i] = Math.sqrt(score(own, own, 0)) || 1;
  }
  return found.map((value, i) => value / (lengths[i] * lengths[row]));
}

/**
 * What the graph reads of some histories: the vectors of their last items, padded on the right with zeros.
 * @param {number[][]} histories  rows of the table, oldest first, none empty
 * @returns {{vectors: Float32Array, lengths: BigInt64Array, shape: [number, number, number]}} shape is B, L, d
 */
export function inputs(histories, table, width, maxLength) {
  const read = histories.map((history) => history.slice(-maxLength));
  const longest = Math.max(...read.map((history) => history.length));
  const vectors = new Float32Array(read.length * longest * width);
  read.forEach((history, b) => {
    history.forEach((row, l) => vectors.set(table.subarray(row * width, (row + 1) * width), (b * longest + l) * width));
  });
  return {
    vectors,
    lengths: BigInt64Array.from(read, (history) => BigInt(history.length)),
    shape: [read.length, longest, width],
  };
}

const ARRAYS = { "<f4": Float32Array, "<i4": Int32Array, "<i8": BigInt64Array };

/**
 * The numbers of a .npy file (version 1 or 2, C order), without a copy where its data is aligned.
 * @returns {{data: Float32Array | Int32Array | BigInt64Array, shape: number[]}}
 */
export function parseNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const magic = String.fromCharCode(...bytes.subarray(1, 6));
  if (bytes[0] !== 0x93 || magic !== "NUMPY") throw new Error("it is no .npy file");
  const long = bytes[6] > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(bytes.subarray(10, start));
  const shape = /'shape': \(([\d, ]+)\)/.exec(header)?.[1].split(",").filter((size) => size.trim()).map(Number);
  const kind = ARRAYS[/'descr': '([^']+)'/.exec(header)?.[1]];
  if (!kind || !header.includes("'fortran_order': False") || !shape) {
    throw new Error("it is no array of float32, int32 or int64 in C order");
  }
  const wanted = shape.reduce((product, size) => product * size, 1);
  const aligned = start % kind.BYTES_PER_ELEMENT ? [buffer.slice(start)] : [buffer, start];
  const data = new kind(...aligned);
  if (data.length !== wanted) throw new Error(`it says ${shape.join(" × ")}, but holds ${data.length} numbers`);
  return { data, shape };
}
