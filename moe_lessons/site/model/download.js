// Bytes from the page's own host, counted as they come, and kept by the browser for the next visit.

/**
 * The bytes at `url`. An Error of one sentence where it cannot be fetched or is cut off.
 * @param {string} url
 * @param {{onProgress?: (received: number, total: number) => void, cacheName?: string, size?: number}} [options]
 *   `onProgress` hears bytes; `total` is 0 where nobody knows it. `size` is how many the file must have. With
 *   `cacheName` the browser keeps the bytes, where it can; another file is another url, so let it end in a version.
 * @returns {Promise<Uint8Array>}
 */
export async function download(url, { onProgress = () => {}, cacheName, size = 0 } = {}) {
  const cache = cacheName ? await openCache(cacheName) : null;
  const known = await kept(cache, url, size);
  if (known) {
    onProgress(known.length, known.length);
    return known;
  }
  const bytes = await fetched(url, onProgress, size);
  if (size && bytes.length < size) throw new Error(cutOff(url, bytes.length, size));
  if (size && bytes.length > size) {
    throw new Error(
      `${nameOf(url)} has ${bytes.length.toLocaleString("en")} bytes, but must have ${size.toLocaleString("en")}; ` +
        "build the site again.",
    );
  }
  keep(cache, url, bytes); // not waited for: nobody needs the copy now
  return bytes;
}

async function fetched(url, onProgress, size) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${nameOf(url)} could not be fetched; look whether the host is there, and load the page again.`);
  }
  if (!response.ok)
    throw new Error(`${nameOf(url)} is not on the host (status ${response.status}); build the site again.`);
  // What is packed on the way has the packed length in its header.
  const packed = response.headers.get("Content-Encoding");
  const total = size || (packed ? 0 : Number(response.headers.get("Content-Length")));
  const parts = [];
  let received = 0;
  try {
    const reader = response.body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      parts.push(next.value);
      received += next.value.length;
      onProgress(received, total);
    }
  } catch {
    throw new Error(cutOff(url, received, total));
  }
  const bytes = new Uint8Array(received);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function cutOff(url, received, total) {
  const of = total ? ` of ${total.toLocaleString("en")}` : "";
  return `${nameOf(url)} was cut off after ${received.toLocaleString("en")}${of} bytes; load the page again.`;
}

const nameOf = (url) => String(url).split("?")[0].split("/").at(-1);

// Cache Storage is missing without https, and full or forbidden at times: then the browser's own cache must do.

async function openCache(name) {
  try {
    return await caches.open(name);
  } catch {
    return null;
  }
}

async function kept(cache, url, size) {
  try {
    const response = await cache?.match(url);
    if (!response) return null;
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length && (!size || bytes.length === size)) return bytes;
    await cache.delete(url);
  } catch {
    // read it from the host
  }
  return null;
}

async function keep(cache, url, bytes) {
  try {
    for (const { url: old } of (await cache?.keys()) ?? []) {
      if (nameOf(old) === nameOf(url)) await cache.delete(old); // an older version of the same file
    }
    await cache?.put(url, new Response(bytes));
  } catch {
    // no room: it is read from the host again next time
  }
}
