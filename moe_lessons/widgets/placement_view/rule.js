// moe_lessons/parallel/placement.py in JavaScript, without groups; a test runs both.

/** Where the largest of the numbers is; the first of equals. */
const largest = (numbers) => numbers.reduce((best, one, i) => (one > numbers[best] ? i : best), 0);

/** Copies of each expert: every further slot for the expert whose copies carry the most, at most `most` each. */
export function replicate(load, slots, most) {
  const copies = load.map(() => 1);
  for (let i = load.length; i < slots; i++) {
    copies[largest(load.map((one, expert) => (copies[expert] < most ? one / copies[expert] : -1)))]++;
  }
  return copies;
}

/** The bin of each item: the heaviest first, into the lightest bin with room, away from others of its kind. */
export function pack(weights, bins, kinds) {
  const room = Array(bins).fill(weights.length / bins);
  const filled = Array(bins).fill(0);
  const held = Array.from({ length: bins }, () => new Set());
  const found = Array(weights.length).fill(0);
  const order = weights.map((_, i) => i).sort((a, b) => weights[b] - weights[a] || a - b);
  for (const item of order) {
    const free = room.map((_, bin) => bin).filter((bin) => room[bin]);
    const apart = free.filter((bin) => !held[bin].has(kinds[item]));
    const best = (apart.length ? apart : free).reduce((a, b) => (filled[b] < filled[a] ? b : a));
    found[item] = best;
    filled[best] += weights[item];
    room[best]--;
    held[best].add(kinds[item]);
  }
  return found;
}

/** The experts on each machine, lowest number first; without a load in the order of their numbers. */
export function place(load, n, machines, extra) {
  if (!load) {
    const each = n / machines;
    return Array.from({ length: machines }, (_, at) => Array.from({ length: each }, (_, i) => at * each + i));
  }
  const copies = replicate(load, n + extra * machines, machines);
  const experts = copies.flatMap((many, expert) => Array(many).fill(expert));
  const bins = pack(
    experts.map((expert) => load[expert] / copies[expert]),
    machines,
    experts,
  );
  return Array.from({ length: machines }, (_, at) => experts.filter((_, item) => bins[item] === at));
}

/** How many copies there are of each expert. */
export function copiesOf(placement, n) {
  const copies = Array(n).fill(0);
  for (const expert of placement.flat()) copies[expert]++;
  return copies;
}

/** What each slot works on, in times of the mean machine's load. */
export function workOf(placement, load) {
  const copies = copiesOf(placement, load.length);
  const mean = load.reduce((a, b) => a + b) / placement.length;
  return placement.map((row) => row.map((expert) => load[expert] / copies[expert] / mean));
}

/** The busiest machine's work. */
export function busiest(work) {
  return Math.max(...work.map((row) => row.reduce((a, b) => a + b, 0)));
}
