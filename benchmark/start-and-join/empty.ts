/** The least a process can be given to do. @module */

/** Does nothing. */
export function empty(): void {}
