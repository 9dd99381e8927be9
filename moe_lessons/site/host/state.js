// A recorded widget state, as moe_lessons/widgets/shared/state.py writes it: JSON traits, and bytes in base64.

/**
 * @typedef {object} State
 * @property {string} widget the front end's file, such as "router_view"
 * @property {string} name the Python class, such as "RouterView"
 * @property {Record<string, any>} traits
 * @property {Record<string, string>} bytes in base64
 */

/** @param {string} text base64 @returns {DataView} as a bytes trait arrives in a front end */
export function bytesOf(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new DataView(bytes.buffer);
}

/**
 * The traits of a state, bytes as DataView; an Error of one sentence for what is no state.
 * @param {State} state
 * @returns {Record<string, any>}
 */
export function traitsOf(state) {
  if (typeof state?.widget !== "string" || typeof state.traits !== "object" || typeof state.bytes !== "object")
    throw new Error("This picture's file holds no widget state; build the site again with make site.");
  const bytes = Object.entries(state.bytes).map(([name, text]) => [name, bytesOf(text)]);
  return { ...state.traits, ...Object.fromEntries(bytes) };
}
