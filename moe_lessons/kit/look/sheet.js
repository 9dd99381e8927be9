// Set a list smaller where its side of the sheet has no room for it: a printer cuts off what does not fit.
for (const side of document.querySelectorAll(".side")) {
  const list = /** @type {HTMLElement} */ (side.querySelector(".questions, .tasks"));
  const cut = () => {
    const edge = side.getBoundingClientRect().bottom - 20;
    return [...side.querySelectorAll("li, p, figcaption")].some((part) => part.getBoundingClientRect().bottom > edge);
  };
  for (let size = 0.98; list && size > 0.6 && cut(); size -= 0.02) list.style.setProperty("zoom", `${size}`);
}
