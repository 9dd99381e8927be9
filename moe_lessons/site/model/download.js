// Bytes from the page's own host, counted as they come, and kept by the browser for the next visit.

/**
 * The bytes at `url`. An Error of one sentence where it cannot be fetched or is cut off.
 * @param {string} url
 * @param {{onProgress?: (received: number, total: number) => void, cacheName?: string, size?: number}} [options]
 *   `onProgress` hears bytes; `total` is 0 where nobody knows it. `size` is how many the file must have.
 * @returns {Promise<Uint8Array>}
 */
export async function download(url, options) {
  throw new Error(`soon ${url} ${options}`);
}
