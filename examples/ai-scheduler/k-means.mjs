// One step of k-means on a sphere (S. Lloyd's algorithm), for any part of the points. Serial and parallel runs share it.

/** Numbers that a cluster sums up: x, y, z, each times people; people; points that changed to it. */
export const SUMS = 5;

/**
 * Puts each point from `start` to `end` into the cluster whose centre is nearest, and adds it to the sums of that cluster.
 *
 * Coordinates are multiples of 2^-20 and weights are whole numbers, so every sum is exact as long as it is below 2^33: it comes out the same whatever
 * the order of the additions, and so does the whole clustering, on any number of threads.
 */
export function assign(start, end, points, people, centres, labels, sums) {
  const clusters = centres.length / 3;
  for (let i = start; i < end; i++) {
    const x = points[3 * i];
    const y = points[3 * i + 1];
    const z = points[3 * i + 2];
    let best = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let c = 0, at = 0; c < clusters; c++, at += 3) {
      const near = x * centres[at] + y * centres[at + 1] + z * centres[at + 2];
      if (near > most) {
        most = near;
        best = c;
      }
    }
    const weight = people[i];
    const at = best * SUMS;
    sums[at] += x * weight;
    sums[at + 1] += y * weight;
    sums[at + 2] += z * weight;
    sums[at + 3] += weight;
    if (labels[i] !== best) {
      labels[i] = best;
      sums[at + 4]++;
    }
  }
}

/** Moves each centre to the middle of its people, and empties the sums. Returns how many points have changed their cluster. */
export function moveCentres(centres, sums) {
  let moved = 0;
  for (let c = 0; c < centres.length / 3; c++) {
    const at = c * SUMS;
    const length = Math.hypot(sums[at], sums[at + 1], sums[at + 2]);
    for (let axis = 0; axis < 3; axis++) if (length > 0) centres[3 * c + axis] = sums[at + axis] / length;
    moved += sums[at + 4];
  }
  sums.fill(0);
  return moved;
}
