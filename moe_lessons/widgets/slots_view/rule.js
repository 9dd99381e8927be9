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
  const holds = Array(slots).fill(-1);
  const last = new Map();
  const stay = new Set(favorites.slice(0, slots - (requests[0]?.length ?? 0)));
  const uses = policy === "belady" ? usesOf(requests) : new Map();
  const worth = {
    lru: (expert) => last.get(expert) ?? -1,
    pinned: (expert) => (last.get(expert) ?? -1) + (stay.has(expert) ? requests.length : 0),
    belady: (expert, turn) => -(uses.get(expert).find((use) => use >= turn) ?? Infinity),
  }[policy];
  return requests.map((wanted, turn) => {
    const hit = wanted.map((expert) => holds.includes(expert));
    const gone = [];
    wanted.forEach((expert, place) => {
      if (hit[place]) return;
      let slot = holds.indexOf(-1);
      if (slot < 0) {
        const mayGo = holds.filter((held) => !wanted.includes(held));
        const out = mayGo.reduce((least, held) => {
          const [a, b] = [worth(held, turn), worth(least, turn)];
          return a < b || (a === b && held < least) ? held : least;
        });
        slot = holds.indexOf(out);
        gone.push(out);
      }
      holds[slot] = expert;
    });
    wanted.forEach((expert) => last.set(expert, turn));
    return { hit, holds: [...holds], gone };
  });
}

/** The turns at which each expert is asked for. */
function usesOf(requests) {
  const uses = new Map();
  requests.forEach((wanted, turn) =>
    wanted.forEach((expert) => uses.get(expert)?.push(turn) ?? uses.set(expert, [turn])),
  );
  return uses;
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

/** How many experts were fetched in the first `at` turns. */
export const loadsUntil = (turns, at) =>
  turns.slice(0, at).reduce((sum, { hit }) => sum + hit.filter((there) => !there).length, 0);

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
