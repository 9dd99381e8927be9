// A frame of DropView changes what differs from the last one and leaves the rest of the page alone.

/** Set a node's class. */
export const dress = (node, name) => node.className !== name && (node.className = name);

/** Set a node's place in a grid. */
export const place = (node, area) => node.area !== area && (node.style.gridArea = node.area = area);
