// What a backend throws: a code the page can act on and a sentence for the reader.

export class BackendError extends Error {
  /**
   * @param {string} code  "away" (nobody answers), "key" (a key is asked for), "busy" (try again soon), or the server's own.
   * @param {string} message  One sentence: what is wrong.
   * @param {string} [hint]  One sentence: what to do.
   */
  constructor(code, message, hint = "") {
    super(message);
    this.name = "BackendError";
    this.code = code;
    this.hint = hint;
  }
}

/** Whether an error only says that a newer request took this one's place. */
export const superseded = (error) => error?.name === "AbortError";

/** What is wrong and what to do, in one text. */
export const inFull = (error) => [error.message, error.hint].filter(Boolean).join(" ");
