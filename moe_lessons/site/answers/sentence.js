// What went wrong, in one line.

/** An error's words as a sentence; its class only where it is none that was thrown to be read. @param {any} error */
export function sentence(error) {
  const said = String(error?.message ?? error)
    .split(/\s+/)
    .filter(Boolean)
    .join(" ");
  const words = error?.name === "Error" && said ? said : `${error?.name ?? "Error"}: ${said}`;
  return words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");
}
