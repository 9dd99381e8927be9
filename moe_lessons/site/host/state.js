// A recorded widget state, as moe_lessons/widgets/shared/state.py writes it.

/**
 * @typedef {object} State
 * @property {string} widget the front end's file, such as "router_view"
 * @property {string} name the Python class, such as "RouterView"
 * @property {Record<string, any>} traits plain JSON; bytes, at any depth, are {"$bytes": base64}
 */

/** @param {string} text base64 @returns {DataView} as bytes arrive in a front end */
export function bytesOf(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new DataView(bytes.buffer);
}

function withBytes(value) {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withBytes);
  if (typeof value.$bytes === "string") return bytesOf(value.$bytes);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withBytes(each)]));
}

/**
 * The traits of a state, bytes as DataView; an Error of one sentence for what is no state.
 * @param {State} state
 * @returns {Record<string, any>}
 */
export function traitsOf(state) {
  if (typeof state?.widget !== "string" || typeof state.traits !== "object")
    throw new Error("This picture's file holds no widget state; build the site again with make site.");
  return withBytes(state.traits);
}
