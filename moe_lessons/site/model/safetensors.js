// The safetensors format: eight bytes with the header's length, a header in JSON, then every tensor's numbers, one
// after the other and little-endian, as all browsers keep them.

const NUMBERS = { F32: Float32Array, F16: Uint16Array, I8: Int8Array };

/**
 * All tensors by name, and what the header notes beside them; `numbers()` of a tensor are read when asked for. Those
 * of 16 bits come as float32; whole numbers of eight bits stay as they are. An Error of one sentence for bytes that are
 * cut off or something else.
 * @param {Uint8Array} bytes
 */
export function readSafetensors(bytes) {
  const { header, start } = readHeader(bytes);
  const { __metadata__: notes = {}, ...entries } = header;
  const end = start + Math.max(0, ...Object.values(entries).map((entry) => entry.data_offsets?.[1] ?? 0));
  if (bytes.length < end) {
    throw new Error(
      `The checkpoint is cut off: it has ${bytes.length.toLocaleString("en")} of ${end.toLocaleString("en")} bytes; ` +
        "load it again.",
    );
  }
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    const Kind = NUMBERS[dtype];
    const size = shape?.reduce((product, length) => product * length, 1);
    const [from, to] = data_offsets ?? [];
    if (!Kind || to - from !== size * Kind.BYTES_PER_ELEMENT) {
      throw new Error(`The checkpoint holds ${name} in a form that is not read here (${dtype}); write it again.`);
    }
    // A copy begins where its kind of number may begin; a part of the whole might not.
    const begin = bytes.byteOffset + start;
    const numbers = () => {
      const stored = new Kind(bytes.buffer.slice(begin + from, begin + to));
      return dtype === "F16" ? fromHalf(stored) : stored;
    };
    tensors.set(name, { shape, numbers });
  }
  return { tensors, notes };
}

function readHeader(bytes) {
  const foreign = new Error("The file is no checkpoint: it does not begin as a safetensors file; load it again.");
  if (bytes.length < 8) throw foreign;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length < 2 || length > 100_000_000) throw foreign;
  if (bytes.length < 8 + length) {
    if (bytes[8] !== 0x7b) throw foreign; // a header begins with {
    throw new Error(`The checkpoint is cut off in its header: it has ${bytes.length} bytes; load it again.`);
  }
  try {
    return { header: JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))), start: 8 + length };
  } catch {
    throw foreign;
  }
}

let singles; // the float32 of all 65,536 numbers of 16 bits, made when first asked for

/** Half precision as float32, without loss: ten bits of fraction, five of exponent, a sign. */
function fromHalf(halves) {
  singles ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
    return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  });
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) numbers[i] = singles[halves[i]];
  return numbers;
}
