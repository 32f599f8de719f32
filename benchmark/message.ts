/** The small object that the scenarios exchange. @module */

/** An identifier and a little content, as a task or a log record would be. */
export type SmallMessage = [id: number, content: { a: number; b: string }]

/** A fresh object each time: an encoder must not get away with remembering the last one. */
export const smallMessage = (id: number): SmallMessage => [id, { a: 1, b: 'text' }]
