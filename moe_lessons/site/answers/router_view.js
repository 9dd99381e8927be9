// What a kernel answers to RouterView: widgets/router_view/__init__.py and its messages.py, from the traits alone.

import { ruleOf } from "../../widgets/shared/routing_rule.js";
import { AT_REST, checkKnobs } from "../model/knobs.js";
import { tellingLayer, tellingToken } from "./opening.js";
import { arraysOf, bytesOf, factsOf, logitsIn, readingOf } from "./sent.js";
import { sentence } from "./sentence.js";
import { Tracer } from "./tracer.js";
import { wordsOf } from "./words.js";

/** @typedef {import("./index.js").Changes} Changes */
/** @typedef {import("./index.js").Get} Get */

/** The traits that are knobs, by the names that they have in the browser's rule. */
const TURNED = {
  topK: "top_k",
  temperature: "temperature",
  scoreFunction: "score_function",
  normalize: "normalize",
  noise: "noise",
  seed: "seed",
  capacity: "capacity",
  dropping: "dropping",
  bias: "bias",
  off: "off",
  topGroups: "top_groups",
};
const NOTHING = () => bytesOf([]);

/** @param {import("../model/index.js").Model} model @returns {import("./index.js").Answers} */
export function routerView(model) {
  const tracer = new Tracer(model);
  const kinds = {
    ask: (get, text) => (typeof text === "string" ? traceChanges(model, tracer.ask(text), get) : null),
    apply: (get, asked) => (asked && typeof asked === "object" ? applied(tracer, get, asked) : null),
    keep: (get, whether) => (typeof whether === "boolean" ? keep(get, whether) : null),
  };
  return {
    message(get, content) {
      const kind = Object.keys(kinds).find((name) => content?.[name] !== undefined);
      let changes;
      try {
        changes = kind ? kinds[kind](get, content[kind]) : null;
      } catch (error) {
        changes = { message: sentence(error) };
      }
      return changes && { ...changes, answered: get("answered") + 1 };
    },
  };
}

/** The traits of a RouterView of this text, as it starts. */
export function show(model, text) {
  const none = { facts: {}, other_facts: {}, layer: -1, drawn: 1 }; // a trace, and that it is compared with none
  const changes = traceChanges(model, new Tracer(model).ask(text), (name) => none[name]);
  return { ...changes, answered: 0, can_ask: true, can_apply: true };
}

/** Keep the trace that is seen, to compare others with it; or keep none. */
function keep(get, whether) {
  const facts = get("facts");
  return { ...paired(whether ? facts : null, get, facts, get("arrays")), drawn: get("drawn") + 1 };
}

/** What another trace changes: knobs stay as far as they fit it. */
function traceChanges(model, trace, get) {
  const [facts, old] = [factsOf(model, trace), get("facts")];
  const arrays = arraysOf(model, trace);
  const settings = ({ experts, rule, layers }) =>
    JSON.stringify([experts, rule && Object.entries(rule).sort(), layers]);
  const layer = facts.layers.includes(get("layer")) ? get("layer") : tellingLayer(trace, facts.experts);
  const other = get("other_facts");
  return {
    facts,
    arrays,
    ...(settings(old) === settings(facts) ? {} : { ...atRest(facts.rule), highlight: -1 }),
    layer,
    pinned: tellingToken(trace, facts.layers.indexOf(layer), facts.experts),
    applied: {},
    applied_logits: NOTHING(),
    message: "",
    ...paired(sameShape(facts, other) ? other : null, get, facts),
    drawn: get("drawn") + 1,
  };
}

/** What comparing with another trace changes; null for none. `arrays` are the other's, where they change. */
function paired(other, get, facts, arrays) {
  if (!other) {
    return { other_facts: {}, other_arrays: NOTHING(), partners: NOTHING(), names: [], side: 0 };
  }
  const known = get("other_facts");
  const given = known.tokens && String(get("names")) !== String(namesOf(get("facts"), known));
  return {
    other_facts: other,
    ...(arrays ? { other_arrays: arrays } : {}),
    partners: bytesOf([partners(facts.pieces, other.pieces)]),
    names: given ? get("names") : namesOf(facts, other), // those that a lesson gave stay
    side: 0,
  };
}

const sameShape = (a, b) => a.experts === b.experts && String(a.layers) === String(b.layers);

/** Knobs as traits, turned to what the model does by itself. */
function atRest(rule) {
  const own = { ...AT_REST, ...ruleOf(rule) };
  return { ...Object.fromEntries(Object.entries(TURNED).map(([knob, trait]) => [trait, own[knob]])), acts_on: -1 };
}

/** Run the model with the knobs as the message has them, which may overtake the traits. */
function applied(tracer, get, asked) {
  const facts = get("facts");
  const names = [...Object.values(TURNED), "acts_on"];
  const traits = Object.fromEntries(names.map((name) => [name, name in asked ? asked[name] : get(name)]));
  const knobs = knobsOf(traits, facts); // refused knobs leave all as it was
  const layers = traits.acts_on === -1 ? null : [traits.acts_on];
  try {
    if (get("other_facts").tokens) throw new Error("knobs are applied to one trace; stop comparing first");
    const { before, after } = tracer.apply(idsOf(tracer.model, facts), knobs, layers);
    checkSame(logitsIn(facts, get("arrays")), before);
    return {
      ...traits,
      applied: { knobs: traits, before: readingOf(before), after: readingOf(after) },
      applied_logits: bytesOf(after.layers.map((layer) => layer.logits)),
      message: "",
    };
  } catch (error) {
    return { ...traits, applied: {}, applied_logits: NOTHING(), message: sentence(error) };
  }
}

/** What the traits ask of the rule; an Error of one sentence where the trace's router cannot follow. */
function knobsOf(traits, { rule, experts, layers }) {
  const turned = Object.entries(TURNED).map(([knob, trait]) => [knob, traits[trait]]);
  const knobs = { ...ruleOf(rule), ...Object.fromEntries(turned) };
  checkKnobs(knobs, experts);
  const scope = traits.acts_on;
  if (scope !== -1 && !layers.includes(scope)) {
    throw new Error(`layer is ${scope}, but this trace has the layers ${layers.join(", ")}`);
  }
  return knobs;
}

/** The ids of a trace's pieces: no two tokens look the same. */
function idsOf(model, { pieces, layers, starts }) {
  if (String(layers) !== String(model.layers) || starts.length) {
    throw new Error(
      `the trace has the layers ${layers.join(", ")} and ${starts.length + 1} texts, but this model routes one text ` +
        `in the layers ${model.layers.join(", ")}; ask this model for a trace`,
    );
  }
  const known = new Map(model.pieces(Array(model.config.vocab_size).keys()).map((piece, id) => [piece, id]));
  const ids = pieces.map((piece) => known.get(piece));
  if (ids.includes(undefined) || ids.length >= model.config.max_length) {
    throw new Error("the trace has tokens that this model cannot read; ask this model for a trace");
  }
  return ids;
}

// How far the logits of one model may be apart, as a share of their size: eight bits a number move them by some
// hundredths, another model's training by far more.
const CLOSE = 0.1;

function checkSame(logits, before) {
  const again = before.layers.flatMap((layer) => [...layer.logits]);
  let [apart, size] = [0, 0];
  for (let i = 0; i < again.length; i++) {
    apart += (again[i] - logits[i]) ** 2;
    size += again[i] ** 2;
  }
  if (logits.length !== again.length || !(apart <= CLOSE ** 2 * size)) {
    throw new Error(
      "the trace is of another model, or of this one before it was trained further: the same tokens now meet other " +
        "scores; ask this model for a trace",
    );
  }
}

/** Each token's counterpart in another text, -1 for none: tracing/align.py. */
function partners(a, b) {
  const shorter = Math.min(a.length, b.length);
  let [begin, end] = [0, 0];
  while (begin < shorter && a[begin] === b[begin]) begin++;
  while (end < shorter - begin && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const found = new Int32Array(a.length).fill(-1);
  for (let i = 0; i < begin; i++) found[i] = i;
  for (let i = 1; i <= end; i++) found[a.length - i] = b.length - i;
  return found;
}

/** What tells two traces apart: their models, or else how their texts begin. */
function namesOf(a, b) {
  if (a.model !== b.model) return [a.model, b.model];
  return [a, b].map(({ pieces }) => {
    const text = Array.from(wordsOf(pieces.join("")).join(" "));
    return text.length <= 24 ? text.join("") : `${text.slice(0, 23).join("")}…`;
  });
}
