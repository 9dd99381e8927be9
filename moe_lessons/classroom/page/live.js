// The board as the class sends it: by a websocket, and by asking again and again where there is none.

const AGAIN = 2000; // milliseconds

/**
 * @typedef {object} Question
 * @property {string} key
 * @property {string} ask
 * @property {"choice" | "slider" | "number"} kind
 * @property {string} measure
 * @property {string} unit
 * @property {number} low
 * @property {number} high
 * @property {boolean} log
 * @property {string[]} choices
 * @property {number} answered
 * @property {number} late
 * @property {number} room
 * @property {number[]} bins
 * @property {boolean} places whether each bin is one place of a short slider
 * @property {boolean} shown
 * @property {{ machines: number, low: number, high: number, places: number[] } | null} measured by the room's machines
 * @property {number | null} right
 * @typedef {{ lesson: string, exercises: string[], rows: { name: string, marks: number[] }[] }} Lesson
 * @typedef {{ exercise: string, count: number, hint: string }} Mistake
 * @typedef {object} RouterRow
 * @property {string} router
 * @property {string} whose
 * @property {number} runs
 * @property {number} state
 * @property {string} why
 * @property {number} loss
 * @property {number} peak
 * @property {number} pace
 * @property {number} live
 * @typedef {{ lesson: string, unit: string, machines: number, low: number, high: number, middle: number }} Spread
 * @typedef {{ claim: string, numbers: Spread[], verdicts: Record<string, number> }} ClaimLine
 * @typedef {object} Board
 * @property {string[]} learners
 * @property {Question[]} questions
 * @property {Lesson[]} lessons
 * @property {Mistake[]} mistakes
 * @property {{ rows: RouterRow[], left_out: number, elsewhere: number }} routers
 * @property {ClaimLine[]} claims
 */

/**
 * Hear of the board for as long as the page lives; returns how to let a question's measurement be seen.
 * @param {(board: Board) => void} draw
 * @param {(trouble: string) => void} say
 */
export function follow(draw, say) {
  /** @type {WebSocket | undefined} */
  let socket;
  const address = new URL("live", location.href);
  address.protocol = address.protocol.replace("http", "ws");

  function connect() {
    const own = new WebSocket(address);
    own.onmessage = (event) => {
      socket = own;
      say("");
      draw(JSON.parse(event.data));
    };
    own.onclose = () => {
      if (socket === own) socket = undefined;
      ask().finally(() => setTimeout(connect, AGAIN));
    };
  }

  async function ask() {
    try {
      const answer = await fetch("board");
      if (!answer.ok) throw new Error(String(answer.status));
      draw(await answer.json());
      say("");
    } catch {
      say("The class does not answer. Its terminal says why; nothing that it took is lost.");
    }
  }

  connect();
  return (/** @type {string} */ key) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ show: key }));
    else say("This page cannot tell the class now; it tries to reach it, and then the key shows the measurement.");
  };
}
