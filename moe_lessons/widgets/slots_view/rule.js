// Slots for experts, replayed on a text's choices: offload/slots.py is its twin; a test runs both on random traces.
// Nothing here touches the page.

/** The policies that are shown, by the names they have in Python. */
export const POLICIES = ["lru", "pinned", "belady"];

/**
 * What `slots` slots of one layer do: for each token which of its choices were there, what lay in the slots after its
 * turn (-1 is empty), and who was sent away for it.
 * @param {number[][]} requests the experts of each token, best first
 * @param {number} slots
 * @param {string} policy
 * @param {number[]} favorites the experts that another text used most, most used first
 */
export function replay(requests, slots, policy, favorites = []) {
  const { holds, ask } = shelf(requests, slots, policy, favorites);
  return requests.map((wanted, turn) => ({ ...ask(wanted, turn), holds: [...holds] }));
}

/** How many experts are fetched for each token, as `replay` would say; without a picture of the slots at each turn. */
export function loads(requests, slots, policy, favorites = []) {
  const { ask } = shelf(requests, slots, policy, favorites);
  return requests.map((wanted, turn) => ask(wanted, turn).hit.filter((there) => !there).length);
}

/** Empty slots, and how they serve one token after the other; typed arrays, for a model may have fifty layers. */
function shelf(requests, slots, policy, favorites) {
  const worthOf = worthWhenUsed(requests, slots, policy, favorites);
  const holds = new Int32Array(slots).fill(-1);
  const worth = new Float64Array(slots); // of who lies there, as it was when last asked for: until then it stays so
  const slotOf = new Int32Array(1 + largest(requests)).fill(-1);
  let filled = 0;
  /** The slot of who goes: worth least, and of equals the one with the lower number; nobody who is wanted now. */
  const freed = (wanted) => {
    let out = -1;
    for (let slot = 0; slot < slots; slot++) {
      const less = out < 0 || worth[slot] < worth[out] || (worth[slot] === worth[out] && holds[slot] < holds[out]);
      if (less && !wanted.includes(holds[slot])) out = slot;
    }
    return out;
  };
  const ask = (wanted, turn) => {
    const hit = wanted.map((expert) => slotOf[expert] >= 0);
    const gone = [];
    wanted.forEach((expert, place) => {
      if (hit[place]) return;
      const slot = filled < slots ? filled++ : freed(wanted);
      if (holds[slot] >= 0) {
        gone.push(holds[slot]);
        slotOf[holds[slot]] = -1;
      }
      holds[slot] = expert;
      slotOf[expert] = slot;
    });
    wanted.forEach((expert, place) => {
      worth[slotOf[expert]] = worthOf(expert, turn, place);
    });
    return { hit, gone };
  };
  return { holds, ask };
}

/** The highest number of an expert; a loop, for it is looked for in every layer. */
function largest(requests) {
  let most = 0;
  for (const wanted of requests) for (const expert of wanted) if (expert > most) most = expert;
  return most;
}

/** What an expert is worth from this turn on, which asks for it at this place: the policy in one function. */
function worthWhenUsed(requests, slots, policy, favorites) {
  const end = requests.length;
  if (policy === "belady") {
    const coming = comingUses(requests);
    return (_, turn, place) => -coming[turn][place];
  }
  const stay = new Set(policy === "pinned" ? favorites.slice(0, slots - (requests[0]?.length ?? 0)) : []);
  return (expert, turn) => (stay.has(expert) ? turn + end : turn);
}

/** For each choice, the next turn that asks for the same expert; Infinity where none does. */
function comingUses(requests) {
  const next = new Map();
  return requests
    .map((wanted, turn) => ({ wanted, turn }))
    .reverse()
    .map(({ wanted, turn }) => {
      const coming = wanted.map((expert) => next.get(expert) ?? Infinity);
      wanted.forEach((expert) => next.set(expert, turn));
      return coming;
    })
    .reverse();
}

/** After each token, the share of all choices so far that were there. */
export function hitRates(turns) {
  let [found, asked] = [0, 0];
  return turns.map(({ hit }) => {
    found += hit.filter(Boolean).length;
    asked += hit.length;
    return found / asked;
  });
}

/** The sum of the counts before each place, and of all: [2, 0, 1] is [0, 2, 2, 3]. */
export function soFar(counts) {
  let sum = 0;
  return [0, ...counts.map((count) => (sum += count))];
}

/** What happened to the token before the cursor, in words. */
export function story(requests, turns, at, show) {
  if (!at) return "The slots are empty. Step on: each token asks for its experts.";
  const [wanted, { hit, gone }] = [requests[at - 1], turns[at - 1]];
  const list = (experts) => experts.join(" and ");
  const found = wanted.filter((_, place) => hit[place]);
  const fetched = wanted.filter((_, place) => !hit[place]);
  const parts = [
    found.length ? `${list(found)} ${found.length > 1 ? "are" : "is"} there` : "",
    fetched.length ? `${list(fetched)} must be fetched` : "",
    gone.length ? `for ${gone.length > 1 ? "them" : "it"} ${list(gone)} must go` : "",
  ].filter(Boolean);
  return `“${show}” asks for ${list(wanted)}: ${parts.join("; ")}.`;
}
