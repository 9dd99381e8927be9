/** What happens in a recording, one after the other: drafts come, each is judged, the pass adds its own token. */
export function eventsOf(steps) {
  return steps.flatMap((step, pass) => [
    { pass, kind: "drafts" },
    ...step.wanted.map((_, place) => ({ pass, kind: "verdict", place })),
    { pass, kind: "token" },
  ]);
}

/** How many events are over when so many passes are. */
export function endOf(steps, passes) {
  return steps.slice(0, passes).reduce((sum, step) => sum + 2 + step.wanted.length, 0);
}

/** Running totals after `at` events; the same as DraftView.totals in Python. */
export function totalsOf(steps, at) {
  const totals = { tokens: 1, passes: 0, judged: 0, accepted: 0 };
  for (const { pass, kind, place } of eventsOf(steps).slice(0, at)) {
    const step = steps[pass];
    if (kind === "verdict") {
      totals.judged += 1;
      totals.accepted += Number(place < step.accepted);
      totals.tokens += Number(place < step.accepted);
    } else if (kind === "token") {
      totals.judged += step.drafts.length - step.wanted.length; // thrown away unread
      totals.passes += 1;
      totals.tokens += 1;
    }
  }
  return totals;
}

/** The chips of the text after `at` events: what each is, its piece, and the event that made it so. */
export function chipsOf({ prompt, first, steps }, at) {
  const chips = [...prompt.map((piece) => ({ kind: "prompt", piece, at: 0 })), { kind: "main", piece: first, at: 0 }];
  let done = 0;
  steps.forEach((step) => {
    if (done >= at) return;
    const judged = Math.min(at - done - 1, step.wanted.length);
    const over = at - done >= 2 + step.wanted.length;
    step.drafts.forEach((piece, place) => {
      const kind =
        place < Math.min(judged, step.accepted)
          ? "kept"
          : judged <= step.accepted
            ? "open"
            : place === step.accepted
              ? "refused"
              : "unread";
      chips.push({ kind, piece, at: done + 2 + Math.min(place, step.wanted.length - 1) });
    });
    const free = step.drafts.length && step.accepted === step.drafts.length;
    if (over) chips.push({ kind: free ? "bonus" : "main", piece: step.token, at: done + 2 + step.wanted.length });
    done += 2 + step.wanted.length;
  });
  return chips;
}

const share = (p) =>
  p >= 0.9995
    ? "100%"
    : p >= 0.0995
      ? `${(100 * p).toFixed(0)}%`
      : p >= 0.0005
        ? `${(100 * p).toFixed(1)}%`
        : p > 0
          ? "under 0.1%"
          : "0%";

/** The last event in words, with the pieces in quotes as `show` writes them. */
export function story(record, at, show = (piece) => piece) {
  const event = eventsOf(record.steps)[at - 1];
  if (!event) return "The main model has read the prompt; that gave the first token. Step on to see the drafts.";
  const { pass, kind, place } = event;
  const step = record.steps[pass];
  const quote = (piece) => `“${show(piece)}”`;
  if (kind === "drafts") {
    if (!step.drafts.length) return `Pass ${pass + 1}: the text is nearly full, so nothing is guessed.`;
    const [guesses, them] = [step.drafts.map(quote).join(" "), step.drafts.length === 1 ? "it" : "all of them"];
    return `Pass ${pass + 1}: the modules guess ${guesses}. The main model now reads ${them} at once.`;
  }
  if (kind === "verdict") {
    const [p, q] = [step.wanted[place], step.drafted[place]];
    const odds = `it was drawn with ${share(q)}, so it is kept with ${share(Math.min(1, p / q))}`;
    const words = `Draft ${place + 1}, ${quote(step.drafts[place])}: the main model gives it ${share(p)}, ${odds}.`;
    return `${words} ${place < step.accepted ? "Kept." : "Refused, and whatever was guessed behind it falls with it."}`;
  }
  if (!step.drafts.length) return `${quote(step.token)} comes from the main model alone.`;
  if (step.accepted === step.drafts.length)
    return `All kept, and ${quote(step.token)} comes for free: the main model has read that far anyway.`;
  return `${quote(step.token)} takes its place, drawn from what the main model has left over.`;
}

/** The recording with the wanted knob that shares most other knobs with the present one. */
export function nearest(records, present, knob, value) {
  const shared = ({ knobs }) => knobs.filter((one, i) => one === records[present].knobs[i]).length;
  const fitting = [...records.keys()].filter((i) => records[i].knobs[knob] === value);
  return fitting.reduce((best, i) => (shared(records[i]) > shared(records[best]) ? i : best), fitting[0]);
}
