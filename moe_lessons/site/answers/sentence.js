// What went wrong, in one line.

/** An error's words as a sentence; its class only where it is none that was thrown to be read. @param {any} error */
export function sentence(error) {
  const said = String(error?.message ?? error)
    .split(/\s+/)
    .filter(Boolean)
    .join(" ");
  const name = error?.name ?? "Error";
  const words = !said ? name : name === "Error" ? said : `${name}: ${said}`;
  return words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");
}
