// Byte-level byte-pair encoding (Sennrich et al., arXiv:1508.07909; bytes as in GPT-2). text/tokenizer.py is the twin.
// Every one of the 256 bytes is in the vocabulary, so any text can be written and comes back exactly.

const DOCUMENT = "<|doc|>";

// PIECES of the twin, which says what each line is for. JavaScript's \s is not Unicode's white space: it has U+FEFF and
// lacks U+0085.
const SPACE = "\\p{White_Space}";
const PIECES = [
  "[\\r\\n]+[ \\t]*",
  " ?\\p{L}[\\p{L}\\p{M}]*",
  "\\p{N}",
  ` ?[^${SPACE}\\p{L}\\p{N}]+(?: (?=\\p{N}))?`,
  `${SPACE}+(?=${SPACE}[^${SPACE}])`,
  `${SPACE}+`,
];

/**
 * The tokenizer in the text of a tokenizer.json. An Error of one sentence for a text that is something else.
 * @param {string} text
 */
export function readTokenizer(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    file = {};
  }
  const { vocab, merges } = file.model ?? {};
  if (!vocab || !merges || !(DOCUMENT in vocab)) {
    throw new Error(`The tokenizer's file is damaged: it has no vocabulary with ${DOCUMENT}; load it again.`);
  }
  return new Tokenizer(vocab, merges);
}

export class Tokenizer {
  /** @param {Record<string, number>} vocab @param {[string, string][]} merges best first */
  constructor(vocab, merges) {
    const spelled = Object.keys(vocab).sort((a, b) => vocab[a] - vocab[b]);
    this.vocabSize = spelled.length;
    this.documentId = vocab[DOCUMENT];
    this.spellings = spelled.map((token, id) => (id === this.documentId ? utf8(token) : unspelled(token)));
    this.idOfByte = new Uint16Array(256);
    this.spellings.forEach((bytes, id) => bytes.length === 1 && (this.idOfByte[bytes[0]] = id));
    // Of a pair of ids: how early it was learned, and the id that it becomes.
    this.merges = new Map(merges.map(([a, b], rank) => [this.pair(vocab[a], vocab[b]), { rank, id: vocab[a + b] }]));
    this.pattern = new RegExp(PIECES.join("|"), "gu");
  }

  pair(a, b) {
    return a * this.vocabSize + b;
  }

  /** The ids of a text; an Error for a lone surrogate, which UTF-8 cannot write. @param {string} text */
  encode(text) {
    const lone = text.search(/\p{Surrogate}/u);
    if (lone >= 0) {
      const at = Array.from(text.slice(0, lone)).length;
      const name = `\\u${text.charCodeAt(lone).toString(16)}`;
      throw new Error(`The text has no UTF-8 form: character ${at} is the lone surrogate '${name}'; remove it.`);
    }
    const ids = [];
    for (const [piece] of text.matchAll(this.pattern)) {
      for (const id of this.merged(Array.from(utf8(piece), (byte) => this.idOfByte[byte]))) ids.push(id);
    }
    return ids;
  }

  /**
   * Merge the pair that was learned first, wherever it stands, until no pair of neighbors was ever learned. What a
   * merge makes can only be part of merges that were learned later, so each pass may do all places of one pair.
   */
  merged(ids) {
    for (;;) {
      let best;
      for (let i = 1; i < ids.length; i++) {
        const merge = this.merges.get(this.pair(ids[i - 1], ids[i]));
        if (merge && !(merge.rank >= best?.rank)) best = { ...merge, first: ids[i - 1], second: ids[i] };
      }
      if (!best) return ids;
      const shorter = [];
      for (let i = 0; i < ids.length; i++) {
        const found = ids[i] === best.first && ids[i + 1] === best.second;
        shorter.push(found ? best.id : ids[i]);
        if (found) i++;
      }
      ids = shorter;
    }
  }

  /** The text of the ids; bytes that do not make a character become U+FFFD. @param {Iterable<number>} ids */
  decode(ids) {
    const bytes = Array.from(ids, (id) => this.bytesOf(id)).flatMap((spelling) => [...spelling]);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }

  /** Each id alone, to show; bytes that do not make a character are written \xNN. @param {Iterable<number>} ids */
  pieces(ids) {
    return Array.from(ids, (id) => printable(this.bytesOf(id)));
  }

  /** The bytes that one id stands for; an Error for an id outside the vocabulary. @param {number} id */
  bytesOf(id) {
    if (!this.spellings[id]) {
      throw new Error(`Token id ${id} is not in the vocabulary; use ids from 0 to ${this.vocabSize - 1}.`);
    }
    return this.spellings[id];
  }
}

const utf8 = (text) => new TextEncoder().encode(text);

/** The characters that bytes make, and \xNN for each byte that is part of none. */
function printable(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const length = lengthOfCharacter(bytes[i]);
    try {
      if (i + length > bytes.length) throw new RangeError();
      text += strict.decode(bytes.subarray(i, i + length));
      i += length;
    } catch {
      text += `\\x${bytes[i++].toString(16).padStart(2, "0")}`;
    }
  }
  return text;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lengthOfCharacter = (first) => (first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4);

// GPT-2's stand-ins: printable Latin-1 bytes as themselves, the others as the characters from U+0100 on.
const printableBytes = new Set(
  Array.from({ length: 256 }, (_, byte) => byte).filter(
    (byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad),
  ),
);
const byteOf = new Map([...printableBytes].map((byte) => [byte, byte]));
for (let byte = 0, n = 256; byte < 256; byte++) if (!printableBytes.has(byte)) byteOf.set(n++, byte);

const unspelled = (token) => Uint8Array.from(token, (character) => byteOf.get(character.charCodeAt(0)));
